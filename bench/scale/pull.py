"""Runs a pull worker and feeds it from a subscription: one round of one contender."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import IO

from meshlab.processes.ports import LOOPBACK, free_ports

from bench.enrich import load, push
from bench.enrich.stage import Function, Stage
from bench.harness import BenchError
from bench.scale.pubsub import SUBSCRIPTION, Findings, Plan

_WARM_UP = Plan(50_000_000, 64, 0.5)  # numbers, and so keys, that no measured event has
_PATIENCE_S = 60.0


def run(stage: Stage, worker: Function, *, in_flight: int, seconds: float) -> push.Round:
    """Start a worker, warm it up, feed it, and check that each event has become its own row.

    Args:
        stage: What it runs on.
        worker: The worker, whose driver is `work`.
        in_flight: How many events are delivered and not acked.
        seconds: For how long.

    Raises:
        BenchError: An event was not acked, or is in the table with another user's profile or not at all.
    """
    ports = free_ports()
    port = next(ports)
    env = {
        "PUBSUB_EMULATOR_HOST": f"{LOOPBACK}:{port}",
        "PULL_SUBSCRIPTION": SUBSCRIPTION,
        "WORK_MAX_MESSAGES": str(in_flight),
    }
    with (
        _feeding(port) as feed,
        stage.starting(replace(worker, env={**env, **worker.env})) as running,
    ):
        running.child.wait_until(lambda: _ready(running.port), "did not become ready")
        _ask(feed, replace(_WARM_UP, in_flight=min(in_flight, _WARM_UP.in_flight)))
        stage.seen()
        before = push.usages(stage, running)
        found = _ask(feed, Plan(0, in_flight, seconds))
        after = push.usages(stage, running)
        service, table = stage.seen()
        push.check(found.events, table)
        if found.nacks:
            raise BenchError(f"{found.nacks} events were nacked")
        delivered = load.Findings(
            events=found.events,
            seconds=seconds,
            events_per_s=found.events_per_s,
            p50_ms=found.p50_ms,
            p99_ms=found.p99_ms,
            added_p99_ms=0.0,
            busy_percent=found.busy_percent,
        )
        cpu_s = [later.cpu_s - earlier.cpu_s for earlier, later in zip(before, after, strict=True)]
        push.check_not_busy(delivered, {"the service": cpu_s[1], "the table": cpu_s[2]})
        return push.Round(delivered, cpu_s[0], after[0].peak_mib, service["lookups"], table["requests"])


@contextmanager
def _feeding(port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.scale.pubsub", str(port)]
    feed = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if not _pipe(feed.stdout).readline().startswith("listening "):
            raise BenchError("the subscription did not start")
        yield feed
    finally:
        feed.kill()
        feed.communicate()


def _ask(feed: subprocess.Popen[str], plan: Plan) -> Findings:
    _pipe(feed.stdin).write(json.dumps(asdict(plan)) + "\n")
    _pipe(feed.stdin).flush()
    line = _pipe(feed.stdout).readline()
    if not line:
        raise BenchError("the subscription ended before all events were acked")
    return Findings(**json.loads(line))


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
