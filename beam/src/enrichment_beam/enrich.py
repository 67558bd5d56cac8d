"""The enrichment as transforms: an asynchronous DoFn, with rows, dead letters and retries as tagged outputs.

====================  ============================================  ============================================
what became of it     `EnrichAndWrite`                              `Enrich`
====================  ============================================  ============================================
rows                  written in the worker, then `ENDED`           `ROWS`, for a sink of Beam
a bad event           dead letter published, then `ENDED`           `DEAD_LETTERS`, for `WriteToPubSub`
dropped               `ENDED`                                       nothing
a transient error     tried again in the worker for `patience_s`; then the bundle fails, and the runner gives it again,
                      or the message goes to `RETRY` (`on_retry`)
a fault               the bundle fails at once; never dead-lettered, whatever `on_retry` says
====================  ============================================  ============================================

A bundle that fails comes again whole. Its rows have the same insertIds then, so BigQuery's de-duplication and the
de-duplicated view count each once.
"""

import enum
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations
from apache_beam.utils.windowed_value import WindowedValue
from enrichment.core.received import Received
from enrichment.dead_letter import DeadLetter
from enrichment.errors import Disposition

from enrichment_beam import shared_engine
from enrichment_beam.counts import NAMESPACE, Counts
from enrichment_beam.engine import Bundle, Ended, EngineOptions
from enrichment_beam.messages import PubsubMessage, of_pubsub
from enrichment_beam.settings import WorkerSettings
from enrichment_beam.tally import TableRow

ROWS, DEAD_LETTERS, RETRY, ENDED = "rows", "dead_letters", "retry", "ended"
"""Tags of the outputs."""


class OnRetry(enum.StrEnum):
    """What becomes of a message whose transient error did not pass in time."""

    FAIL = "fail"
    """The bundle fails, and the runner gives it again. Dataflow does so without end in a stream, and four times in
    a batch."""
    OUTPUT = "output"
    """The message goes to `RETRY`, and the pipeline decides."""


class EventsNotFinishedError(RuntimeError):
    """Events of a bundle did not come to their end, so the runner must give it again; the message says why."""


class EventEnded(NamedTuple):
    """One message that is written, dead-lettered or dropped.

    Args:
        message_id: The message's id.
        disposition: `written`, `dead-lettered` or `dropped`; of several events in a message the gravest.
        reason: A stable code, empty if it was written.
        rows: How many rows were written.
    """

    message_id: str
    disposition: str
    reason: str
    rows: int


class EnrichDoFn(beam.DoFn):
    """Enriches the messages of its bundles in the event loop of the process.

    `process` begins with a message and goes on with the next one; it waits only where as many as are allowed are under
    way in the process. Results leave when they are there, with the timestamp, window and pane of their own message.
    `finish_bundle` waits for the rest, so no event outlives its bundle.

    Args:
        settings: What the enrichment needs to know.
        options: How many events may be under way, and how fast.
        on_retry: What becomes of a transient error that did not pass.
        to_received: Makes what the core takes of an element.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        options: EngineOptions,
        on_retry: OnRetry = OnRetry.FAIL,
        to_received: Callable[[Any], Received] = of_pubsub,
    ) -> None:
        self._settings = settings
        self._options = options
        self._on_retry = on_retry
        self._to_received = to_received
        self._lease: shared_engine.Lease | None = None
        self._bundle: Bundle | None = None
        self._counts = Counts()

    def setup(self) -> None:
        """Start the process's engine, or join it."""
        self._lease = shared_engine.lease(self._settings, self._options)

    def start_bundle(self) -> None:
        """Begin a bundle; what an aborted one left under way is cancelled."""
        if self._bundle is not None:
            self._bundle.abandon()
        if self._lease is None:
            raise RuntimeError("The runner began a bundle without setup.")
        self._bundle = self._lease.bundle()
        self._counts = Counts()

    def process(
        self,
        element: PubsubMessage,
        windowed: WindowedValue = beam.DoFn.WindowedValueParam,
    ) -> Iterator[Any]:
        """Begin with one message, and give the results that are there."""
        bundle = self._of_bundle()
        bundle.add(windowed, self._to_received(element))
        # Beam repeats the windows of a result once for each window of the current element (2.77).
        if len(windowed.windows) == 1:
            for ended in bundle.finished():
                yield from self._results(ended)

    def finish_bundle(self) -> Iterator[Any]:
        """Wait for the rest of the bundle, and give its results."""
        bundle = self._of_bundle()
        for ended in bundle.drain():
            yield from self._results(ended)
        self._counts.report()
        self._bundle = None

    def teardown(self) -> None:
        """Leave the process's engine."""
        if self._bundle is not None:
            self._bundle.abandon()
            self._bundle = None
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _of_bundle(self) -> Bundle:
        if self._bundle is None:
            raise RuntimeError("The runner gave an element outside of a bundle.")
        return self._bundle

    def _results(self, ended: Ended) -> Iterator[Any]:
        """Count a message that has ended, and give its results with the timestamp, windows and pane of the message."""
        self._counts.add(ended, collects_rows=self._options.collects_rows)
        disposition = ended.outcome.disposition
        if disposition is Disposition.FAULT or (
            disposition is Disposition.RETRY and self._on_retry is OnRetry.FAIL
        ):
            self._counts.report()
            if self._bundle is not None:
                self._bundle.abandon()
                self._bundle = None
            raise not_finished(ended)
        windowed: WindowedValue = ended.ticket
        for tag, value in self._outputs(ended):
            yield pvalue.TaggedOutput(tag, windowed.with_value(value))

    def _outputs(self, ended: Ended) -> Iterator[tuple[str, object]]:
        """Give what comes of a message, each with its tag."""
        if ended.outcome.disposition is Disposition.RETRY:
            yield RETRY, ended.ticket.value
            return
        if self._options.collects_rows:
            for row in ended.tally.collected:
                yield ROWS, row
        else:
            yield ENDED, event_ended(ended)
        for dead in ended.tally.dead_letters:
            yield DEAD_LETTERS, published(dead)


