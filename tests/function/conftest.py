"""The function as it runs: its own process, official clients, and a gateway that answers as the user id says."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient
from meshlab.cloud.bigquery import running_both as bigquery_running
from meshlab.cloud.metadata import running as metadata_running
from meshlab.cloud.pubsub.server import running as pubsub_running
from meshlab.processes.ports import free_ports
from meshpass.testing import ThrowawayKey

from tests.shipped_table import shipped_table

FUNCTION = Path(__file__).parents[2] / "function"
PROJECT = "meshpass-lab"
TABLE = f"{PROJECT}.events.enriched"
TOPIC = f"projects/{PROJECT}/topics/dead-letters"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/dead-letters"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"

ENVOY = {"server": "istio-envoy"}
SERVICE = {"server": "istio-envoy", "x-envoy-upstream-service-time": "3", "content-type": "application/json"}
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "nobody": (404, SERVICE, b'{"error": "profile_not_found", "user_id": "nobody"}'),
    "no-upstream": (503, ENVOY, b"no healthy upstream"),
    "denied": (403, ENVOY, b"RBAC: access denied"),
    "refused": (401, ENVOY, b"Jwt is expired"),
    "no-route": (404, ENVOY, b""),
    "swapped": (200, SERVICE, b'{"user_id": "somebody-else"}'),
    "garbage": (200, SERVICE, b"<html>hello</html>"),
    "broken": (500, SERVICE, b'{"error": "internal"}'),
    "odd": (404, SERVICE, b'{"error": "not_found"}'),
}


class _Gateway(BaseHTTPRequestHandler):
    """Plays the gateway with the service behind it."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        user_id = unquote(self.path.removeprefix("/profile/"))
        profile = json.dumps({"user_id": user_id, "plan": "pro"}).encode()
        self._answer(*ANSWERS.get(user_id, (200, SERVICE, profile)))

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Gateway:
    """Where the gateway listens, and the requests for profiles it has seen: path and headers."""

    address: str
    seen: list[tuple[str, dict[str, str]]]


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    seen: list[tuple[str, dict[str, str]]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Gateway", (_Gateway,), {"seen": seen}))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Gateway(f"127.0.0.1:{server.server_port}", seen)
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Tables:
    """BigQuery's fake behind the official client."""

    host: str
    client: bigquery.Client
    write: str
    """Where its Storage Write API listens, HOST:PORT."""

    def create(self) -> None:
        """Creates the table from the function's own definition."""
        self.client.create_dataset(TABLE.split(".")[1], exists_ok=True)
        self.client.create_table(shipped_table(TABLE))

    def drop(self) -> None:
        self.client.delete_table(TABLE)

    def rows(self, event_id: str) -> list[dict[str, Any]]:
        """The rows of one event."""
        name = bigquery.ScalarQueryParameter("event_id", "STRING", event_id)
        config = bigquery.QueryJobConfig(query_parameters=[name])
        found = self.client.query_and_wait(
            f"SELECT * FROM `{TABLE}` WHERE event_id = @event_id", job_config=config
        )
        return [dict(row) for row in found]

    def counts(self, event_ids: Iterable[str]) -> list[int]:
        """How many rows each event has, asked in one query."""
        names = bigquery.ArrayQueryParameter("event_ids", "STRING", list(event_ids))
        config = bigquery.QueryJobConfig(query_parameters=[names])
        found = self.client.query_and_wait(
            f"SELECT event_id FROM `{TABLE}` WHERE event_id IN UNNEST(@event_ids)", job_config=config
        )
        counted = Counter(row["event_id"] for row in found)
        return [counted[event_id] for event_id in names.values]


@pytest.fixture(scope="session")
def tables() -> Iterator[Tables]:
    with bigquery_running() as hosts, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", hosts.rest)
        with bigquery.Client(project=PROJECT, credentials=AnonymousCredentials()) as client:
            tables = Tables(hosts.rest, client, hosts.write)
            tables.create()
            yield tables


@dataclass(frozen=True)
class Topic:
    """The dead-letter topic in Pub/Sub's fake, behind the official client."""

    host: str
    publisher: PublisherClient
    subscriber: SubscriberClient

    def create(self) -> None:
        self.publisher.create_topic(name=TOPIC)
        self.subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)

    def drop(self) -> None:
        self.subscriber.delete_subscription(subscription=SUBSCRIPTION)
        self.publisher.delete_topic(topic=TOPIC)

    def dead_letters(self) -> list[PubsubMessage]:
        """Everything on the topic, taken off it. A message of our own marks the end, so that nothing is waited for."""
        self.publisher.publish(topic=TOPIC, messages=[PubsubMessage(data=b"the end")])
        dead_letters: list[PubsubMessage] = []
        while True:
            pulled = self.subscriber.pull(subscription=SUBSCRIPTION, max_messages=100).received_messages
            self.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[found.ack_id for found in pulled])
            for found in pulled:
                if found.message.data == b"the end":
                    return dead_letters
                dead_letters.append(found.message)


@pytest.fixture(scope="session")
def topic() -> Iterator[Topic]:
    with pubsub_running() as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", host)
        with PublisherClient() as publisher, SubscriberClient() as subscriber:
            topic = Topic(host, publisher, subscriber)
            topic.create()
            yield topic


