"""The parts put together, as the environment says. No client is made and no network touched before the first event."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from enrichment.dead_letter import PubSubDeadLetters
from enrichment.enricher import Enricher
from enrichment.lookup import CachedLookup, MeshProfiles
from enrichment.settings import environment
from enrichment.sink import BigQuerySink
from enrichment.sink.insert_all import InsertAllClient
from enrichment.sink.table_watch import TableWatch
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
    return Enricher(
        config=known.config,
        lookup=CachedLookup(known.config.lookup, MeshProfiles(known.config.lookup), counters),
        sink=BigQuerySink(
            destinations.table,
            known.config.batch,
            _bigquery(env),
            counters,
            TableWatch(destinations.recreated_hold_s),
        ),
        dead_letters=PubSubDeadLetters(destinations.dead_letter_topic),
        budget=known.budget,
        log=Log(known.project, known.severity, counters, success_sample=known.success_sample),
        version=known.version,
        function=known.function,
        dead_letter_topic=destinations.dead_letter_topic,
        count=counters,
    )


def _bigquery(env: Mapping[str, str]) -> InsertAllClient:
    try:
        return InsertAllClient(env.get("BIGQUERY_EMULATOR_HOST"))
    except ValueError as error:
        raise environment.SettingsError([f"BIGQUERY_EMULATOR_HOST {error}."]) from None


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
        Log(known.project, known.severity, counters, success_sample=known.success_sample),
        counters,
    )
