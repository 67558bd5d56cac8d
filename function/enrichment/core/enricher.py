"""The way of a message: its events decoded, looked up, built into rows and written; or dead-lettered, or retried."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from enrichment import dead_letter
from enrichment.core import plan
from enrichment.core.claims import Claims
from enrichment.core.gravity import GRAVEST_FIRST, concluded, gather_all
from enrichment.core.plan import PlannedRow
from enrichment.core.received import Received
from enrichment.core.transform import Transform
from enrichment.dead_letter import DeadLetterSink
from enrichment.deadline import EventTime, TimeBudget
from enrichment.errors import (
    BadEventError,
    Disposition,
    EnrichmentError,
    FaultError,
    Outcome,
    TransientError,
    failure,
    of_unexpected_error,
    release_frames,
)
from enrichment.event import Part, message
from enrichment.event.message import Message
from enrichment.event.recent_ids import RecentIds
from enrichment.sink import Sink
from enrichment.telemetry import spans, trace
from enrichment.telemetry.counters import Count, uncounted
from enrichment.telemetry.delivery import Delivery
from enrichment.telemetry.log import Log


@dataclass
class Enricher:
    """Takes messages to their end, any number at a time.

    A message with several events is acknowledged when each of them has ended. Until all of its rows are written no
    dead letter of it is published, so that a message which comes again does not publish them twice.

    Args:
        transform: Makes rows of a message.
        sink: Where rows go.
        dead_letters: Where bad events go.
        budget: How long one delivery may take.
        log: Where each end is logged.
        version: What runs here, for dead letters.
        function: Name of the function, for dead letters; empty if unknown.
        dead_letter_topic: Where bad events go, to notice that events come from there; empty if unknown.
        count: Counts the ends.
        sinks: Where the rows of each of `[[tables]]` go, by its name.
        recent_ids: The ids of rows that this process has written lately.
    """

    transform: Transform
    sink: Sink
    dead_letters: DeadLetterSink
    budget: TimeBudget
    log: Log
    version: str
    function: str = ""
    dead_letter_topic: str = ""
    count: Count = uncounted
    sinks: Mapping[str, Sink] = field(default_factory=dict)
    recent_ids: RecentIds = field(default_factory=RecentIds)

    async def handle(self, received: Received) -> Outcome:
        """Take one delivery to its end, count and log what became of each of its events.

        Nothing is left to do when this returns: every row and every dead letter is durable, or Pub/Sub is to deliver
        the message again.

        Args:
            received: The delivery.

        Returns:
            The end; of several events the gravest. Never raises for anything the delivery holds or a back end does.
        """
        time_left = self.budget.start()
        started_at = time.monotonic()
        known = received.message if isinstance(received.message, Message) else None
        delivery = Delivery(
            trace.find(received.extensions, known.attributes if known else {}), started_at, known
        )
        with spans.span("enrich", delivery.trace, "CONSUMER", message=known) as span:
            delivery.trace = span.trace  # what the row, a dead letter and the log name is the span's own
            outcome = await self._end(received, delivery, time_left)
            span.end(outcome)
        return outcome

    async def _end(self, received: Received, delivery: Delivery, time_left: EventTime) -> Outcome:
        parts = self.transform.split(received)
        if isinstance(parts, EnrichmentError):
            bad = delivery.message or message.unreadable(received.body)
            outcome = await self._settle(parts, bad, received, delivery, time_left)
            return self._conclude(outcome, delivery)
        if len(parts) == 1:
            ended = await self._take(parts[0], delivery, time_left, plan.RowLimit())
            outcome = await self._settle(ended, parts[0].message, received, delivery, time_left)
            return self._conclude(outcome, delivery)
        return await self._all(parts, received, delivery, time_left)

    async def _all(
        self, parts: Sequence[Part], received: Received, whole: Delivery, time_left: EventTime
    ) -> Outcome:
        """Take the events of one message to their ends, and give the gravest."""
        deliveries = [Delivery(whole.trace, whole.started_at, part.message) for part in parts]
        limit = plan.RowLimit()
        ended = await asyncio.gather(
            *(self._take(part, one, time_left, limit) for part, one in zip(parts, deliveries, strict=True))
        )
        if any(end.disposition in (Disposition.RETRY, Disposition.FAULT) for end in ended):
            held = failure(
                "message_incomplete", "the event is bad, and waits for the other events of its message"
            ).outcome()
            outcomes = [held if isinstance(end, BadEventError) else _outcome(end) for end in ended]
        else:
            outcomes = await asyncio.gather(
                *(
                    self._settle(end, part.published, received, one, time_left)
                    for end, part, one in zip(ended, parts, deliveries, strict=True)
                )
            )
        for outcome, one in zip(outcomes, deliveries, strict=True):
            self._conclude(outcome, one)
        return min(outcomes, key=lambda outcome: GRAVEST_FIRST.index(outcome.disposition))

    def _conclude(self, outcome: Outcome, delivery: Delivery) -> Outcome:
        self.count(
            "events", outcome=outcome.disposition.value, stage=str(outcome.stage or ""), reason=outcome.reason
        )
        self.log.delivery(outcome, delivery)
        return outcome

    async def _settle(
        self,
        ended: "Outcome | EnrichmentError",
        bad: Message | Callable[[], Message],
        received: Received,
        delivery: Delivery,
        time_left: EventTime,
    ) -> Outcome:
        """Publish the dead letter of an event that ended as a bad one; give the end."""
        if not isinstance(ended, BadEventError):
            return _outcome(ended)
        try:
            original = bad if isinstance(bad, Message) else bad()
            source = received.extensions.get("source", "")
            dead_letter.refuse_loop(original, ended, source, self.dead_letter_topic)
            composed = dead_letter.compose(original, ended, delivery.trace, self.version, self.function)
            await self.dead_letters.publish(composed, time_left.end)
        except (TransientError, FaultError) as error:
            return release_frames(error).outcome()
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            unexpected = of_unexpected_error(error)
            release_frames(error)
            return unexpected.outcome()
        return ended.outcome()

    async def _take(
        self, part: Part, delivery: Delivery, time_left: EventTime, limit: plan.RowLimit
    ) -> "Outcome | EnrichmentError":
        """Take one event to its end, but for its dead letter. Never raises."""
        try:
            rows = self.transform.plan(part, delivery, limit)
            if not rows:
                return Outcome(Disposition.DROPPED)
            claims = Claims(rows, self.transform.config.event, self.recent_ids, self.count)
            await claims.take_all(time_left.end)
            with claims:
                await self._write(rows, delivery, time_left, limit)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            return concluded(error)
        return Outcome(Disposition.WRITTEN)

    async def _write(
        self, rows: Sequence[PlannedRow], delivery: Delivery, time_left: EventTime, limit: plan.RowLimit
    ) -> None:
        for name in {planned.table for planned in rows}:
            self._sink(name).warm_up()
        built = await self.transform.build(rows, delivery, time_left, limit)
        with spans.span("write", delivery.trace):
            began_at = time.monotonic()
            if len(rows) == 1:
                await self._sink(rows[0].table).write(built[0], time_left.end)
            else:
                await gather_all(
                    [
                        self._sink(planned.table).write(one, time_left.end)
                        for planned, one in zip(rows, built, strict=True)
                    ]
                )
            delivery.write_s = time.monotonic() - began_at

    def _sink(self, name: str) -> Sink:
        return self.sinks[name] if name else self.sink


def _outcome(ended: "Outcome | EnrichmentError") -> Outcome:
    return ended if isinstance(ended, Outcome) else ended.outcome()