def not_finished(ended: Ended) -> EventsNotFinishedError:
    """Return the error of a bundle with a message that did not come to its end."""
    outcome = ended.outcome
    what = (
        "is a fault of the configuration"
        if outcome.disposition is Disposition.FAULT
        else f"did not pass in time, tries: {ended.tally.tries}"
    )
    return EventsNotFinishedError(
        f"The message {ended.message_id!r} was not finished, and its bundle is given back. "
        f"{outcome.reason} at {outcome.stage or 'no stage'} {what}: {outcome.detail.rstrip('.')}."
    )


def event_ended(ended: Ended) -> EventEnded:
    """Return what is reported of a message at its end."""
    outcome = ended.outcome
    return EventEnded(ended.message_id, outcome.disposition.value, outcome.reason, ended.tally.rows)


def published(dead: DeadLetter) -> PubsubMessage:
    """Return a dead letter as `WriteToPubSub` takes it."""
    return PubsubMessage(dead.data, dict(dead.attributes), ordering_key=dead.ordering_key)


class Enrich(beam.PTransform):
    """Messages to rows and dead letters, which later steps write.

    Gives `ROWS` (`TableRow`), `DEAD_LETTERS` (`PubsubMessage`) and, with `OnRetry.OUTPUT`, `RETRY`. A dead letter of a
    message with several events may be written before the rows of its other events: two sinks know nothing of each
    other. `EnrichAndWrite` keeps the function's order.

    Args:
        settings: What the enrichment needs to know.
        options: How many events may be under way, and how fast.
        on_retry: What becomes of a transient error that did not pass.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        options: EngineOptions | None = None,
        on_retry: OnRetry = OnRetry.FAIL,
    ) -> None:
        super().__init__()
        given = options or EngineOptions()
        self._do = EnrichDoFn(settings, _collecting(given), on_retry)

    @no_annotations  # type: ignore[untyped-decorator] # Beam's own
    def expand(self, messages: pvalue.PCollection) -> pvalue.DoOutputsTuple:
        """Apply the transform."""
        return messages | beam.ParDo(self._do).with_outputs(ROWS, DEAD_LETTERS, RETRY)


class EnrichAndWrite(beam.PTransform):
    """Messages to rows in BigQuery and dead letters on their topic, written in the worker as the function writes them.

    Gives `ENDED` (`EventEnded`) and, with `OnRetry.OUTPUT`, `RETRY`.

    Args:
        settings: What the enrichment needs to know.
        options: How many events may be under way, and how fast.
        on_retry: What becomes of a transient error that did not pass.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        options: EngineOptions | None = None,
        on_retry: OnRetry = OnRetry.FAIL,
    ) -> None:
        super().__init__()
        self._do = EnrichDoFn(settings, options or EngineOptions(), on_retry)

    @no_annotations  # type: ignore[untyped-decorator] # Beam's own
    def expand(self, messages: pvalue.PCollection) -> pvalue.DoOutputsTuple:
        """Apply the transform."""
        return messages | beam.ParDo(self._do).with_outputs(ENDED, RETRY)


def _collecting(options: EngineOptions) -> EngineOptions:
    return replace(options, collects_rows=True, collects_dead_letters=True)


__all__ = [
    "DEAD_LETTERS",
    "ENDED",
    "NAMESPACE",
    "RETRY",
    "ROWS",
    "Enrich",
    "EnrichAndWrite",
    "EnrichDoFn",
    "EventEnded",
    "EventsNotFinishedError",
    "OnRetry",
    "TableRow",
]
