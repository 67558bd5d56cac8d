"""Keeps pulled letters ours for as long as the run needs them, and gives back what is left of them."""

import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from enrichment.redrive.errors import RedriveError


class Leases:
    """The letters that are pulled and neither acknowledged nor given back, by their ids alone.

    While the block lasts, a thread extends all of them; when it ends, however it ends, what is left is given back. A
    process that is killed gives back nothing: its letters come again once their leases are over.

    Args:
        extend: Sets for how long letters stay ours, in whole seconds from now; 0 gives them back.
        lease_s: How long a lease lasts, in whole seconds. It is extended three times in that time.
    """

    def __init__(self, extend: Callable[[list[str], int], None], lease_s: int) -> None:
        self._extend = extend
        self._lease_s = lease_s
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
        except RedriveError:
            if error is None:
                raise
            # What ended the run is what to tell; these leases end by themselves.

    def take(self, pulled: Mapping[str, str]) -> set[str]:
        """Takes letters that were just pulled, and extends them at once.

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
        """Forgets letters that were acknowledged."""
        with self._lock:
            for message_id in message_ids:
                self._held.pop(message_id, None)

    def ack_ids(self, message_ids: Iterable[str]) -> list[str]:
        """The newest ack ids of letters that are held."""
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
