"""The way of a message: its events decoded, looked up, built into rows and written; or dead-lettered, or retried."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from enrichment import dead_letter, event, row
from enrichment.core import plan
from enrichment.core.plan import PlannedRow
from enrichment.dead_letter import DeadLetters
from enrichment.deadline import EventTime, TimeBudget
from enrichment.drivers.push.forms import Push
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
from enrichment.expressions import Scope
from enrichment.lookup import Lookups
from enrichment.lookup.profile import LookupResult
from enrichment.row import Row
from enrichment.settings.model import OnConflict, PipelineConfig
from enrichment.sink import Sink
from enrichment.telemetry import spans, trace
from enrichment.telemetry.counters import Count, uncounted
from enrichment.telemetry.delivery import Delivery
from enrichment.telemetry.log import Log

_T = TypeVar("_T")

_GRAVEST_FIRST = (
    Disposition.FAULT,
    Disposition.RETRY,
    Disposition.DEAD_LETTERED,
    Disposition.WRITTEN,
    Disposition.DROPPED,
)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Enricher:
    """Takes messages to their end, any number at a time.

    A message with several events is acknowledged when each of them has ended. Until all of its rows are written no
    dead letter of it is published, so that a message which comes again does not publish them twice.

    Args:
        config: What makes an event, and what is written of it.
        lookups: Where profiles come from.
        sink: Where rows go.
        dead_letters: Where bad events go.
        budget: How long one delivery may take.
        log: Where each end is logged.
        version: What runs here, for dead letters.
        function: Name of the function, for dead letters; empty if unknown.
        dead_letter_topic: Where bad events go, to notice that events come from there; empty if unknown.
        count: Counts the ends.
        now: The clock, in UTC.
        sinks: Where the rows of each of `[[tables]]` go, by its name.
        recent_ids: The ids of rows that this process has written lately.
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
    sinks: Mapping[str, Sink] = field(default_factory=dict)
    recent_ids: RecentIds = field(default_factory=RecentIds)

    async def handle(self, push: Push) -> Outcome:
        """Take one delivery to its end, count and log what became of each of its events.

        Nothing is left to do when this returns: every row and every dead letter is durable, or Pub/Sub is to deliver
        the message again.

        Args:
            push: The delivery.

        Returns:
            The end; of several events the gravest. Never raises for anything the delivery holds or a back end does.
        """
        time_left = self.budget.start()
        started_at = time.monotonic()
        known = push.message if isinstance(push.message, Message) else None
        delivery = Delivery(trace.find(push.extensions, known.attributes if known else {}), started_at, known)
        attributes = spans.message_attributes(known) if known else None
        with spans.span("enrich", delivery.trace, "CONSUMER", attributes) as span:
            delivery.trace = span.trace  # what the row, a dead letter and the log name is the span's own
            outcome = await self._end(push, delivery, time_left)
            span.end(outcome)
        return outcome

    async def _end(self, push: Push, delivery: Delivery, time_left: EventTime) -> Outcome:
        parts = self._split(push)
        if isinstance(parts, EnrichmentError):
            bad = delivery.message or message.unreadable(push.body)
            outcome = await self._settle(parts, bad, push, delivery, time_left)
            return self._conclude(outcome, delivery)
        if len(parts) == 1:
            ended = await self._take(parts[0], delivery, time_left, plan.RowLimit())
            outcome = await self._settle(ended, parts[0].message, push, delivery, time_left)
            return self._conclude(outcome, delivery)
        return await self._all(parts, push, delivery, time_left)

    def _split(self, push: Push) -> "list[Part] | EnrichmentError":
        """Return the events in a delivery, or why there are none."""
        if isinstance(push.message, EnrichmentError):
            return push.message
        try:
            return event.split(push.message, self.config.event)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            return _concluded(error)

    async def _all(self, parts: Sequence[Part], push: Push, whole: Delivery, time_left: EventTime) -> Outcome:
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
                    self._settle(end, part.published, push, one, time_left)
                    for end, part, one in zip(ended, parts, deliveries, strict=True)
                )
            )
        for outcome, one in zip(outcomes, deliveries, strict=True):
            self._conclude(outcome, one)
        return min(outcomes, key=lambda outcome: _GRAVEST_FIRST.index(outcome.disposition))

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
        push: Push,
        delivery: Delivery,
        time_left: EventTime,
    ) -> Outcome:
        """Publish the dead letter of an event that ended as a bad one; give the end."""
        if not isinstance(ended, BadEventError):
            return _outcome(ended)
        try:
            original = bad if isinstance(bad, Message) else bad()
            source = push.extensions.get("source", "")
            dead_letter.refuse_loop(original, ended, source, self.dead_letter_topic)
            letter = dead_letter.compose(original, ended, delivery.trace, self.version, self.function)
            await self.dead_letters.publish(letter, time_left.end)
        except (TransientError, FaultError) as error:
            return release_frames(error).outcome()
        except Exception as error:  # noqa: BLE001 - as above
            unexpected = of_unexpected_error(error)
            release_frames(error)
            return unexpected.outcome()
        return ended.outcome()

    async def _take(
        self, part: Part, delivery: Delivery, time_left: EventTime, limit: plan.RowLimit
    ) -> "Outcome | EnrichmentError":
        """Take one event to its end, but for its dead letter. Never raises."""
        try:
            found = delivery.event = event.decode(part, self.config.event)
            rows = plan.plan(found, self.config, limit)
            if not rows:
                return Outcome(Disposition.DROPPED)
            with _Claims(self, rows):
                await self._write(rows, delivery, time_left, limit)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            return _concluded(error)
        return Outcome(Disposition.WRITTEN)

    async def _write(
        self, rows: Sequence[PlannedRow], delivery: Delivery, time_left: EventTime, limit: plan.RowLimit
    ) -> None:
        for name in {planned.table for planned in rows}:
            self._sink(name).warm_up()
        # All are built before the first is written: a bad one then leaves no half of its event in the table.
        built = await _together([self._build(planned, delivery, time_left, limit) for planned in rows])
        with spans.span("write", delivery.trace):
            began_at = time.monotonic()
            await _together(
                [
                    self._sink(planned.table).write(one, time_left.end)
                    for planned, one in zip(rows, built, strict=True)
                ]
            )
            delivery.write_s = time.monotonic() - began_at

    async def _build(
        self, planned: PlannedRow, delivery: Delivery, time_left: EventTime, limit: plan.RowLimit
    ) -> Row:
        results = await self._look_up(planned.scope, delivery, time_left)
        found = {name: result.profile for name, result in results.items()}
        scope = planned.scope.extended(
            {
                **{name: profile and profile.document for name, profile in found.items()},
                "trace": {"id": delivery.trace.trace_id},
                "now": self.now(),
            },
            {name: profile.text for name, profile in found.items() if profile is not None},
        )
        limit.check_bytes()
        if time_left.end.left_s() <= 0:  # of many rows, each may take a while
            raise failure("write_timeout", "the rows of the event could not be built in time")
        built = row.build(planned.columns, planned.insert_id, scope)
        limit.take_bytes(built.size_bytes)
        return built

    def _sink(self, name: str) -> Sink:
        return self.sinks[name] if name else self.sink

    async def _look_up(
        self, scope: Scope, delivery: Delivery, time_left: EventTime
    ) -> Mapping[str, LookupResult]:
        answers = await self.lookups.fetch(scope, delivery.trace, time_left.lookup)
        delivery.cache, delivery.lookup_s = answers.cache, answers.seconds
        if answers.error is not None:
            raise answers.error
        return answers.results


