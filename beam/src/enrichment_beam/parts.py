"""The function's parts, put together for a worker of a pipeline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from enrichment import assembly

from enrichment_beam.dry_run import DryRun
from enrichment_beam.tally import CollectingDeadLetters, CollectingSink, CountingSink, TallyLog

if TYPE_CHECKING:
    from enrichment_beam.engine import EngineOptions, Handler


def handler(env: Mapping[str, str], options: "EngineOptions", closing: assembly.Closing) -> "Handler":
    """Return the core, with rows and ends noted for each message.

    Args:
        env: The settings.
        options: Whether rows and dead letters are written or collected.
        closing: Takes what closes its connections.

    Raises:
        SettingsError: Settings are missing or wrong.
    """
    made = assembly.enricher(env, closing)
    if options.looks_only:
        return DryRun(made.transform)
    made.log = TallyLog()
    if options.collects_dead_letters:
        made.dead_letters = CollectingDeadLetters()
    if not options.collects_rows:
        made.sink.warm_up()  # before the first event, which would wait for it, and so would all that follow it
        made.sink = CountingSink(made.sink)
        made.sinks = {name: CountingSink(sink) for name, sink in made.sinks.items()}
        return made
    table = env["BIGQUERY_TABLE"]
    made.sink = CollectingSink(table)
    made.sinks = {one.name: CollectingSink(full_id(one.table, table)) for one in made.transform.config.tables}
    return made


def full_id(table: str, beside: str) -> str:
    """Return the full id of a table: one without project and dataset is in those of another."""
    return table if "." in table else f"{beside.rpartition('.')[0]}.{table}"
