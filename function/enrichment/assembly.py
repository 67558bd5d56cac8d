"""Assembly of the parts, as the environment says. No client is made and no network used before the first event."""

import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from enrichment.core.enricher import Enricher
from enrichment.core.transform import Transform
from enrichment.dead_letter_topic import PubSubDeadLetters
from enrichment.lookup import CachedLookup, Clients, Lookups, MeshProfiles
from enrichment.lookup.lookups import counted_apart
from enrichment.lookup.request import place_of
from enrichment.settings import environment, near_names
from enrichment.settings.environment import Destinations, Settings
from enrichment.settings.lookup_rules import LookupRules
from enrichment.settings.model import Column, PipelineConfig, WriterKind
from enrichment.sink import BigQuerySink
from enrichment.sink.base import RowWriter
from enrichment.sink.insert_all import InsertAllClient
from enrichment.sink.table_watch import TableWatch
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.log import Log, Severity

if TYPE_CHECKING:
    from enrichment.drivers.http_lookup import HttpLookup


Closing = list[Callable[[], Awaitable[None]]]
"""What closes connections, to be awaited in the loop that used them."""

COLLECT_AFTER = 100_000
"""After how many new objects the garbage collector runs."""


def enricher(env: Mapping[str, str], closing: Closing | None = None) -> Enricher:
    """Set up what `enrich` does.

    Args:
        env: The environment.
        closing: Takes what closes the parts, for a driver that ends them before its process ends.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    known, destinations = environment.read_for_events(env)
    counters = Counters()
    columns = _columns(known.config, destinations.table)
    client = _writer(env, destinations, columns)  # one for all tables, and so one token
    names = {table.name: _full_id(table.table, destinations.table) for table in known.config.tables}
    sinks = {  # by the table's full id: two names may be one table
        full: BigQuerySink(
            full,
            known.config.batch,
            client,
            counters,
            TableWatch(destinations.recreated_hold_s),
            columns[full],
        )
        for full in {destinations.table, *names.values()}
    }
    dead_letters = PubSubDeadLetters(destinations.dead_letter_topic)
    if closing is not None:
        closing += [client.aclose, dead_letters.aclose]
    return Enricher(
        transform=transform(known.config, counters, closing),
        sink=sinks[destinations.table],
        dead_letters=dead_letters,
        budget=known.budget,
        log=_log(env, known, counters),
        version=known.version,
        function=known.function,
        dead_letter_topic=destinations.dead_letter_topic,
        count=counters,
        sinks={name: sinks[full] for name, full in names.items()},
    )


def _log(env: Mapping[str, str], known: Settings, counters: Counters) -> Log:
    log = Log(known.project, known.severity, counters, success_sample=known.success_sample)
    for sentence in near_names.notes(env):
        log.note(Severity.WARNING, sentence, reason="setting_unknown")
    return log


def transform(config: PipelineConfig, counters: Counters, closing: Closing | None = None) -> Transform:
    """Set up what makes rows of messages, for every driver.

    Args:
        config: What `pipeline.toml` says.
        counters: Counts lookups.
        closing: As for `enricher`.
    """
    clients = Clients(closing)
    return Transform(
        config, Lookups([(rules, _cached(rules, clients, counters)) for rules in config.lookups])
    )


def _full_id(table: str, beside: str) -> str:
    """Return the full id of a table: one without project and dataset is in those of another."""
    return table if "." in table else f"{beside.rpartition('.')[0]}.{table}"


def _columns(config: PipelineConfig, table: str) -> dict[str, list[Column]]:
    """Return what is written into each table, by its full id: two names may be one table."""
    columns = {table: list(config.columns)}
    for other in config.tables:
        columns.setdefault(_full_id(other.table, table), []).extend(other.columns)
    return columns


def _writer(
    env: Mapping[str, str], destinations: Destinations, columns: Mapping[str, list[Column]]
) -> RowWriter:
    """Return what writes rows. Each is imported only where it is chosen."""
    if destinations.writer is WriterKind.STORAGE_WRITE:
        from enrichment.sink.storage_write.client import StorageWriteClient

        return StorageWriteClient(columns, destinations.write_stream, env.get("BIGQUERY_WRITE_EMULATOR_HOST"))
    if destinations.writer is WriterKind.GOOGLE_CLIENT:
        from enrichment.sink.google_client import GoogleClient

        return GoogleClient(destinations.table.partition(".")[0])
    try:
        return InsertAllClient(env.get("BIGQUERY_EMULATOR_HOST"))
    except ValueError as error:
        raise environment.SettingsError([f"BIGQUERY_EMULATOR_HOST {error}."]) from None


def http_lookup(env: Mapping[str, str], closing: Closing | None = None) -> "HttpLookup":
    """Set up what `lookup` does.

    Args:
        env: The environment.
        closing: As for `enricher`.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    from enrichment.drivers.http_lookup import HttpLookup  # which `enrich` does without

    known = environment.read(env)
    counters = Counters()
    rules = _served(known.config.lookups, env.get("LOOKUP", ""))
    log = _log(env, known, counters)
    log.started(f"lookup answers GET /lookup/{{key}} from {place_of(rules)}: {rules.method} {rules.path}")
    return HttpLookup(_cached(rules, Clients(closing), counters), rules, known.budget, log, counters)


def _cached(rules: LookupRules, clients: Clients, counters: Counters) -> CachedLookup:
    source = MeshProfiles(rules, clients)
    return CachedLookup(rules, source, counted_apart(counters, rules), batch_source=source)


def _served(lookups: Sequence[LookupRules], name: str) -> LookupRules:
    """Return the lookup that the HTTP entry point serves: the one that is named, or the only one that takes one key."""
    servable = {rules.name: rules for rules in lookups if rules.takes_one_key}
    if name in servable:
        return servable[name]
    names = ", ".join(servable) or "none"
    if name:
        raise environment.SettingsError(
            [f"LOOKUP is {name[:200]!r}; it must name a lookup of pipeline.toml that takes one key: {names}."]
        )
    if len(servable) != 1:
        problem = (
            f"LOOKUP is not set, and {len(servable)} lookups of pipeline.toml take one key: set it to one of {names}."
            if servable
            else "pipeline.toml has no lookup that takes one key, so GET /lookup/{key} has nothing to ask."
        )
        raise environment.SettingsError([problem])
    return next(iter(servable.values()))


def collect_less_often() -> None:
    """Let the garbage collector run less often in this process, unless it does already.

    An event has some 170 objects while it is under way. Reference counting frees them at its end, however it ends
    (tests/function/test_function_garbage.py, beam/tests/test_garbage.py), so the collector finds next to nothing. With
    10,000 new objects it ran 15 times a second while a thousand events were under way. That took a fifth of the
    processor time, and stopped all events for up to a tenth of a second. With Python's own 700, Beam's workers spent a
    quarter of theirs on it, because now and then it looks at all that Beam has loaded.
    """
    first, *others = gc.get_threshold()
    if 0 < first < COLLECT_AFTER:  # 0: it is switched off
        gc.set_threshold(COLLECT_AFTER, *others)
