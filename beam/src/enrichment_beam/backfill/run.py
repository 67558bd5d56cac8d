"""One run of a backfill: planned or continued, carried out by a runner of Beam, reported."""

import contextlib
import logging
import os
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from enrichment_beam.backfill import output, report, storage
from enrichment_beam.backfill.journal import Journal, JournalError, Plan, differences
from enrichment_beam.backfill.report import Report
from enrichment_beam.backfill.shard import Shard, ShardState
from enrichment_beam.backfill.show import Show
from enrichment_beam.backfill.work import Job, ShardDoFn

POLL_S = 0.5
REMOTE_POLL_S = 10.0

_READS_OF_WORKERS = ("beam_control_read", "read_grpc_client_inputs")
"""Beam's threads that read what a worker sends, and fail with its connection."""

WORKER_END_S = 5.0
"""How long a pipeline may go on after one of its worker processes has ended, in seconds."""


@dataclass(frozen=True)
class Engine:
    """What carries the pipeline out.

    Args:
        name: `local`, `dask` or `beam`.
        workers: Worker processes of this machine.
        dask_scheduler: Address of a Dask scheduler; empty for one of this machine.
        beam_options: Options of Beam's own.
        is_verbose: Whether worker processes say what they do.
    """

    name: str = "local"
    workers: int = 1
    dask_scheduler: str = ""
    beam_options: Sequence[str] = ()
    is_verbose: bool = False


class SubmittedError(Exception):
    """The pipeline was written for a template launch, and a service carries it out after this program has ended."""


def carry_out(plan: Plan, job: Job, engine: Engine, show: Show, *, is_dry_run: bool = False) -> Report:
    """Carry out what is left of a backfill.

    Args:
        plan: What it is about.
        job: What the workers need to know.
        engine: What carries it out.
        show: Where progress goes.
        is_dry_run: Whether nothing is written.

    Returns:
        What became of each input.

    Raises:
        JournalError: The journal cannot be used.
        SubmittedError: The pipeline is carried out after this program has ended.
    """
    began_at = time.monotonic()
    with Journal(job.journal) as journal:
        known = journal.plan()
        if known is None:
            journal.begin(plan)
        else:
            if changed := differences(known, plan):
                raise JournalError(
                    f"The journal {job.journal} belongs to another backfill: {' '.join(changed)} Name a new journal, "
                    "or run it as it was begun."
                )
            plan = known
        job = replace(job, began_at=plan.began_at)
        states = list(journal.states(plan))
        left = [shard for shard, state in zip(plan.shards, states, strict=True) if not state.done]
        if known is not None:
            show.note(f"Going on with {job.journal}: {len(left)} of {len(plan.shards)} shards are left.")
        try:
            failure = _run(left, states, plan, job, engine, journal, show) if left else None
        except BaseException:  # a signal: what was done until then is reported as well
            seconds = time.monotonic() - began_at
            stopped = report.make(plan, journal.states(plan), seconds, is_dry_run=is_dry_run)
            journal.write_report(stopped.encode())
            raise
        made = report.make(plan, journal.states(plan), time.monotonic() - began_at, is_dry_run=is_dry_run)
        if failure and not made.total.failed:
            made.total.failed.append(failure)
        if failure:
            made.total.state = "failed"
        path = journal.write_report(made.encode())
    show.report(made)
    show.note(f"report: {path}")
    return made


def _run(
    left: Sequence[Shard],
    states: list[ShardState],
    plan: Plan,
    job: Job,
    engine: Engine,
    journal: Journal,
    show: Show,
) -> str:
    """Run the pipeline in a thread, and show progress meanwhile; return why it failed, empty where it did not."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _pipeline(left, job, engine)
        except BaseException as error:  # noqa: BLE001 - reported by the caller
            failures.append(error)

    thread = threading.Thread(target=work, name="pipeline", daemon=True)
    with _watched_workers() as ended_at:
        thread.start()
        _wait(thread, ended_at, failures, left, states, plan, job, journal, show)
    show.close()
    if failures and isinstance(failures[0], SubmittedError):
        raise failures[0]
    return last_line(failures[0]) if failures else ""


@contextlib.contextmanager
def _watched_workers() -> Iterator[list[float]]:
    """Note when a worker process of FnApiRunner ends with an error: the runner itself waits for it without end."""
    ended_at: list[float] = []
    before = threading.excepthook

    def note(hook: threading.ExceptHookArgs) -> None:
        if (
            hook.thread is not None and hook.thread.name == "run_worker"
        ):  # Beam's thread that waits for the process
            ended_at.append(time.monotonic())
        elif hook.thread is None or hook.thread.name not in _READS_OF_WORKERS:
            before(hook)

    threading.excepthook = note
    try:
        yield ended_at
    finally:
        threading.excepthook = before


def _wait(
    thread: threading.Thread,
    ended_at: Sequence[float],
    failures: list[BaseException],
    left: Sequence[Shard],
    states: list[ShardState],
    plan: Plan,
    job: Job,
    journal: Journal,
    show: Show,
) -> None:
    """Show progress until the pipeline has ended, or one of its workers has and the pipeline has not noticed it."""
    poll_s = REMOTE_POLL_S if storage.is_remote(job.journal) else POLL_S
    by_number = {state.number: state for state in states}
    while thread.is_alive():
        thread.join(poll_s)
        for shard in left:
            if not by_number[shard.number].done:
                with contextlib.suppress(JournalError):  # the end of the run reports it
                    by_number[shard.number] = journal.state(shard)
        found = [by_number[shard.number] for shard in plan.shards]
        done, whole = report.done_of(plan.shards, found)
        show.progress(done, whole, report.make(plan, found, 0.0, is_dry_run=False).total)
        if ended_at and time.monotonic() - ended_at[0] > WORKER_END_S:  # at the end of a run they end as well
            failures.append(
                RuntimeError(
                    "Error: A worker process was ended from outside, perhaps for lack of memory. "
                    "Run the same command again for the rest."
                )
            )
            return


def last_line(error: BaseException) -> str:
    """Return what an error of a runner comes down to: its text may be a worker's whole traceback."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped"
    lines = [line for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line]
    return (named or lines or [type(error).__name__])[-1].strip()


