"""A message to rows: decoded, planned, looked up and built. Nothing is written here, and nothing is answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from enrichment import event, row
from enrichment.core import plan as planning
from enrichment.core.gravity import concluded, gather_all
from enrichment.core.plan import PlannedRow, RowLimit
from enrichment.core.received import Received
from enrichment.deadline import EventTime
from enrichment.errors import EnrichmentError, failure
from enrichment.event import Part
from enrichment.lookup import Lookups
from enrichment.row import Row
from enrichment.settings.model import PipelineConfig
from enrichment.telemetry.delivery import Delivery


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@dataclass
class Transform:
    """What `pipeline.toml` says, applied to messages; each driver writes what comes of it in its own way.

    Args:
        config: What makes an event, and what is written of it.
        lookups: Where profiles come from.
        now: The clock, in UTC.
    """

    config: PipelineConfig
    lookups: Lookups
    now: Callable[[], datetime] = utc_now

    def split(self, received: Received) -> "list[Part] | EnrichmentError":
        """Return the events in a message, or why there are none. Never raises."""
        if isinstance(received.message, EnrichmentError):
            return received.message
        try:
            return event.split(received.message, self.config.event)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            return concluded(error)

    def plan(self, part: Part, delivery: Delivery, limit: RowLimit) -> list[PlannedRow]:
        """Decode one event and decide which rows it makes; note the event in the delivery.

        Args:
            part: One event of a message.
            delivery: What is known of the delivery.
            limit: What the events of the message share.

        Returns:
            The rows, none of an event that is to be dropped.

        Raises:
            BadEventError: the event is bad.
        """
        found = delivery.event = event.decode(part, self.config.event)
        return planning.plan(found, self.config, limit)

    async def build(
        self, planned: Sequence[PlannedRow], delivery: Delivery, time_left: EventTime, limit: RowLimit
    ) -> list[Row]:
        """Look up what the rows of one event need, and build them.

        Args:
            planned: The rows.
            delivery: What is known of the delivery; takes how the lookups went.
            time_left: How long the lookups and the event may take.
            limit: What the events of the message share.

        Returns:
            The rows, in the order of `planned`. All are built before one is returned, so that a bad one leaves no half
            of its event in a table.

        Raises:
            EnrichmentError: the gravest of what went wrong.
        """
        if len(planned) == 1:  # without a step of its own, since most events make one row
            return [await self._build(planned[0], delivery, time_left, limit)]
        return await gather_all([self._build(one, delivery, time_left, limit) for one in planned])

    async def _build(
        self, planned: PlannedRow, delivery: Delivery, time_left: EventTime, limit: RowLimit
    ) -> Row:
        answers = await self.lookups.fetch(planned.scope, delivery.trace, time_left.lookup)
        delivery.cache, delivery.lookup_s = answers.cache, answers.seconds
        if answers.error is not None:
            raise answers.error
        found = {name: result.profile for name, result in answers.results.items()}
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