@pytest.fixture(scope="session")
def settings(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The function's settings, without the fakes' addresses."""
    key_file = ThrowawayKey().write(tmp_path_factory.mktemp("key") / "signing-key.pem")
    return {
        "GKE_GATEWAY_URL": f"http://{gateway.address}",
        "GKE_GATEWAY_HOST": "user-profile.internal",
        "JWT_ISSUER": "https://issuer.example",
        "JWT_AUDIENCE": "user-profile",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_FILE": str(key_file),
        "BIGQUERY_TABLE": TABLE,
        "DEAD_LETTER_TOPIC": TOPIC,
    }


def whole_lines(output: Path, start: int = 0) -> bytes:
    """The lines after byte `start` of a file that a process still writes, without one that is not whole yet."""
    text = output.read_bytes()[start:]
    return text[: text.rfind(b"\n") + 1]


@dataclass(frozen=True)
class Function:
    """The running function: delivers to it as Eventarc does, and reads what it logs."""

    url: str
    output: Path
    read: list[int] = field(default_factory=lambda: [0])

    def deliver(self, event: object, attributes: dict[str, str] | None = None, **headers: str) -> int:
        """Delivers one event (bytes as they are, anything else as JSON); gives the HTTP status."""
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": "m-1",
            "publishTime": "2026-03-01T12:00:00.123Z",
            **({"attributes": attributes} if attributes else {}),
        }
        return self.deliver_raw(json.dumps({"message": message, "subscription": "s"}).encode(), **headers)

    def deliver_raw(self, body: bytes, **headers: str) -> int:
        """Delivers a CloudEvent with this body; `headers` become `ce-` headers."""
        attributes = {
            "id": "m-1",
            "source": f"//pubsub.googleapis.com/projects/{PROJECT}/topics/events",
            "type": "google.cloud.pubsub.topic.v1.messagePublished",
            "specversion": "1.0",
            **headers,
        }
        request = urllib.request.Request(
            self.url,
            body,
            {"content-type": "application/json"}
            | {f"ce-{name}": value for name, value in attributes.items()},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    def new_lines(self) -> list[str]:
        """What it has printed since the last call. It prints before it answers, so nothing is waited for."""
        text = whole_lines(self.output, self.read[0])
        self.read[0] += len(text)
        return text.decode().splitlines()

    def new_log(self) -> list[dict[str, Any]]:
        """The lines of events since the last call; fails on a line that is not JSON."""
        lines = [json.loads(line) for line in self.new_lines()]
        return [line for line in lines if "counters" not in line]


@pytest.fixture(scope="session")
def metadata() -> Iterator[str]:
    """The metadata server's fake, where the function's clients find credentials; its HOST:PORT."""
    with metadata_running(PROJECT) as host:
        yield host


def framework_command(port: int) -> list[str]:
    """The command of functions-framework that runs the function."""
    return [
        *(sys.executable, "-m", "functions_framework", "--target", "enrich"),
        *("--source", str(FUNCTION / "main.py"), "--host", "127.0.0.1", "--port", str(port)),
    ]


def serve_command(port: int, *more: str) -> list[str]:
    """The command of ours that serves what the function serves."""
    serve = [sys.executable, "-m", "enrichment", "serve"]
    return [*serve, "--host", "127.0.0.1", "--port", str(port), *more]


@contextmanager
def running(
    env: dict[str, str], output: Path, command: Callable[[int], list[str]] = framework_command
) -> Iterator[Function]:
    """Runs the function in its own process, under functions-framework's own command or ours."""
    ports = free_ports()
    port = next(ports)
    with output.open("w") as out:
        process = subprocess.Popen(command(port), env=env, cwd=FUNCTION, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, process, output)
        yield Function(f"http://127.0.0.1:{port}/", output)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def environment(settings: dict[str, str], metadata: str, tables: Tables, topic: Topic) -> dict[str, str]:
    """Everything the function's process finds in its environment."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return (
        inherited
        | settings
        | {
            "TABLE_RECREATED_HOLD_S": "0",  # the fake knows a recreated table at once
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "BIGQUERY_EMULATOR_HOST": tables.host,
            "PUBSUB_EMULATOR_HOST": topic.host,
            "K_SERVICE": "enrich-user-events",
            "GCE_METADATA_HOST": metadata,
            "GCE_METADATA_IP": metadata,
        }
    )


@pytest.fixture(scope="session", params=["functions-framework", "serve"])
def function(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Function]:
    """The function under functions-framework's command, and the same under ours."""
    command = serve_command if request.param == "serve" else framework_command
    warnings = {"PYTHONWARNINGS": "error"} if request.param == "serve" else {}
    with running(environment | warnings, tmp_path_factory.mktemp("function") / "output", command) as function:
        function.new_lines()  # of the start
        yield function


@pytest.fixture
def event() -> dict[str, Any]:
    """A good event."""
    return {
        "event_id": f"e-{os.urandom(6).hex()}",
        "user_id": f"u-{os.urandom(6).hex()}",
        "type": "order.placed",
        "occurred_at": "2026-03-01T13:00:00+02:00",
        "order": {"total": 12.5, "items": ["a", "b"]},
    }


def _wait_for(port: int, process: "subprocess.Popen[bytes]", output: Path) -> None:
    while process.poll() is None:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)  # a poll, ended by the port or by the process
    pytest.fail(f"the function did not start:\n{output.read_text()}")