def _pipeline(shards: Sequence[Shard], job: Job, engine: Engine) -> None:
    if engine.name == "dask":
        with _dask(engine, len(shards)) as options:
            pipeline = beam.Pipeline(options=options)
            # One partition for each shard, so that Dask gives the next one to whichever worker is free. Nothing is
            # shuffled, and no output is used: Beam's Dask runner loses tags, windows and what finish_bundle gives.
            _ = pipeline | beam.Create(list(shards)) | "Shards" >> beam.ParDo(ShardDoFn(job))
            result: Any = pipeline.run()
            try:
                result.wait_until_finish()
            finally:
                result.client.close()  # else it looks for its scheduler after the end
        return
    if engine.name == "local":
        pipeline = _local(engine)
    else:
        pipeline = beam.Pipeline(options=PipelineOptions(list(engine.beam_options)))
    _ = (
        pipeline
        | beam.Create(list(shards))
        | beam.Reshuffle()  # else all shards would be read where they were made, by one worker
        | "Shards" >> beam.ParDo(ShardDoFn(job))
    )
    result = pipeline.run()
    result.wait_until_finish()
    if not getattr(result, "has_job", True):  # DataflowRunner within the launcher of a flex template
        raise SubmittedError
    if str(result.state) not in ("DONE", "UPDATED"):
        raise RuntimeError(f"Error: the pipeline ended as {result.state}; its own log says why.")


def _local(engine: Engine) -> beam.Pipeline:
    """Return a pipeline for FnApiRunner with worker processes, as its mode `multi_processing` has them."""
    command = f"exec {shlex.quote(sys.executable)} -m enrichment_beam.quiet_worker {os.getpid()}"
    workers = SubprocessSDKEnvironment.from_command_string(
        f"{command} --verbose" if engine.is_verbose else command
    )
    options = PipelineOptions([f"--direct_num_workers={engine.workers}", *engine.beam_options])
    return beam.Pipeline(runner=FnApiRunner(workers), options=options)


@contextlib.contextmanager
def _dask(engine: Engine, shards: int) -> Iterator[PipelineOptions]:
    """Give the options that lead to a Dask scheduler; to one of this machine, where no other is named."""
    common = ["--runner=apache_beam.runners.dask.dask_runner.DaskRunner", f"--dask_npartitions={shards}"]
    if engine.dask_scheduler:
        yield PipelineOptions(
            [*common, f"--dask_client_address={engine.dask_scheduler}", *engine.beam_options]
        )
        return
    import dask
    from dask.distributed import LocalCluster

    if not engine.is_verbose:
        dask.config.set({"logging.distributed": "error"})
        logging.getLogger("distributed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="enrichment-dask-") as folder:
        cluster: Any = LocalCluster(
            n_workers=engine.workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
            silence_logs=logging.ERROR,
            **({} if engine.is_verbose else {"preload": ["enrichment_beam.quiet"]}),
        )
        with cluster:
            yield PipelineOptions(
                [*common, f"--dask_client_address={cluster.scheduler_address}", *engine.beam_options]
            )


def new_plan(
    inputs: list[tuple[str, int, float]],
    shards: list[Shard],
    job: Job,
    write: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Plan:
    """Return what a backfill is about, begun now."""
    return Plan(
        inputs=inputs,
        rules=job.settings.rules_digest,
        table=job.settings.environment["BIGQUERY_TABLE"],
        write=write,
        records=job.records.value,
        publish_time=job.publish_time,
        began_at=now().isoformat().replace("+00:00", "Z"),
        shards=shards,
    )


def load_commands(job: Job, tables: Sequence[str]) -> list[str]:
    """Return the commands that load the files of a backfill."""
    files = {
        table: sorted(
            name
            for name, *_ in storage.match(
                storage.join(job.rows_folder, output.ROWS_FOLDER, table, "*.json.gz")
            )
        )
        for table in tables
    }
    return output.load_commands(job.rows_folder, tables, job.settings.rules_digest, files)
