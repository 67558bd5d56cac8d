"""The line of rows that wait to be written, in the order they came, and the callers that wait for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import meshpass

from enrichment.errors import EnrichmentError
from enrichment.row import Row
from enrichment.settings.model import BatchLimits

if TYPE_CHECKING:
    import asyncio


@dataclass(slots=True, eq=False)
class Waiter:
    """One caller, and the row whose disposition it waits for.

    Args:
        row: Its row.
        deadline: How long it waits.
        verdict: Why the row is not durable, or None once it is. It holds the error as a value, not as its
            exception: asyncio complains about an exception that is not fetched, and a caller may have left.
    """

    row: Row
    deadline: meshpass.Deadline
    verdict: "asyncio.Future[EnrichmentError | None]"

    @property
    def gone(self) -> bool:
        """Whether it has its answer or has stopped waiting for one."""
        return self.verdict.done()

    def answer(self, verdict: EnrichmentError | None) -> None:
        """Release the caller, unless it has left."""
        if not self.verdict.done():
            self.verdict.set_result(verdict)


@dataclass(slots=True, eq=False)
class Entry:
    """A row to send, and all callers that wait for a row of that id.

    Deliveries of one event carry rows of one id, which BigQuery would make one row of anyway. The first waiter's
    row is the one that is sent.

    Args:
        waiters: Never empty while the entry waits to be sent.
    """

    waiters: list[Waiter]

    @property
    def row(self) -> Row:
        """The row that is sent."""
        return self.waiters[0].row

    def answer(self, verdict: EnrichmentError | None) -> None:
        """Release all of its waiters."""
        for waiter in self.waiters:
            waiter.answer(verdict)


def still_awaited(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries without the waiters that have left, and without those that have no waiter any more."""
    left = (Entry([waiter for waiter in entry.waiters if not waiter.gone]) for entry in entries)
    return [entry for entry in left if entry.waiters]


class WaitingLine:
    """A fair line: first come, first served; what fits in a request goes together.

    Args:
        limits: How much goes into one request.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._entries: dict[str, Entry] = {}  # by insert id, in order of arrival
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def fills_a_request(self) -> bool:
        """Whether waiting longer would make the next request no larger."""
        return len(self._entries) >= self._limits.max_rows or self._bytes >= self._limits.max_bytes

    def join(self, waiter: Waiter) -> None:
        """Add a waiter at the end, or to the entry that waits already with a row of the same id."""
        entry = self._entries.get(waiter.row.insert_id)
        if entry is not None:
            entry.waiters.append(waiter)
            return
        self._entries[waiter.row.insert_id] = Entry([waiter])
        self._bytes += waiter.row.size_bytes

    def leave(self, waiter: Waiter) -> None:
        """Take a waiter out if it is still in line; its row as well, unless others wait for that id."""
        entry = self._entries.get(waiter.row.insert_id)
        if entry is None or waiter not in entry.waiters:
            return
        self._bytes -= entry.row.size_bytes
        entry.waiters.remove(waiter)
        if entry.waiters:
            self._bytes += entry.row.size_bytes
        else:
            del self._entries[waiter.row.insert_id]

    def take(self) -> list[Entry]:
        """Take the next request's rows off the line; a row over the limit goes alone."""
        taken: list[Entry] = []
        size_bytes = 0
        for entry in self._entries.values():
            size_bytes += entry.row.size_bytes
            if taken and (len(taken) == self._limits.max_rows or size_bytes > self._limits.max_bytes):
                break
            taken.append(entry)
        for entry in taken:
            del self._entries[entry.row.insert_id]
            self._bytes -= entry.row.size_bytes
        return taken

    def clear(self) -> list[Entry]:
        """Take everything off the line."""
        entries = list(self._entries.values())
        self._entries.clear()
        self._bytes = 0
        return entries
