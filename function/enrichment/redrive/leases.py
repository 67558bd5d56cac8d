"""Leases of the dead letters that a run holds: extended while it needs them, given back at its end."""

import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from enrichment.redrive.errors import RedriveError


class Leases:
    """Dead letters that are pulled and neither acknowledged nor given back, by their ids alone.

    While the block lasts, a thread extends all of them. At its end, what is left is given back. A process that is
    killed gives back nothing: its dead letters come again once their leases are over.

    Args:
        extend: Sets how long dead letters stay leased, in whole seconds from now; 0 gives them back.
        lease_s: How long a lease lasts, in whole seconds. It is extended three times in that time.

    Attributes:
        are_given_back: Whether the block has ended and nothing is leased any more.
    """

    def __init__(self, extend: Callable[[list[str], int], None], lease_s: int) -> None:
        self._extend = extend
        self._lease_s = lease_s
        self.are_given_back = False
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._extend(list(self._held.values()), 0)
            self.are_given_back = True
        except RedriveError:
            if error is None:
                raise
            # The error that ended the run is the one to report; these leases end by themselves.

    def take(self, pulled: Mapping[str, str]) -> set[str]:
        """Take dead letters that were just pulled, and extend their leases at once.

        Args:
            pulled: Ack ids by message id.

        Returns:
            The message ids that are new. One that is not came again because its lease ran out.
        """
        with self._lock:
            new = pulled.keys() - self._held.keys()
            self._held.update(pulled)
        self._extend(list(pulled.values()), self._lease_s)
        return new

    def drop(self, message_ids: Iterable[str]) -> None:
        """Forget dead letters that were acknowledged."""
        with self._lock:
            for message_id in message_ids:
                self._held.pop(message_id, None)

    def ack_ids(self, message_ids: Iterable[str]) -> list[str]:
        """Return the newest ack ids of dead letters that are held."""
        with self._lock:
            return [self._held[message_id] for message_id in message_ids]

    def _keep(self) -> None:
        while not self._ended.wait(self._lease_s / 3):
            with self._lock:
                held = list(self._held.values())
            try:
                self._extend(held, self._lease_s)
            except RedriveError:
                continue  # a third of the time is gone, and two thirds are left for the next tries
