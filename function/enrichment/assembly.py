"""The parts put together, as the environment says. No client is made and no network touched before the first event."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from enrichment.dead_letter import PubSubDeadLetters
from enrichment.enricher import Enricher
from enrichment.lookup import CachedLookup, MeshProfiles
from enrichment.settings import environment
from enrichment.sink import BigQuerySink
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.log import Log

if TYPE_CHECKING:
    from enrichment.http_lookup import HttpLookup


def enricher(env: Mapping[str, str]) -> Enricher:
    """Set up what `enrich` does.

    Args:
        env: The environment.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    known, destinations = environment.read_for_events(env)
    counters = Counters()
    sinks: dict[str, BigQuerySink] = {}  # by the table's full id: two names may be one table
    for table in known.config.tables:
        full = _full_id(table.table, destinations.table)
        if full not in sinks:
            sinks[full] = BigQuerySink(full, known.config.batch, count=counters)
    return Enricher(
        config=known.config,
        lookup=CachedLookup(known.config.lookup, MeshProfiles(known.config.lookup), counters),
        sink=BigQuerySink(destinations.table, known.config.batch, count=counters),
        dead_letters=PubSubDeadLetters(destinations.dead_letter_topic),
        budget=known.budget,
        log=Log(known.project, known.severity, counters),
        version=known.version,
        count=counters,
        sinks={one.name: sinks[_full_id(one.table, destinations.table)] for one in known.config.tables},
    )


def _full_id(table: str, beside: str) -> str:
    """Return the full id of a table: one without project and dataset is in those of another."""
    return table if "." in table else f"{beside.rpartition('.')[0]}.{table}"


def http_lookup(env: Mapping[str, str]) -> "HttpLookup":
    """Set up what `lookup` does.

    Args:
        env: The environment.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    from enrichment.http_lookup import HttpLookup  # which `enrich` does without

    known = environment.read(env)
    counters = Counters()
    rules = known.config.lookup
    return HttpLookup(
        CachedLookup(rules, MeshProfiles(rules), counters),
        rules,
        known.budget,
        Log(known.project, known.severity, counters),
        counters,
    )
