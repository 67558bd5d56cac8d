"""`python -m enrichment work` as a process: its start, its health, its signals and its exit codes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from enrichment.drivers.work.health import Health, HealthEndpoint
from enrichment.drivers.work.settings import NUMBERS
from google.pubsub_v1 import PubsubMessage
from meshlab.cloud.pubsub import backlog
from meshlab.processes.ports import free_ports

from .conftest import FUNCTION, SUBSCRIPTION, TOPIC, Tables, Topic, whole_lines

PROJECT = TOPIC.split("/")[1]
EVENTS = f"projects/{PROJECT}/topics/work-events"
PULL = f"projects/{PROJECT}/subscriptions/work-events"
PUSH = f"projects/{PROJECT}/subscriptions/work-events-push"


@dataclass(frozen=True)
class Running:
    """The worker's process."""

    process: "subprocess.Popen[bytes]"
    output: Path
    port: int

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in whole_lines(self.output).splitlines() if line.startswith(b"{")]

    def health(self, path: str) -> tuple[int, dict[str, Any]]:
        """What an endpoint answers; 0 where nothing listens yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")
        except OSError:
            return 0, {}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def subscriptions(topic: Topic) -> None:
    topic.publisher.create_topic(name=EVENTS)
    topic.subscriber.create_subscription(name=PULL, topic=EVENTS)
    topic.subscriber.create_subscription(
        request={"name": PUSH, "topic": EVENTS, "push_config": {"push_endpoint": "http://127.0.0.1:9/"}}
    )


@contextmanager
def work(environment: Mapping[str, str], output: Path, **settings: str) -> Iterator[Running]:
    ports = free_ports()
    port = next(ports)
    env = {
        **environment,
        "PULL_SUBSCRIPTION": PULL,
        "PORT": str(port),
        "PYTHONWARNINGS": "error",
        **settings,
    }
    with output.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "enrichment", "work", "--host", "127.0.0.1"],
            env=env, cwd=FUNCTION, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Running(process, output, port)
    finally:
        process.kill()
        process.wait(10)


def test_events_are_written_and_a_signal_ends_it_in_order(
    environment: dict[str, str],
    subscriptions: None,
    topic: Topic,
    tables: Tables,
    event: dict[str, Any],
    tmp_path: Path,
) -> None:
    with work(environment, tmp_path / "output") as running:
        bad = {**event, "event_id": "e-bad", "occurred_at": "never"}
        topic.publisher.publish(
            topic=EVENTS,
            messages=[
                PubsubMessage(
                    data=json.dumps(one).encode(), attributes={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
                )
                for one in (event, bad)
            ],
        )
        wait_until(lambda: bool(tables.rows(event["event_id"])))
        wait_until(lambda: backlog(topic.host, PULL).unacked == 0)
        wait_until(lambda: running.health("/ready")[0] == 200)
        status, health = running.health("/live")
        assert (status, health["streams"], health["in_process"], health["window"]) == (200, 1, 0, 256)
        assert running.health("/other")[0] == 404
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
    (row,) = tables.rows(event["event_id"])
    assert row["trace_id"] == "a" * 32
    (dead_letter,) = topic.dead_letters()
    assert dead_letter.attributes["dead_letter_reason"] == "event_invalid"
    assert dead_letter.attributes["dead_letter_function"] == "enrich-user-events"
    lines = running.lines()
    outcomes = [line["logging.googleapis.com/labels"]["outcome"] for line in lines if "total_ms" in line]
    assert sorted(outcomes) == ["dead-lettered", "written"]
    messages = [line["message"] for line in lines if "total_ms" not in line]
    assert messages[0] == (
        f"work receives from {PULL}: topic {EVENTS}, in any order, at least once, without a retry policy"
    )
    warnings = [line["message"] for line in lines if line["severity"] == "WARNING" and "total_ms" not in line]
    assert [("retry policy" in warning, "dead-letter policy" in warning) for warning in warnings] == [
        (True, False), (False, True)
    ]  # fmt: skip
    assert messages[-2].startswith("draining: 0 messages")
    assert messages[-1].startswith("drained in")


@pytest.mark.parametrize(
    ("subscription", "words"),
    [
        (PUSH, "pushes its messages to a URL, so it cannot be pulled"),
        (SUBSCRIPTION, "which is DEAD_LETTER_TOPIC: bad events would come back for ever"),
    ],
)
def test_a_subscription_that_does_not_fit_ends_the_start(
    environment: dict[str, str], subscriptions: None, tmp_path: Path, subscription: str, words: str
) -> None:
    with work(environment, tmp_path / "output", PULL_SUBSCRIPTION=subscription) as running:
        assert running.process.wait(20) == 2
    (line,) = running.lines()
    assert line["severity"] == "CRITICAL"
    assert words in line["message"]


def test_all_settings_that_are_wrong_are_named_at_once_and_those_of_a_push_are_not_needed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    wrong = {"PULL_SUBSCRIPTION": "", "WORK_STREAMS": "0", "BIGQUERY_TABLE": "none"}
    with work(environment, tmp_path / "output", **wrong) as running:
        assert running.process.wait(20) == 2
    output = running.output.read_text()
    assert "The enrichment cannot start: correct these settings, then deploy or start it again." in output
    assert [line.split()[1] for line in output.splitlines() if line.startswith("  - ")] == [
        "PULL_SUBSCRIPTION", "WORK_STREAMS", "BIGQUERY_TABLE"
    ]  # fmt: skip


def test_a_port_that_is_taken_ends_the_start_and_is_named(
    environment: dict[str, str], subscriptions: None, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with work(environment, tmp_path / "output", PORT=port) as running:
            assert running.process.wait(20) == 1
    assert f"PORT {port} cannot be listened on" in running.output.read_text()


def test_without_its_subscription_it_is_alive_and_not_ready_and_a_second_signal_ends_it_at_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    gone = f"projects/{PROJECT}/subscriptions/not-there"
    with work(environment, tmp_path / "output", PULL_SUBSCRIPTION=gone) as running:
        wait_until(lambda: any(line["severity"] == "CRITICAL" for line in running.lines()))
        assert (running.health("/live")[0], running.health("/ready")[0]) == (200, 503)
        assert running.process.poll() is None
        os.kill(running.process.pid, signal.SIGSTOP)  # both signals are there before it looks
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(running.process.pid, number)
        os.kill(running.process.pid, signal.SIGCONT)
        assert running.process.wait(20) in {128 + signal.SIGTERM, 128 + signal.SIGINT}


def test_help_names_every_setting_with_its_default(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "enrichment", "work", "--help"],
        env=environment, cwd=FUNCTION, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name, number in NUMBERS.items():
        assert f"{name} " in done.stdout
        assert f"default {number.default}," in done.stdout
    assert "PULL_SUBSCRIPTION" in done.stdout


def test_the_worker_loads_no_client_of_pubsub_and_leaves_the_real_one_as_it_is(
    environment: dict[str, str],
) -> None:
    """Dead letters and `redrive` load the official client into the same process."""
    code = """