class _Claims:
    """The names of an event's rows, claimed while they are written and kept if they are.

    Raises:
        BadEventError: `identity_conflict`, on entering, one of them belongs to other content.
    """

    def __init__(self, enricher: Enricher, rows: Sequence[PlannedRow]) -> None:
        self._memory = enricher.recent_ids
        self._count = enricher.count
        self._on_conflict = enricher.config.event.on_conflict
        # Where the content is a part of the name, no name can belong to two.
        self._rows = rows if plan.shape_needs_memory(enricher.config.event) else ()
        self._claimed: list[PlannedRow] = []

    def __enter__(self) -> None:
        for planned in self._rows:
            if self._memory.claim(planned.row_id, planned.digest):
                self._claimed.append(planned)
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
        for planned in self._claimed:
            self._memory.keep(planned.row_id, planned.digest)

    def _release(self) -> None:
        for planned in self._claimed:
            self._memory.release(planned.row_id, planned.digest)


async def _together(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Do all of it at once; raise the gravest error, when all have ended."""
    if len(work) == 1:
        return [await work[0]]
    results = await asyncio.gather(*work, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise min(errors, key=_gravity)
    return [result for result in results if not isinstance(result, BaseException)]


def _gravity(error: BaseException) -> int:
    if not isinstance(error, Exception):
        return -1
    return _GRAVEST_FIRST.index(_decided(error).disposition)


def _decided(error: Exception) -> EnrichmentError:
    return error if isinstance(error, EnrichmentError) else of_unexpected_error(error)


def _concluded(error: Exception) -> EnrichmentError:
    decided = _decided(error)
    release_frames(error)
    return decided


def _outcome(ended: "Outcome | EnrichmentError") -> Outcome:
    return ended if isinstance(ended, Outcome) else ended.outcome()
