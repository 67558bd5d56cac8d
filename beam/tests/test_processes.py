"""Real worker processes, of Beam's FnApiRunner and of Dask, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.environments import SubprocessSDKEnvironment
from conftest import Gateway, Table, TakeDeadLetters, event, pubsub
from enrichment_beam.enrich import ENDED, EnrichAndWrite
from enrichment_beam.settings import WorkerSettings


def command(env: dict[str, str], *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "enrichment_beam", "backfill", "--workers=2", "--shard-bytes=65536", *options],
        env={**os.environ, **env},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # with its workers, to be killed with them
    )


def end_of(process: "subprocess.Popen[str]") -> tuple[int, str]:
    try:
        _, said = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, said


def test_worker_processes_of_beam_share_the_work(
    env: dict[str, str], table: Table, dead_letters: TakeDeadLetters, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*(event(n) for n in range(1000)), b"{broken"]))
    code, said = end_of(command(env, f"--files={path}", f"--journal={tmp_path}/journal"))
    assert code == 0, said
    assert table.event_ids() == [f"e-{n:05}" for n in range(1000)]
    assert len(dead_letters()) == 1
    assert "json_invalid" in said
    assert "INFO" not in said


def test_a_pipeline_writes_each_event_once_with_several_worker_processes(
    settings: WorkerSettings, table: Table
) -> None:
    worker = f"exec {sys.executable} -m enrichment_beam.quiet_worker {os.getpid()}"
    runner = FnApiRunner(SubprocessSDKEnvironment.from_command_string(worker))
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(["--direct_num_workers=2"]))
    out = (
        pipeline | beam.Create([pubsub(n) for n in range(300)]) | beam.Reshuffle() | EnrichAndWrite(settings)
    )
    ended = out[ENDED] | beam.Map(lambda one: (one.message_id, one.disposition))
    assert_that(ended, equal_to([(f"m-{n}", "written") for n in range(300)]))
    result = pipeline.run()
    assert str(result.wait_until_finish() or result.state) == "DONE"
    assert table.event_ids() == [f"e-{n:05}" for n in range(300)]


@pytest.mark.parametrize("number", [signal.SIGTERM])  # SIGKILL as well, by hand: each costs a start of Beam
def test_workers_end_with_the_program_that_is_ended(
    env: dict[str, str], gateway: Gateway, tmp_path: Path, number: signal.Signals
) -> None:
    path, journal = tmp_path / "a.jsonl", tmp_path / "journal"
    path.write_bytes(b"\n".join(event(n, user_id=f"u-{n}") for n in range(50)))
    gateway.delay_s = 60
    process = command(env, f"--files={path}", f"--journal={journal}", "--workers=1")
    end = time.monotonic() + 90
    while not gateway.seen:  # a worker is amid its part
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=90)
    assert process.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 128 + signal.SIGTERM)
    end = time.monotonic() + 60
    while members(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert members(process.pid) == []
    assert "Traceback" not in said
    gateway.reset()


def test_a_run_whose_worker_is_killed_ends_and_says_so(
    env: dict[str, str], gateway: Gateway, tmp_path: Path
) -> None:
    path, journal = tmp_path / "a.jsonl", tmp_path / "journal"
    path.write_bytes(b"\n".join(event(n, user_id=f"u-{n}") for n in range(50)))
    gateway.delay_s = 60
    process = command(env, f"--files={path}", f"--journal={journal}", "--workers=1")
    end = time.monotonic() + 90
    while not gateway.seen:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)
    (worker,) = [one for one in members(process.pid) if one != process.pid]
    os.kill(worker, signal.SIGKILL)
    code, said = end_of(process)
    gateway.reset()
    assert code == 1
    assert "A worker process was ended from outside" in said
    assert "Traceback" not in said


def test_a_fault_ends_a_run_with_a_sentence(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([event(1), event(2, user_id="denied"), event(3)]))
    code, said = end_of(command(env, f"--files={path}", f"--journal={tmp_path}/journal", "--workers=1"))
    assert code == 1
    assert "not_allowed at lookup is a fault of the configuration: " in said
    begins_at = len(event(1)) + 1
    assert f":{begins_at}' was not finished" in said.replace("\n", " ")
    assert "Traceback" not in said


def members(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


@pytest.mark.parametrize("engine", ["dask"])
def test_a_backfill_that_is_killed_goes_on_and_doubles_nothing(
    env: dict[str, str], gateway: Gateway, table: Table, tmp_path: Path, engine: str
) -> None:
    path, journal = tmp_path / "a.jsonl", tmp_path / "journal"
    path.write_bytes(b"\n".join(event(n, user_id=f"u-{n}") for n in range(2400)))
    options = (f"--files={path}", f"--journal={journal}", f"--engine={engine}", "--in-flight=32")
    gateway.delay_s = 0.03
    killed = command(env, *options)
    end = time.monotonic() + 90
    while not any(_is_done(one) for one in journal.glob("shards/*.json")):
        assert killed.poll() is None, killed.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert len(table.rows()) < 2400
    before = {one.name for one in journal.glob("shards/*.json") if _is_done(one)}
    gateway.reset()
    code, said = end_of(command(env, *options, "--workers=1"))
    assert code == 0, said
    assert "Going on with" in said
    assert len(gateway.seen) < 2400, "what was finished is not looked up again"
    assert before
    assert sorted(set(table.event_ids())) == [f"e-{n:05}" for n in range(2400)]
    report = json.loads((journal / "report.json").read_text())
    assert (report["total"]["state"], report["total"]["written"]) == ("done", 2400)


def _is_done(state: Path) -> bool:
    return bool(json.loads(state.read_text())["done"])
