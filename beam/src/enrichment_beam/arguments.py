"""Command line: our own options, and those of Beam behind them."""

import argparse
import math
import re
from collections.abc import Callable, Sequence

_SUBSCRIPTION = re.compile(r"projects/[^/\s]+/subscriptions/[^/\s]+")
_TABLE = re.compile(r"[^.\s`]+\.[^.\s`]+\.[^.\s`]+")

STREAM = """\
Reads events from a subscription, looks up what pipeline.toml says, and writes rows
to BigQuery; bad events go to DEAD_LETTER_TOPIC. Same pipeline.toml, same rows, same
dead letters and same identities as the function.

Options of Beam stand beside those below: --runner=DataflowRunner, --project,
--region, --temp_location, --service_account_email, --subnetwork and others.
Without --runner the stream runs on this machine, for a try: Beam's direct runner
acknowledges messages before it processes them, and loses what fails.

Settings come from the environment, as the function's do. What is no secret travels
to the workers with the pipeline. Keys do not: see MESH_AUTH and
SIGNING_KEY_SECRET_ID in docs/beam.md.
"""

BACKFILL = """\
Sends events of files, of a query or of a dead-letter subscription through the
enrichment. Rows have the insertIds that the function gives them, so a backfill over
rows that are there makes none twice in the de-duplicated view.

A run that was stopped or killed goes on where it came to: give it the same inputs
and the same --journal. The journal says how far each part of the input is, and the
report what became of each file.

Settings come from the environment, as the function's do. Options of Beam stand
beside those below; with --runner=DataflowRunner the journal must lie in a bucket.

Exit codes: 0 all is done; 1 some is not, and a run with the same journal goes on
(a record that is longer than any message is left out, and counts as not done);
2 the command line or a setting is wrong; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    made = argparse.ArgumentParser(
        prog="python -m enrichment_beam", description="The enrichment on Apache Beam.", allow_abbrev=False
    )
    commands = made.add_subparsers(dest="command", title="commands", metavar="COMMAND", required=True)
    stream = commands.add_parser(
        "stream",
        usage="python -m enrichment_beam stream --subscription=NAME [OPTIONS]",
        help="enrich the events of a subscription, without an end",
        description=STREAM,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_stream(stream)
    backfill = commands.add_parser(
        "backfill",
        usage="python -m enrichment_beam backfill INPUT [OPTIONS]",
        help="enrich the events of files, of a query, or of a dead-letter subscription",
        description=BACKFILL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_backfill(backfill)
    return made


def _add_stream(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--subscription",
        metavar="NAME",
        type=_full_subscription,
        help="pull subscription to read: projects/P/subscriptions/S (required)",
    )
    made.add_argument(
        "--write",
        choices=("insert-all", "storage-write", "beam-storage-write"),
        help="how rows are written: insertAll or the Storage Write API in the worker, as BIGQUERY_WRITER has them, or "
        "Beam's own sink for the Storage Write API, which needs Java where the pipeline is started (default: "
        "BIGQUERY_WRITER)",
    )
    made.add_argument(
        "--reshuffle",
        type=_switch,
        default=False,
        metavar="true|false",
        help="spread the messages over all keys before they are enriched (default: false). Messages are then "
        "acknowledged when Dataflow has stored them: a job that is cancelled, not drained, loses those not yet written",
    )
    _add_common(made, patience_s=120)


def _add_backfill(made: argparse.ArgumentParser) -> None:
    inputs = made.add_argument_group("input, exactly one kind")
    inputs.add_argument(
        "--files",
        action="append",
        default=[],
        metavar="GLOB",
        help="files of this machine or of a bucket: .jsonl, .ndjson, .json (one record a line) or .avro, each also "
        "compressed as .gz; may be given several times",
    )
    inputs.add_argument(
        "--bigquery-table", metavar="P.D.T", type=_full_table, help="table whose rows are records"
    )
    inputs.add_argument(
        "--bigquery-query", metavar="SQL", help="query whose rows are records; it runs once for a journal"
    )
    inputs.add_argument(
        "--dead-letters",
        metavar="NAME",
        type=_full_subscription,
        help="pull subscription of DEAD_LETTER_TOPIC or UNDELIVERED_TOPIC. Events that are rows now are acknowledged, "
        "those that are bad again stay, and so do those of other functions than FUNCTION_NAME and of other topics than "
        "TRIGGER_TOPIC",
    )
    inputs.add_argument(
        "--any-function",
        action="store_true",
        help="with --dead-letters: take those of every function, and what any subscription could not deliver",
    )
    made.add_argument(
        "--records",
        choices=("auto", "events", "messages"),
        default="auto",
        help="what a record is: the event itself, or a message of Pub/Sub with attributes, id and time (default: auto, "
        "which goes by the names of fields in Avro and rows, and takes lines for events)",
    )
    made.add_argument(
        "--publish-time",
        metavar="PATH",
        default="",
        help="field of an event that stands for message.publish_time, such as event.occurred_at, where records are "
        "events (default: when the backfill was begun)",
    )
    made.add_argument(
        "--write",
        choices=("insert-all", "storage-write", "load-files"),
        help="insertAll, the Storage Write API, or files for load jobs, which cost nothing (default: BIGQUERY_WRITER)",
    )
    made.add_argument("--output", metavar="DIR", default="", help="where --write=load-files puts its files")
    made.add_argument(
        "--journal",
        metavar="DIR",
        default="",
        help="checkpoint, progress and report (default: one for each input below ~/.local/state/meshpass/backfill)",
    )
    made.add_argument("--report", metavar="FILE", default="", help="a further copy of the report, as JSON")
    made.add_argument(
        "--dry-run",
        action="store_true",
        help="count events, rows, dead letters by reason and lookups; look up, write and publish nothing",
    )
    made.add_argument(
        "--rate",
        type=_number(0, 1e6),
        default=0.0,
        metavar="N",
        help="most events a second, of all workers together (default: 0, no limit)",
    )
    made.add_argument(
        "--shard-bytes", type=_whole(65_536, 1 << 40), default=8_388_608, metavar="N", help="size of a part of a plain "
        "file (default: 8388608)"
    )  # fmt: skip
    made.add_argument(
        "--shard-rows", type=_whole(1, 10_000_000), default=20_000, metavar="N", help="rows in a part of a query's "
        "result (default: 20000)"
    )  # fmt: skip
    made.add_argument(
        "--engine",
        choices=("local", "dask", "beam"),
        help="local: Beam's FnApiRunner with worker processes of this machine (default); dask: Beam's DaskRunner; "
        "beam: what --runner says (default where --runner is given)",
    )
    made.add_argument(
        "--workers",
        type=_whole(1, 10_000),
        metavar="N",
        help="worker processes; with --engine=beam, how many --rate is shared by (default: the CPUs of this machine)",
    )
    made.add_argument(
        "--dask-scheduler", metavar="ADDRESS", default="", help="a running Dask scheduler, tcp://HOST:PORT"
    )
    _add_common(made, patience_s=600)


def _add_common(made: argparse.ArgumentParser, patience_s: int) -> None:
    made.add_argument(
        "--in-flight",
        type=_whole(1, 100_000),
        default=256,
        metavar="N",
        help="most events under way in one worker process, across its bundles (default: 256)",
    )
    made.add_argument(
        "--rate-per-worker",
        type=_number(0, 1e6),
        default=0.0,
        metavar="N",
        help="most events a second in one worker process (default: 0, no limit)",
    )
    made.add_argument(
        "--patience-s",
        type=_number(0, 86_400),
        default=float(patience_s),
        metavar="SECONDS",
        help="how long an event is tried again in the worker before its bundle fails "
        f"(default: {patience_s})",
    )
    made.add_argument("--pipeline-file", metavar="FILE", default="", help="PIPELINE_FILE")
    made.add_argument("--table-file", metavar="FILE", default="", help="TABLE_FILE")
    made.add_argument(
        "--environment",
        metavar="JSON",
        default="",
        help="settings laid over those of the environment, one JSON object of texts; names of secrets, never a secret",
    )
    made.add_argument(
        "--gateway-ca-secret",
        metavar="NAME",
        default="",
        help="projects/P/secrets/S/versions/V with the CA of the gateway's certificate, read by each worker",
    )
    made.add_argument("--verbose", action="store_true", help="show what Beam itself logs")


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse a command line.

    Args:
        argv: The arguments. An option may be written with `_` for `-`, as parameters of a flex template are, and one
            with an empty value is not given.

    Returns:
        Our options, and those of Beam.
    """
    made = parser()
    ours = _names(made)
    options, rest = made.parse_known_args([one for one in (_plain(one, ours) for one in argv) if one])
    return options, rest


