"""Work on one shard: read, enriched, written, and then noted in the journal.

A shard is one element of the pipeline, so its rows are durable before its state is written, whatever the runner does
with bundles. It goes on from its own state, so a bundle that comes again, or a run after one that was killed, reads
only what is left.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.metrics import Metrics
from enrichment.errors import Disposition

from enrichment_beam import engine
from enrichment_beam.backfill.journal import Journal
from enrichment_beam.backfill.output import LoadFiles, Output, Written
from enrichment_beam.backfill.readers import BLANK, Form, InputError, Read, reader
from enrichment_beam.backfill.records import EventRecords
from enrichment_beam.backfill.shard import Kind, Records, Shard, ShardState, add, counts
from enrichment_beam.engine import Bundle, Ended, EngineOptions, Lease
from enrichment_beam.enrich import NAMESPACE, EventsNotFinishedError, not_finished
from enrichment_beam.settings import WorkerSettings

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
        load_folder: Where files for load jobs go; empty where rows are written.
    """

    settings: WorkerSettings
    options: EngineOptions
    journal: str
    records: Records
    began_at: str
    publish_time: str = ""
    load_folder: str = ""


@dataclass(slots=True)
class _Pending:
    read: Read
    ended: Ended | None = None
    is_over: bool = False


@dataclass
class ShardRun:
    """One shard on its way.

    Args:
        shard: The shard.
        state: How far it is.
        journal: Where that is noted.
        output: Where rows go that the engine has not written.
        clock: The monotonic time, in seconds.
    """

    shard: Shard
    state: ShardState
    journal: Journal
    output: Output
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
        if ended.outcome.disposition in (Disposition.RETRY, Disposition.FAULT):
            raise not_finished(ended)
        pending: _Pending = ended.ticket
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
        found = pending.ended.tally
        self.output.add(found.collected)
        state.rows += found.rows
        state.retries += found.tries - 1
        add(state.outcomes, counts(one.disposition.value for one in found.outcomes))
        bad = [one for one in found.outcomes if one.disposition is Disposition.DEAD_LETTERED]
        add(state.reasons, counts(one.reason for one in bad))
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
        self._lease = engine.lease(self._job.settings, self._job.options)

    def process(self, element: Shard) -> Iterator[int]:
        """Take one shard to its end, and give its number."""
        if self._lease is None:
            raise RuntimeError("The runner gave an element without setup.")
        job, journal = self._job, Journal(self._job.journal)
        state = journal.state(element)
        if not state.done:
            before = state.records, state.rows
            state.failed = ""
            run = ShardRun(element, state, journal, self._output())
            if element.kind is Kind.SUBSCRIPTION:
                from enrichment_beam.backfill.dead_letter_input import take

                take(run, self._lease)
            else:
                form = Form(job.records, EventRecords(job.began_at, job.publish_time))
                run.take(reader(element.kind, form)(element, state.position), self._lease.bundle())
            Metrics.counter(NAMESPACE, "records").inc(state.records - before[0])
            Metrics.counter(NAMESPACE, "rows").inc(state.rows - before[1])
        yield element.number

    def teardown(self) -> None:
        """Leave the process's engine."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _output(self) -> Output:
        if not self._job.load_folder:
            return Written()
        return LoadFiles(self._job.load_folder, _columns(self._job.settings))


def _columns(settings: WorkerSettings) -> "Mapping[str, Sequence]":  # type: ignore[type-arg]
    import os

    from enrichment.settings import environment

    from enrichment_beam.backfill.output import columns_by_table

    known, destinations = environment.read_for_events(os.environ)
    return columns_by_table(known.config, destinations.table)
