"""The names of an event's rows, claimed while they are written."""

import asyncio
from collections.abc import Sequence

import meshpass

from enrichment.core import plan
from enrichment.core.plan import PlannedRow
from enrichment.errors import failure
from enrichment.event.recent_ids import RecentIds, Waiting
from enrichment.settings.model import EventShape, OnConflict
from enrichment.telemetry.counters import Count


class Claims:
    """The names of an event's rows: claimed by `take`, kept where the block behind it ends well.

    Args:
        rows: The rows of one event.
        shape: What `[event]` says of identity and conflicts.
        memory: The names that this process has written lately.
        count: Counts `identity_conflicts`.
    """

    def __init__(
        self, rows: Sequence[PlannedRow], shape: EventShape, memory: RecentIds, count: Count
    ) -> None:
        self._memory = memory
        self._count = count
        self._on_conflict = shape.on_conflict
        # Where the content is a part of the name, no name can belong to two.
        self._rows = rows if plan.shape_needs_memory(shape) else ()
        self._claimed: list[tuple[bytes, str]] = []

    def take(self) -> Waiting | None:
        """Claim all names, or none where it is open whether the row of another content gets one of them.

        To wait with names in hand could be to wait for an event that waits for one of these.

        Returns:
            What to wait for before the next try; None where all are claimed.

        Raises:
            BadEventError: `identity_conflict`, one of them belongs to other content.
        """
        for number, planned in enumerate(self._rows):
            claim = self._memory.claim(planned.row_id, planned.digest)
            if isinstance(claim, bytes):
                self._claimed.append((claim, planned.digest))
                continue
            if self._on_conflict is OnConflict.DEAD_LETTER:
                self._release()
                # Two rows of one event that share a name are in conflict, however either of them ends.
                if claim is not None and planned.row_id not in {row.row_id for row in self._rows[:number]}:
                    return claim
            if claim is not None:
                self._memory.leave(claim)
            self._count("identity_conflicts", on_conflict=self._on_conflict.value)
            if self._on_conflict is OnConflict.DEAD_LETTER:
                raise failure(
                    "identity_conflict",
                    "another event with the same id and different content came before: make [event] id unique, or "
                    "set on_conflict",
                )
        return None

    async def take_all(self, deadline: meshpass.Deadline) -> None:
        """Claim all names, once it is decided whether the rows of other contents get them.

        Args:
            deadline: When it must be over.

        Raises:
            BadEventError: As `take`.
            TransientError: `write_timeout`, that was open for too long.
        """
        waited_for: Waiting | None = None
        try:
            while (undecided := self.take()) is not None:
                if waited_for is not None:
                    self._memory.leave(waited_for)
                waited_for = undecided
                await _decided(undecided, deadline)
        except BaseException:
            if waited_for is not None:  # what waits behind it has its turn
                self._memory.leave(waited_for)
            raise

    def __enter__(self) -> None:
        """Hold what `take` has claimed."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace_: object) -> None:
        if kind is not None:
            self._release()
            return
        for key, digest in self._claimed:
            self._memory.keep(key, digest)

    def _release(self) -> None:
        for key, digest in self._claimed:
            self._memory.release(key, digest)
        self._claimed.clear()


async def _decided(undecided: Waiting, deadline: meshpass.Deadline) -> None:
    """Wait until an id may be claimed again.

    Raises:
        TransientError: `write_timeout`, that was open for too long.
    """
    await asyncio.wait([asyncio.wrap_future(undecided)], timeout=max(0.0, deadline.left_s()))
    if not undecided.done():
        raise failure(
            "write_timeout", "it was open for too long whether another event with the same id is written"
        )
