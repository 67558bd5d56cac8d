"""Group commit: rows that wait at the same time are written together, and each is answered for itself.

While little is under way each row is written at once. Under load, rows that come while a write is under way wait for
its end and then go together: no timer, so an idle sink adds no delay, and the busier it is the larger its requests
become.
Databases do the same with the commits of concurrent transactions. Nothing here knows of BigQuery.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import meshpass

from enrichment.errors import (
    EnrichmentError,
    FaultError,
    Stage,
    TransientError,
    copy_error,
    failure,
    of_unexpected_error,
    release_frames,
)
from enrichment.row import Row
from enrichment.settings.model import BatchLimits
from enrichment.sink.waiting import Entry, Waiter, WaitingLine, still_awaited
from enrichment.sink.when_to_write import (
    SHARING,
    Partition,
    RefusedError,
    Sharing,
    Write,
    halve,
    jittered_delay_s,
    may_resend,
    may_write,
    partition,
)
from enrichment.telemetry.counters import Count, uncounted

MAX_WRITE_S = 10.0
"""Longest allowance for one write, in seconds, however much time its rows have left: it holds one of few places."""


class Insert(Protocol):
    """Write rows in one request."""

    async def __call__(
        self, rows: Sequence[Row], deadline: meshpass.Deadline, /
    ) -> Sequence[EnrichmentError | None]:
        """Write rows.

        Args:
            rows: At least one; no two of the same id.
            deadline: When it must be over.

        Returns:
            For each row why it is not durable, or None if it is: a `StoppedError` if another row kept it out, any
            other TransientError if it is worth another try by itself, else what its event ends with.

        Raises:
            RefusedError: the request was refused as a whole for something that is in it.
            EnrichmentError: the request failed as a whole, and would fail with other rows as well.
        """


@dataclass(slots=True, eq=False)
class _Group:
    """The rows of one request.

    Args:
        entries: The rows, with the callers that wait for them.
        attempt: Which time this is that they are sent, from 1.
    """

    entries: list[Entry]
    attempt: int = 1

    def deadline(self) -> meshpass.Deadline:
        """Return the latest of its rows' deadlines, within reason: each waiter watches its own."""
        latest = max(waiter.deadline.at for entry in self.entries for waiter in entry.waiters)
        return meshpass.Deadline(min(latest, meshpass.Deadline.after(MAX_WRITE_S).at))


@dataclass(slots=True, eq=False)
class _Writer:
    """A task that writes one group after the other.

    Args:
        group: What it has taken and not yet answered for; None between two groups.
        since_s: When that write started, in seconds of the clock.
    """

    group: _Group | None
    since_s: float


