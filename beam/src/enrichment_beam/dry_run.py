"""Count of what a backfill would do: events are decoded and planned, and nothing is looked up, written or published."""

from dataclasses import dataclass, field

from enrichment.core.plan import PlannedRow, RowLimit
from enrichment.core.received import Received
from enrichment.core.transform import Transform
from enrichment.errors import Disposition, EnrichmentError, Outcome, of_unexpected_error, release_frames
from enrichment.event import Part
from enrichment.event.message import Message
from enrichment.lookup.request import Requests
from enrichment.telemetry import trace
from enrichment.telemetry.delivery import Delivery

from enrichment_beam import tally

WANTED, NO_KEY, NOT_WANTED = "wanted", "no-key", "skipped"
"""What a dry run notes of each lookup."""


@dataclass
class DryRun:
    """Takes messages as far as their rows are planned.

    Bad events that a lookup, a column or BigQuery would find are not found.

    Args:
        transform: What pipeline.toml says.
    """

    transform: Transform
    _requests: list[tuple[Requests, bool]] = field(init=False)

    def __post_init__(self) -> None:
        rules = self.transform.config.lookups
        self._requests = [(Requests(one), one.when is not None) for one in rules]

    async def handle(self, received: Received) -> Outcome:
        """Note in the tally what the message would become."""
        found = tally.current.get()
        parts = self.transform.split(received)
        if isinstance(parts, EnrichmentError):
            found.outcomes.append(parts.outcome())
            return found.outcomes[0]
        limit = RowLimit()
        for part in parts:
            found.outcomes.append(self._of_part(part, limit, found))
        worst = [one for one in found.outcomes if one.disposition is Disposition.DEAD_LETTERED]
        return worst[0] if worst else found.outcomes[0]

    def _of_part(self, part: Part, limit: RowLimit, found: tally.Tally) -> Outcome:
        known = part.message if isinstance(part.message, Message) else None
        try:
            rows = self.transform.plan(part, Delivery(trace.find({}, {}), 0.0, known), limit)
            for planned in rows:
                found.lookups += self._lookups(planned)
        except EnrichmentError as error:
            return release_frames(error).outcome()
        except Exception as error:  # noqa: BLE001 - a defect must not end a dry run
            return of_unexpected_error(error).outcome()
        found.rows += len(rows)
        return Outcome(Disposition.WRITTEN if rows else Disposition.DROPPED)

    def _lookups(self, planned: PlannedRow) -> list[str]:
        """Return what each lookup of a row would need. Raises EnrichmentError where a key is bad."""
        return [
            NOT_WANTED
            if has_condition and not requests.is_wanted(planned.scope)
            else NO_KEY
            if requests.of_event(planned.scope) is None
            else WANTED
            for requests, has_condition in self._requests
        ]
