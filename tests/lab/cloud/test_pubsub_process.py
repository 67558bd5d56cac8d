"""The fake as a process."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1 import StreamingPullRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "meshlab.cloud.pubsub"]


def blocking(process: subprocess.Popen[str]) -> Iterator[StreamingPullRequest]:
    """Sends nothing more, but keeps the stream open for as long as the process lives."""
    process.wait()
    yield from ()


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_serves_and_ends_on_a_signal_even_with_a_stream_open(
    monkeypatch: pytest.MonkeyPatch, signal_number: signal.Signals
) -> None:
    with started() as (process, line):
        word, _, address = line.strip().partition(" ")
        assert word == "listening"
        assert address.startswith("127.0.0.1:")
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        with pubsub_v1.SubscriberClient() as subscriber:
            publisher = pubsub_v1.PublisherClient()
            topic = publisher.create_topic(name="projects/meshpass-lab/topics/events").name
            name = "projects/meshpass-lab/subscriptions/enrich"
            subscriber.create_subscription(name=name, topic=topic)
            publisher.publish(topic, b"x").result(10)
            first = StreamingPullRequest(subscription=name, stream_ack_deadline_seconds=60)
            stream = subscriber.streaming_pull(requests=itertools.chain([first], blocking(process)))
            next(stream)
            process.send_signal(signal_number)
            assert process.wait(10) == 0
            with pytest.raises(exceptions.GoogleAPICallError):
                next(stream)
            publisher.stop()
            publisher.transport.close()
        assert process.stdout is not None
        assert process.stdout.read() == ""


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with started() as (_, line):
        port = line.rpartition(":")[2].strip()
        second = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, timeout=30, check=False
        )
    assert second.returncode != 0
    assert second.stdout == ""
    assert port in second.stderr


def test_starting_loads_neither_the_clients_nor_an_http_stack() -> None:
    code = (
        "import sys, meshlab.cloud.pubsub.__main__\n"
        "print([name for name in ('google.api_core', 'google.auth', 'requests', 'aiohttp', 'proto.message')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "['proto.message']"
