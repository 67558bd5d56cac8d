"""The way of one event: decode, look up, build the row, write; or dead-letter, or hand back."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from enrichment import dead_letter, event, row
from enrichment.dead_letter import DeadLetters
from enrichment.deadline import EventTime, TimeBudget
from enrichment.errors import (
    BadEventError,
    Disposition,
    EnrichmentError,
    FaultError,
    Outcome,
    Stage,
    TransientError,
    of_unexpected_error,
)
from enrichment.event import message
from enrichment.event.message import Message
from enrichment.expressions import Scope
from enrichment.lookup import Lookups
from enrichment.lookup.profile import LookupResult
from enrichment.settings.model import PipelineConfig
from enrichment.sink import Sink
from enrichment.telemetry import spans, trace
from enrichment.telemetry.counters import Count, uncounted
from enrichment.telemetry.delivery import Delivery
from enrichment.telemetry.log import Log


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Enricher:
    """Takes deliveries to their end, any number at a time.

    Args:
        config: What makes an event, and what is written of it.
        lookups: Where profiles come from.
        sink: Where rows go.
        dead_letters: Where bad events go.
        budget: How long one delivery may take.
        log: Where each end is told.
        version: What runs here, for dead letters.
        function: Name of the function, for dead letters; empty if unknown.
        dead_letter_topic: Where bad events go, to notice that events come from there; empty if unknown.
        count: Counts the ends.
        now: The clock, in UTC.
    """

    config: PipelineConfig
    lookups: Lookups
    sink: Sink
    dead_letters: DeadLetters
    budget: TimeBudget
    log: Log
    version: str
    function: str = ""
    dead_letter_topic: str = ""
    count: Count = uncounted
    now: Callable[[], datetime] = _now

    async def handle(self, data: object, extensions: Mapping[str, object]) -> Outcome:
        """Takes one delivery to its end, counts it and logs it.

        Nothing is left to do when this returns: the row or the dead letter is durable, or the delivery is to
        be handed back to Pub/Sub.

        Args:
            data: The CloudEvent's data, of any type.
            extensions: The CloudEvent's attributes and extensions.

        Returns:
            The end. Never raises for anything the delivery holds or a back end does.
        """
        time_left = self.budget.start()
        started_at = time.monotonic()
        found = _read(data)
        known = found if isinstance(found, Message) else None
        delivery = Delivery(trace.find(extensions, known.attributes if known else {}), started_at, known)
        attributes = spans.message_attributes(known) if known else None
        with spans.span("enrich", delivery.trace, "CONSUMER", attributes) as span:
            delivery.trace = span.trace  # what the row, a dead letter and the log name is the span's own
            outcome = await self._end(data, extensions, found, delivery, time_left)
            span.end(outcome)
        self.count(
            "events", outcome=outcome.disposition.value, stage=str(outcome.stage or ""), reason=outcome.reason
        )
        self.log.delivery(outcome, delivery)
        return outcome

    async def _end(
        self,
        data: object,
        extensions: Mapping[str, object],
        found: Message | EnrichmentError,
        delivery: Delivery,
        time_left: EventTime,
    ) -> Outcome:
        try:
            try:
                if isinstance(found, EnrichmentError):
                    raise found
                await self._enrich(found, delivery, time_left)
            except BadEventError as error:
                bad = delivery.message or message.unreadable(data)
                dead_letter.refuse_loop(bad, error, str(extensions.get("source", "")), self.dead_letter_topic)
                letter = dead_letter.compose(bad, error, delivery.trace, self.version, self.function)
                await self.dead_letters.publish(letter, time_left.end)
                return error.outcome()
        except (TransientError, FaultError) as error:
            return error.outcome()
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            return of_unexpected_error(error).outcome()
        return Outcome(Disposition.WRITTEN)

    async def _enrich(self, found: Message, delivery: Delivery, time_left: EventTime) -> None:
        delivery.event = event.decode(found, self.config.event)
        self.sink.warm_up()
        scope = event.scope(delivery.event, found)
        results = await self._look_up(scope, delivery, time_left)
        profiles = {name: result.profile for name, result in results.items()}
        scope = scope.extended(
            {
                **{name: profile.document if profile else None for name, profile in profiles.items()},
                "trace": {"id": delivery.trace.trace_id},
                "now": self.now(),
            },
            {name: profile.text for name, profile in profiles.items() if profile},
        )
        built = row.build(self.config.columns, delivery.event.event_id, scope)
        with spans.span("write", delivery.trace):
            began_at = time.monotonic()
            await self.sink.write(built, time_left.end)
            delivery.write_s = time.monotonic() - began_at

    async def _look_up(
        self, scope: Scope, delivery: Delivery, time_left: EventTime
    ) -> Mapping[str, LookupResult]:
        answers = await self.lookups.fetch(scope, delivery.trace, time_left.lookup)
        delivery.cache, delivery.lookup_s = answers.cache, answers.seconds
        if answers.error is not None:
            raise answers.error
        return answers.results


def _read(data: object) -> Message | EnrichmentError:
    """The message in a delivery, or why there is none."""
    try:
        return message.read(data)
    except BadEventError as error:
        return error
    except Exception as error:  # noqa: BLE001 - as in `Enricher`
        return of_unexpected_error(error, Stage.DECODE)