def unknown(rest: Sequence[str]) -> list[str]:
    """Return the options that are neither ours nor Beam's, so that a misspelled one does not pass unnoticed."""
    from apache_beam.options.pipeline_options import PipelineOptions

    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for kind in PipelineOptions.__subclasses__():
        try:
            kind._add_argparse_args(known)  # noqa: SLF001 - as PipelineOptions itself does
        except argparse.ArgumentError:  # two kinds have an option of one name
            continue
    _, unread = known.parse_known_args(list(rest))
    return [one.partition("=")[0] for one in unread if one.startswith("-")] or list(unread)


def _names(made: argparse.ArgumentParser) -> frozenset[str]:
    groups = [one for one in made._actions if isinstance(one, argparse._SubParsersAction)]  # noqa: SLF001 - no other way
    parsers = [made, *(parser for group in groups for parser in group.choices.values())]
    return frozenset(name for one in parsers for name in one._option_string_actions)  # noqa: SLF001


def _plain(argument: str, ours: frozenset[str]) -> str:
    name, equals, value = argument.partition("=")
    if not name.startswith("--"):
        return argument
    if equals and not value:
        return ""
    dashed = name.replace("_", "-")
    return f"{dashed}{equals}{value}" if dashed in ours else argument


def _full_subscription(text: str) -> str:
    if not _SUBSCRIPTION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:200]!r} is no full name: write projects/P/subscriptions/S")
    return text


def _full_table(text: str) -> str:
    if not _TABLE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:200]!r} is no full name: write project.dataset.table")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text[:200]!r} must be true or false")
    return text.lower() == "true"


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text[:200]!r} must be a number from {least:g} to {most:g}")
        return value

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text[:200]!r} must be a whole number from {least} to {most}")
        return int(text)

    return read