import sys
from enrichment.drivers.work import messages, process
loaded = [name for name in sys.modules if name.startswith("google.pubsub_v1")]
assert not loaded, loaded
import google.pubsub_v1
from google.pubsub_v1.types import pubsub
assert google.pubsub_v1.types.pubsub is pubsub
assert pubsub.PubsubMessage is google.pubsub_v1.PubsubMessage is google.pubsub_v1.types.PubsubMessage
theirs = pubsub.StreamingPullRequest(subscription="s", max_outstanding_bytes=7, client_id="c")
wire = pubsub.StreamingPullRequest.serialize(theirs)
assert messages.StreamRequest.FromString(wire).max_outstanding_bytes == 7
assert messages.StreamRequest.FromString(wire).SerializeToString(deterministic=True) == wire
google.pubsub_v1.PublisherClient()
"""
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=FUNCTION, check=True)


def test_the_function_loads_nothing_of_the_worker(environment: dict[str, str]) -> None:
    code = (
        "import main, sys; print(*(name for name in sys.modules if name.startswith('enrichment.drivers.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=FUNCTION,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "enrichment.drivers.push" in done.stdout
    assert "enrichment.drivers.work" not in done.stdout


# The health endpoints.


def asked(health: Health, request: bytes) -> bytes:
    async def ask() -> bytes:
        endpoint = HealthEndpoint(lambda: health)
        port = await endpoint.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        endpoint.close()
        return answer

    return asyncio.run(ask())


GOOD = Health(live=True, ready=True, streams=1, in_process=2, window=256)


@pytest.mark.parametrize(
    ("health", "request_line", "status"),
    [
        (GOOD, b"GET /live HTTP/1.1", 200),
        (GOOD, b"GET /ready?x=1 HTTP/1.0", 200),
        (GOOD, b"HEAD /ready HTTP/1.1", 200),
        (Health(live=False, ready=True, streams=0, in_process=0, window=1), b"GET /live HTTP/1.1", 503),
        (Health(live=True, ready=False, streams=0, in_process=0, window=1), b"GET /ready HTTP/1.1", 503),
        (GOOD, b"GET / HTTP/1.1", 404),
        (GOOD, b"POST /live HTTP/1.1", 405),
    ],
)
def test_health_is_answered(health: Health, request_line: bytes, status: int) -> None:
    head, _, body = asked(health, request_line + b"\r\nhost: x\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    if status in {200, 503} and not request_line.startswith(b"HEAD"):
        assert json.loads(body)["streams"] == health.streams
    assert (b"\r\nallow: GET, HEAD\r\n" in head) == (status == 405)


@pytest.mark.parametrize("request_bytes", [b"", b"GET /live HTTP/1.1\r\n", b"x" * 20_000])
def test_what_is_no_request_gets_400(request_bytes: bytes) -> None:
    assert asked(GOOD, request_bytes).startswith(b"HTTP/1.1 400 ")
