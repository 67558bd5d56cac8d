"""Commands `stream` and `backfill`."""

import argparse
import hashlib
import json
import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from enrichment.settings.model import Format, PipelineConfig

from enrichment_beam import arguments
from enrichment_beam.backfill import inputs, storage
from enrichment_beam.backfill.inputs import InputsError
from enrichment_beam.backfill.journal import Journal, JournalError
from enrichment_beam.backfill.run import (
    Engine,
    SubmittedError,
    carry_out,
    last_line,
    load_commands,
    new_plan,
)
from enrichment_beam.backfill.shard import Kind, Records, Shard
from enrichment_beam.backfill.show import Show
from enrichment_beam.backfill.work import Job
from enrichment_beam.engine import EngineOptions
from enrichment_beam.settings import SettingsError, WorkerSettings

_OK, _FAILED, _USAGE = 0, 1, 2
_SIGNAL_BASE = 128
_LOCAL_RUNNERS = (
    "BundleBasedDirectRunner",
    "DirectRunner",
    "FnApiRunner",
    "PrismRunner",
    "SwitchingDirectRunner",
)
_NEEDS_BUCKET = "--journal must lie in a bucket (gs://...), which all workers reach."


class _Stopped(BaseException):
    """A signal that ends the run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(argv: Sequence[str]) -> int:
    """Run a command.

    Args:
        argv: The command and its options.

    Returns:
        The exit code.
    """
    try:
        options, rest = arguments.parse(argv)
    except SystemExit as ended:  # --help, or what argparse itself refuses
        return ended.code if isinstance(ended.code, int) else _USAGE
    if options.verbose:
        logging.getLogger().setLevel(logging.INFO)
    else:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        warnings.simplefilter("ignore")
    show = Show()
    try:
        with _signals():
            return _stream(options, rest) if options.command == "stream" else _backfill(options, rest, show)
    except SettingsError as error:
        lines = "".join(f"\n  - {problem}" for problem in error.problems)
        show.note(f"The {options.command} cannot start. Correct these:{lines}")
        return _USAGE
    except JournalError as error:
        show.note(str(error))
        return _USAGE
    except Exception as error:
        if options.verbose:
            raise
        show.note(f"The {options.command} failed: {last_line(error)}")
        show.note("--verbose shows where.")
        return _FAILED
    except _Stopped as stopped:
        show.close()
        show.note("Stopped. What is done is done; run the same command again for the rest.")
        return _SIGNAL_BASE + stopped.number
    finally:
        show.close()


@contextmanager
def _signals() -> Iterator[None]:
    def stop(number: int, _: object) -> None:
        raise _Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stream(options: argparse.Namespace, rest: list[str]) -> int:
    from enrichment_beam import stream

    problems = _unknown(rest)
    if not options.subscription:
        problems.append("--subscription is not given: write projects/P/subscriptions/S.")
    by_beam = options.write == "beam-storage-write"
    settings, _ = _settings(
        options,
        is_remote=_is_remote(_runner(rest)),
        problems=problems,
        check=partial(_one_table_problem, options),
    )
    state = stream.run(
        stream.Stream(
            settings,
            options.subscription,
            EngineOptions(options.in_flight, options.rate_per_worker, options.patience_s),
            reshuffles=options.reshuffle,
            writes_by_beam=by_beam,
        ),
        rest,
    )
    return _OK if state in ("DONE", "DRAINED", "UPDATED", "CANCELLED", "RUNNING", "UNKNOWN") else _FAILED


def _backfill(options: argparse.Namespace, rest: list[str], show: Show) -> int:
    runner = _runner(rest)
    engine_name = options.engine or ("beam" if runner else "local")
    is_remote = (engine_name == "beam" and _is_remote(runner)) or bool(options.dask_scheduler)
    workers = options.workers or len(os.sched_getaffinity(0))
    problems = [*_unknown(rest), *_backfill_problems(options, engine_name, _function(options))]
    journal = options.journal or _default_journal(options)
    # Workers of another Dask scheduler may share a file system with this machine; then its user names the folder.
    if is_remote and not storage.is_remote(journal) and (engine_name == "beam" or not options.journal):
        problems.append(_NEEDS_BUCKET)
    settings, config = _settings(
        options, is_remote=is_remote, problems=problems, check=partial(_record_problems, options)
    )
    if options.dry_run:
        # Each dry run is one of its own: it is there to be repeated after a change of pipeline.toml.
        journal = storage.join(journal, f"dry-run-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    rate = min([one for one in (options.rate_per_worker, options.rate / workers) if one], default=0.0)
    job = Job(
        settings,
        EngineOptions(
            options.in_flight,
            rate,
            options.patience_s,
            collects_rows=options.write == "load-files",
            collects_dead_letters=bool(options.dead_letters),
            looks_only=options.dry_run,
        ),
        journal,
        Records(options.records),
        "",
        options.publish_time,
        options.output if options.write == "load-files" and not options.dry_run else "",
        options.any_function,
    )
    found, shards = _inputs(options, settings, journal)
    plan = new_plan(found, shards, job, settings.environment.get("BIGQUERY_WRITER", "insert-all")
                    if options.write != "load-files" else f"load-files to {options.output}")  # fmt: skip
    engine = Engine(engine_name, workers, options.dask_scheduler, rest, is_verbose=options.verbose)
    show.note(f"journal: {journal}")
    try:
        made = carry_out(plan, job, engine, show, is_dry_run=options.dry_run)
    except SubmittedError:
        show.note("The job is given to Dataflow. Run the same command again after its end for the report.")
        return _OK
    if options.report:
        try:
            storage.write(options.report, made.encode())
        except Exception as error:  # noqa: BLE001 - each file system of Beam has errors of its own
            show.note(
                f"--report={options.report} cannot be written: {error}. The journal has the same report."
            )
            return _FAILED
    if job.load_folder and made.is_complete:
        tables = _tables(settings, config)
        show.note("Load the rows, each command once:")
        for command in load_commands(replace(job, began_at=made.began_at), tables):
            show.note(f"  {command}")
    return _OK if made.is_complete else _FAILED


def _tables(settings: WorkerSettings, config: PipelineConfig) -> list[str]:
    from enrichment_beam.backfill.output import columns_by_table

    return list(columns_by_table(config, settings.environment["BIGQUERY_TABLE"]))


def _settings(
    options: argparse.Namespace,
    *,
    is_remote: bool,
    problems: list[str],
    check: Callable[[PipelineConfig], Iterator[str]],
) -> tuple[WorkerSettings, PipelineConfig]:
    env: dict[str, str] = dict(os.environ)
    if options.pipeline_file:
        env["PIPELINE_FILE"] = options.pipeline_file
    if options.table_file:
        env["TABLE_FILE"] = options.table_file
    if options.write in ("insert-all", "storage-write"):
        env["BIGQUERY_WRITER"] = options.write
    return WorkerSettings.read(
        env,
        overrides=options.environment,
        gateway_ca_secret=options.gateway_ca_secret,
        is_remote=is_remote,
        further_problems=problems,
        check=check,
    )


def _one_table_problem(options: argparse.Namespace, config: PipelineConfig) -> Iterator[str]:
    if options.write == "beam-storage-write" and config.tables:
        yield "pipeline.toml has [[tables]], and --write=beam-storage-write writes to one table: use storage-write."


def _function(options: argparse.Namespace) -> str:
    """Return the name of the function, whose dead letters are taken."""
    try:
        laid_over = json.loads(options.environment or "{}")
    except ValueError:  # reported by the settings
        laid_over = {}
    given = laid_over.get("FUNCTION_NAME", "") if isinstance(laid_over, dict) else ""
    return str(given or os.environ.get("FUNCTION_NAME", ""))


def _backfill_problems(options: argparse.Namespace, engine_name: str, function: str) -> Iterator[str]:
    kinds = {
        "--files": options.files,
        "--bigquery-table": options.bigquery_table,
        "--bigquery-query": options.bigquery_query,
        "--dead-letters": options.dead_letters,
    }
    given = [name for name, value in kinds.items() if value]
    if len(given) != 1:
        said = f"{' and '.join(given)} are given" if given else "none is given"
        yield f"Exactly one of {', '.join(kinds)} says what to read, and {said}."
    if options.write == "load-files" and not options.output:
        yield "--write=load-files needs --output, the folder for its files."
    if options.output and options.write != "load-files":
        yield "--output is for --write=load-files alone."
    if options.dead_letters:
        if options.write == "load-files":
            yield "--dead-letters are acknowledged once their rows are durable, which files for a load job do not make."
        if not options.any_function and not function:
            yield (
                "--dead-letters needs FUNCTION_NAME, whose dead letters are taken; or --any-function, for those of all."
            )
        if options.dry_run:
            yield "--dry-run does not go with --dead-letters: use `python -m enrichment redrive --dry-run`."
        from enrichment_beam.backfill.dead_letter_input import MAX_PATIENCE_S

        if options.patience_s > MAX_PATIENCE_S and options.patience_s != 600:
            yield f"--patience-s is at most {MAX_PATIENCE_S:.0f} for --dead-letters, which are held for ten minutes."
    if options.dask_scheduler and engine_name != "dask":
        yield "--dask-scheduler is for --engine=dask alone."
    if options.publish_time and not options.publish_time.startswith("event."):
        yield f"--publish-time is {options.publish_time[:100]!r}; write event.FIELD."


def _record_problems(options: argparse.Namespace, config: PipelineConfig) -> Iterator[str]:
    """Refuse records that cannot make the rows that the function made."""
    lines = any(not name.lower().removesuffix(".gz").endswith(".avro") for name in options.files)
    events = options.records == "events" or (options.records == "auto" and lines)
    if not events:
        return
    if any(("message", "id") in source.paths for source in config.event.id):
        yield (
            "pipeline.toml names events by message.id, and records that are events have none: their rows would not be "
            "those of the function. Use files of messages, and --records=messages."
        )
    if config.event.format is Format.AVRO:
        yield "pipeline.toml has events in Avro, and a line holds none: use files of messages, and --records=messages."


def _inputs(
    options: argparse.Namespace, settings: WorkerSettings, journal: str
) -> tuple[list[tuple[str, int, float]], list[Shard]]:
    if options.files:
        try:
            return inputs.files(options.files, options.shard_bytes)
        except InputsError as error:
            raise SettingsError(error.problems) from error
    if options.dead_letters:
        name = options.dead_letters
        return [(name, 0, 0.0)], [Shard(0, name, Kind.SUBSCRIPTION)]
    known = Journal(journal).plan()
    name = options.bigquery_table or options.bigquery_query
    if known is not None:  # the query has run, and its result is what is left to read
        same = [one for one in known.inputs if one[0] == name]
        return (known.inputs, known.shards) if same else ([(name, 0, 0.0)], [])
    from enrichment_beam.backfill import bigquery_input

    query = options.bigquery_query or f"SELECT * FROM `{options.bigquery_table}`"  # noqa: S608 - a checked name
    project = (
        settings.environment.get("GOOGLE_CLOUD_PROJECT", "")
        or settings.environment["BIGQUERY_TABLE"].partition(".")[0]
    )
    try:
        table, count, _ = bigquery_input.run(query, project)
    except bigquery_input.QueryError as error:
        raise SettingsError([str(error)]) from error
    return [(name, count, 0.0)], inputs.result(name, table, count, options.shard_rows)


def _default_journal(options: argparse.Namespace) -> str:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    what = repr((sorted(options.files), options.bigquery_table, options.bigquery_query, options.dead_letters))
    name = hashlib.sha256(f"{what} {os.environ.get('BIGQUERY_TABLE', '')}".encode()).hexdigest()[:12]
    return str(Path(state).expanduser() / "meshpass" / "backfill" / name)


def _runner(rest: Sequence[str]) -> str:
    """Return the runner that Beam's options name, empty for none."""
    given = PipelineOptions(list(rest)).view_as(StandardOptions).runner
    return (given or "").rpartition(".")[2]


def _is_remote(runner: str) -> bool:
    """Return whether a runner's workers are on other machines."""
    return bool(runner) and runner not in _LOCAL_RUNNERS


def _unknown(rest: Sequence[str]) -> list[str]:
    return [
        f"{name} is no option of this command, and none of Beam's: see --help."
        for name in arguments.unknown(rest)
    ]
