"""The names of an event's rows, claimed while they are written."""

from collections.abc import Sequence

from enrichment.core import plan
from enrichment.core.plan import PlannedRow
from enrichment.errors import failure
from enrichment.event.recent_ids import RecentIds
from enrichment.settings.model import EventShape, OnConflict
from enrichment.telemetry.counters import Count


class Claims:
    """The names of an event's rows: claimed on entering, kept where the block ends well.

    Args:
        rows: The rows of one event.
        shape: What `[event]` says of identity and conflicts.
        memory: The names that this process has written lately.
        count: Counts `identity_conflicts`.

    Raises:
        BadEventError: `identity_conflict`, on entering, one of them belongs to other content.
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

    def __enter__(self) -> None:
        for planned in self._rows:
            key = self._memory.claim(planned.row_id, planned.digest)
            if key is not None:
                self._claimed.append((key, planned.digest))
                continue
            self._count("identity_conflicts", on_conflict=self._on_conflict.value)
            if self._on_conflict is OnConflict.DEAD_LETTER:
                self._release()
                raise failure(
                    "identity_conflict",
                    "another event with the same id and different content came before: make [event] id unique, or "
                    "set on_conflict",
                )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace_: object) -> None:
        if kind is not None:
            self._release()
            return
        for key, digest in self._claimed:
            self._memory.keep(key, digest)

    def _release(self) -> None:
        for key, digest in self._claimed:
            self._memory.release(key, digest)
