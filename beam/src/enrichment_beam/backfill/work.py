"""Work on one shard: read, enriched, written, and then noted in the journal.

A shard is one element of the pipeline, so its rows are durable before its state is written, whatever the runner does
with bundles. It goes on from its own state, so a bundle that comes again, or a run after one that was killed, reads
only what is left.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.metrics import Metrics
from enrichment.core.received import Received
from enrichment.errors import Disposition

from enrichment_beam import shared_engine
from enrichment_beam.backfill import storage
from enrichment_beam.backfill.journal import Journal
from enrichment_beam.backfill.output import LoadFiles, Output, Written
from enrichment_beam.backfill.readers import BLANK, Form, InputError, Read, reader
from enrichment_beam.backfill.records import EventRecords
from enrichment_beam.backfill.shard import UNITS, Kind, Records, Shard, ShardState, add, counts
from enrichment_beam.counts import NAMESPACE
from enrichment_beam.engine import Bundle, Ended, EngineOptions
from enrichment_beam.enrich import EventsNotFinishedError, not_finished
from enrichment_beam.settings import WorkerSettings
from enrichment_beam.shared_engine import Lease

TOO_LARGE = "dead_letter_too_large"
"""Reason of a bad event that fills a message by itself. In a subscription it is a fault: no such message can come from
there. A file may hold one, and the rest of the file must not wait for it."""

MAX_AHEAD = 8
"""How many records of a shard may wait for an earlier one, in multiples of what may be under way. One that is tried
again for minutes must not gather a whole file behind it."""

STATE_EVERY_S = 1.0
"""Least time between two states of a shard, in seconds: what a bucket takes of one object."""


@dataclass(frozen=True)
class Job:
    """What the workers of a backfill need to know.

    Args:
        settings: The enrichment's.
        options: How many events may be under way, and how fast.
        journal: The journal's folder.
        records: What a record is.
        began_at: What stands for the publish time of events, RFC 3339.
        publish_time: Path of the field of an event that stands for it; empty for none.
        load_folder: In which folder files for load jobs go; empty where rows are written.
        any_function: Whether to take dead letters of every function and subscription.
    """

    settings: WorkerSettings
    options: EngineOptions
    journal: str
    records: Records
    began_at: str
    publish_time: str = ""
    load_folder: str = ""
    any_function: bool = False

    @property
    def rows_folder(self) -> str:
        """Where the files for load jobs of this backfill are, and those of no other one."""
        name = hashlib.sha256(f"{self.journal} {self.began_at}".encode()).hexdigest()[:12]
        return storage.join(self.load_folder, f"backfill-{name}")


@dataclass(slots=True)
class _Pending:
    read: Read
    ended: Ended | None = None
    is_over: bool = False


def _never(found: Received) -> bool:
    return False


@dataclass
class ShardRun:
    """One shard on its way.

    Args:
        shard: The shard.
        state: How far it is.
        journal: Where that is noted.
        output: Where rows go that the engine has not written.
        is_undated: Whether an event lacks its publish time.
        most_ahead: Most records that may wait for an earlier one.
        clock: The monotonic time, in seconds.
    """

    shard: Shard
    state: ShardState
    journal: Journal
    output: Output
    is_undated: Callable[[Received], bool] = _never
    most_ahead: int = 2048
    clock: Callable[[], float] = time.monotonic
    _pending: deque[_Pending] = field(default_factory=deque)
    _noted_at: float = 0.0
    _flushed_to: int = -1

    def take(self, reads: Iterator[Read], bundle: Bundle) -> None:
        """Take all records to their end.

        Args:
            reads: The records.
            bundle: What takes them.

        Raises:
            EventsNotFinishedError: A transient error did not pass, or a fault ends the run.
        """
        self._noted_at = self.clock()
        self._flushed_to = self.state.position
        try:
            for read in reads:
                pending = _Pending(read)
                self._pending.append(pending)
                if read.received is None or read.received is BLANK:
                    pending.is_over = True
                else:
                    bundle.add(pending, read.received)
                for ended in bundle.finished():
                    self._over(ended)
                self._advance()
                while len(self._pending) >= self.most_ahead:
                    self._over(bundle.wait_one())
                    self._advance()
            for ended in bundle.drain():
                self._over(ended)
            self._advance()
            self.state.done = True
        except InputError as error:
            for ended in bundle.drain():  # what was read before it is not lost
                self._over(ended)
            self._advance()
            self.state.failed = str(error)
        except BaseException as error:
            bundle.abandon()
            if isinstance(error, EventsNotFinishedError):
                self.state.failed = str(error)
            raise
        finally:
            self._note()

    def _over(self, ended: Ended) -> None:
        pending: _Pending = ended.ticket
        if ended.outcome.reason == TOO_LARGE:  # longer than a message can be: no run would ever pass it
            pending.is_over = True
            return
        if ended.outcome.disposition in (Disposition.RETRY, Disposition.FAULT):
            raise not_finished(ended)
        pending.ended, pending.is_over = ended, True

    def _advance(self) -> None:
        """Count what has come to its end, up to the first record that has not."""
        while self._pending and self._pending[0].is_over:
            self._count(self._pending.popleft())
        if self.output.is_full and self.clock() - self._noted_at >= STATE_EVERY_S:
            self._note()

    def _count(self, pending: _Pending) -> None:
        state, read = self.state, pending.read
        state.position, state.progress = read.position, read.progress
        if read.received is BLANK:
            return
        state.records += 1
        if pending.ended is None:
            state.unreadable += 1
            return
        if read.received is not None:
            state.undated += self.is_undated(read.received)
        found = pending.ended.tally
        self.output.add(found.collected)
        state.rows += found.rows
        state.retries += found.tries - 1
        add(state.outcomes, counts(one.disposition.value for one in found.outcomes))
        bad = [one for one in found.outcomes if one.disposition is Disposition.DEAD_LETTERED]
        add(state.reasons, counts(one.reason for one in bad))
        for one in bad:
            place = f"{self.shard.name}, {UNITS[self.shard.kind]} {read.place}"
            state.examples.setdefault(one.reason, f"{place}: {one.detail}")
        add(state.lookups, counts(found.lookups))

    def _note(self) -> None:
        self.output.flush(self.shard.number, self._flushed_to)
        self._flushed_to = self.state.position
        self.state.at = time.time()
        self.journal.write_state(self.state)
        self._noted_at = self.clock()


class ShardDoFn(beam.DoFn):
    """Takes shards to their end, one after the other in each thread of the runner.

    Args:
        job: What the workers need to know.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lease: Lease | None = None

    def setup(self) -> None:
        """Start the process's engine, or join it."""
        self._lease = shared_engine.lease(self._job.settings, self._job.options)

    def process(self, element: Shard) -> Iterator[int]:
        """Take one shard to its end, and give its number."""
        if self._lease is None:
            raise RuntimeError("The runner gave an element without setup.")
        journal = Journal(self._job.journal)
        with journal.at_work():
            self._take(element, journal, self._lease)
        yield element.number

    def _take(self, element: Shard, journal: Journal, lease: Lease) -> None:
        job = self._job
        state = journal.state(element)
        if not state.done:
            before = state.records, state.rows
            state.failed = ""
            output = self._output()
            output.go_on(state.number, state.position)
            events = EventRecords(job.began_at, job.publish_time)
            most_ahead = job.options.in_flight * MAX_AHEAD
            run = ShardRun(element, state, journal, output, events.is_undated, most_ahead)
            if element.kind is Kind.SUBSCRIPTION:
                from enrichment_beam.backfill.dead_letter_input import take

                take(run, lease, job)
            else:
                run.take(
                    reader(element.kind, Form(job.records, events))(element, state.position),
                    lease.bundle(),
                )
            Metrics.counter(NAMESPACE, "records").inc(state.records - before[0])
            Metrics.counter(NAMESPACE, "rows").inc(state.rows - before[1])

    def teardown(self) -> None:
        """Leave the process's engine."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _output(self) -> Output:
        if not self._job.load_folder:
            return Written()
        return LoadFiles(self._job.rows_folder, _columns(self._job.settings))


def _columns(settings: WorkerSettings) -> "Mapping[str, Sequence]":  # type: ignore[type-arg]
    import os

    from enrichment.settings import environment

    from enrichment_beam.backfill.output import columns_by_table

    known, destinations = environment.read_for_events(os.environ)
    return columns_by_table(known.config, destinations.table)