class GroupCommit:
    """Writes rows in groups. It may be made before there is an event loop, and is used in one at a time.

    Args:
        insert: Writes one group.
        limits: How large a group may become.
        count: Counts `insert_requests`, `insert_rows` and, apart from these, `insert_rows_resent`.
        delay_s: How long rows with an error of their own wait after so many attempts, in seconds.
        clock: Seconds that only grow, to notice a slow write.
        sharing: When rows stop waiting for company.
    """

    def __init__(
        self,
        insert: Insert,
        limits: BatchLimits,
        count: Count = uncounted,
        delay_s: Callable[[int], float] = jittered_delay_s,
        clock: Callable[[], float] = time.monotonic,
        sharing: Sharing = SHARING,
    ) -> None:
        self._insert = insert
        self._sharing = sharing
        self._count = count
        self._delay_s = delay_s
        self._clock = clock
        self._line = WaitingLine(limits)
        self._again: deque[_Group] = deque()
        self._writers: dict[asyncio.Task[None], _Writer] = {}
        self._decision_due = False

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        """Return once the row is durable.

        A caller that is cancelled, or runs out of time, takes its row along if that has not been sent yet.

        Args:
            row: The row.
            deadline: When it must be over.

        Raises:
            EnrichmentError: the row's own verdict, or that of its request; TransientError `write_timeout` at the
                deadline.
        """
        left_s = deadline.left_s()
        if left_s <= 0:
            raise _too_late()
        loop = asyncio.get_running_loop()
        waiter = Waiter(row, deadline, loop.create_future())
        alarm = loop.call_later(left_s, self._time_out, waiter)
        self._line.join(waiter)
        if not self._decision_due:  # once for all rows of this turn of the loop, so that they go together
            self._decision_due = True
            loop.call_soon(self._start_writers)
        try:
            verdict = await waiter.verdict
        except asyncio.CancelledError:
            self._line.leave(waiter)
            raise
        finally:
            alarm.cancel()
        if verdict is not None:
            # One failure may answer many callers. Each raises a copy, for a raised exception gathers tracebacks.
            raise copy_error(verdict) from verdict

    def _time_out(self, waiter: Waiter) -> None:
        self._line.leave(waiter)
        waiter.answer(_too_late())

    def _start_writers(self) -> None:
        self._decision_due = False
        while (group := self._next_group()) is not None:
            writer = _Writer(group, self._clock())
            task = asyncio.get_running_loop().create_task(self._write_on(writer))
            self._writers[task] = writer
            task.add_done_callback(self._writer_ended)

    def _next_group(self) -> _Group | None:
        """Take what is to be written now, if anything."""
        now_s = self._clock()
        busy = [(writer.group, now_s - writer.since_s) for writer in self._writers.values() if writer.group]
        writes = [Write(len(group.entries), age_s) for group, age_s in busy if group.attempt == 1]
        resending = len(busy) - len(writes)
        while self._again and may_resend(len(writes), resending):
            group = self._again.popleft()
            group.entries = still_awaited(group.entries)
            if group.entries:
                return group
        waiting = len(self._line)
        if waiting and may_write(writes, resending, waiting, self._line.fills_a_request, self._sharing):
            return _Group(self._line.take())
        return None

    async def _write_on(self, writer: _Writer) -> None:
        """Write a group and then, in the same turn of the loop, go on with what has gathered meanwhile."""
        while writer.group is not None:
            await self._write_group(writer.group)
            writer.group = None
            writer.group, writer.since_s = self._next_group(), self._clock()
            self._start_writers()  # what may go beside that: the other half of a refused request

    async def _write_group(self, group: _Group) -> None:
        rows = [entry.row for entry in group.entries]
        self._count("insert_requests")
        self._count("insert_rows" if group.attempt == 1 else "insert_rows_resent", len(rows))
        try:
            verdicts = await self._insert(rows, group.deadline())
            result = partition(group.entries, verdicts)
        except RefusedError as refusal:
            result = halve(group.entries, refusal.verdict)
        except (TransientError, FaultError) as error:
            failed = release_frames(error)
            result = Partition([(entry, failed) for entry in group.entries], [], [])
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, no caller may be left waiting
            unexpected = of_unexpected_error(error, Stage.WRITE)
            result = Partition([(entry, unexpected) for entry in group.entries], [], [])
        for entry, verdict in result.settled:
            entry.answer(verdict)
        self._again.extend(_Group(entries, group.attempt + 1) for entries in result.at_once)
        if result.later:
            self._write_later(result.later, group.attempt)

    def _write_later(self, entries: Sequence[tuple[Entry, EnrichmentError]], attempt: int) -> None:
        """Send entries again after a delay; callers that cannot wait for that get their error now."""
        delay_s = self._delay_s(attempt)
        for entry, verdict in entries:
            for waiter in entry.waiters:
                if waiter.deadline.left_s() <= delay_s:
                    waiter.answer(verdict)
        group = _Group([entry for entry, _ in entries], attempt + 1)
        asyncio.get_running_loop().call_later(delay_s, self._write_again, group)

    def _write_again(self, group: _Group) -> None:
        self._again.append(group)
        self._start_writers()

    def _writer_ended(self, task: "asyncio.Task[None]") -> None:
        """Release all callers if a writer broke off, be it before its first step.

        Its task is cancelled at shutdown, so nothing new is started, and callers in line are released as well.
        """
        writer = self._writers.pop(task)
        error = None if task.cancelled() else task.exception()
        if writer.group is None and error is None:
            return
        verdict: EnrichmentError = failure("write_interrupted", "the write was broken off")
        if isinstance(error, Exception):
            verdict = of_unexpected_error(error, Stage.WRITE)
        groups = [*self._again] if writer.group is None else [writer.group, *self._again]
        self._again.clear()
        for entry in (*(entry for group in groups for entry in group.entries), *self._line.clear()):
            entry.answer(verdict)


def _too_late() -> EnrichmentError:
    return failure("write_timeout", "the row was not known to be durable in time")
