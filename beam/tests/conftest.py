"""What a pipeline meets, on loopback: a gateway with the service behind it, and Google's services."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from enrichment_beam import shared_engine
from enrichment_beam.messages import PubsubMessage
from enrichment_beam.settings import WorkerSettings
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1 import PubsubMessage as PubsubMessageType
from meshlab.cloud.bigquery import running_both as bigquery_running
from meshlab.cloud.metadata import running as metadata_running
from meshlab.cloud.pubsub.server import running as pubsub_running
from meshpass.testing import ThrowawayKey

ROOT = Path(__file__).parents[2]
PROJECT = "meshpass-lab"
DATASET = "events"
TOPIC = f"projects/{PROJECT}/topics/dead-letters"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/dead-letters"
PUBLISHED = datetime(2026, 11, 30, 8, tzinfo=UTC)

_SERVICE = {"server": "istio-envoy", "x-envoy-upstream-service-time": "3", "content-type": "application/json"}


@dataclass
class Gateway:
    """The gateway with the service behind it.

    Attributes:
        address: Where it listens.
        seen: The keys that were asked for.
        failures: How many of the next requests are refused with 503.
        status: What refused requests are answered with.
        most_at_once: The most requests that were under way at one time.
        delay_s: How long each takes.
        permits: Whether the policy has been corrected for those that it denies.
    """

    address: str = ""
    seen: list[str] = field(default_factory=list)
    failures: int = 0
    status: int = 503
    most_at_once: int = 0
    delay_s: float = 0.0
    permits: bool = False
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Forget what was seen."""
        self.seen.clear()
        self.failures, self.status, self.most_at_once, self.delay_s = 0, 503, 0, 0.0
        self.permits = False

    def enter(self) -> bool:
        """Note a request; whether it is refused."""
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self.failures -= 1
            return self.failures >= 0

    def leave(self) -> None:
        """Note the end of a request."""
        with self._lock:
            self._now -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: Gateway

    def do_GET(self) -> None:
        user_id = unquote(self.path.removeprefix("/profile/"))
        self.gateway.seen.append(user_id)
        refused = self.gateway.enter()
        if self.gateway.delay_s:
            threading.Event().wait(self.gateway.delay_s)
        self.gateway.leave()
        if refused:
            self._answer(self.gateway.status, {"server": "istio-envoy"}, b"no healthy upstream")
        elif user_id == "unknown":
            self._answer(404, _SERVICE, b'{"error": "profile_not_found", "user_id": "unknown"}')
        elif user_id == "denied" and not self.gateway.permits:
            self._answer(403, {"server": "istio-envoy"}, b"RBAC: access denied")
        else:
            self._answer(200, _SERVICE, json.dumps({"user_id": user_id, "plan": "pro"}).encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


@pytest.fixture(scope="session")
def _gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"gateway": gateway}))
    gateway.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield gateway
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def gateway(_gateway: Gateway) -> Gateway:
    """The gateway, with nothing seen yet."""
    _gateway.reset()
    return _gateway


@dataclass(frozen=True)
class Cloud:
    """Google's services on loopback.

    Attributes:
        environment: Where they are.
        bigquery: The official client.
    """

    environment: dict[str, str]
    bigquery: bigquery.Client


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with (
        bigquery_running() as tables,
        pubsub_running() as pubsub,
        metadata_running(PROJECT) as metadata,
        pytest.MonkeyPatch.context() as patch,
    ):
        environment = {
            "BIGQUERY_EMULATOR_HOST": tables.rest,
            "BIGQUERY_WRITE_EMULATOR_HOST": tables.write,
            "PUBSUB_EMULATOR_HOST": pubsub,
            "GCE_METADATA_HOST": metadata,
            "GCE_METADATA_IP": metadata,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        with bigquery.Client(project=PROJECT, credentials=AnonymousCredentials()) as client:
            client.create_dataset(DATASET)
            with PublisherClient() as publisher, SubscriberClient() as subscriber:
                publisher.create_topic(name=TOPIC)
                subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
            yield Cloud(environment, client)


@dataclass(frozen=True)
class Table:
    """A table of a test's own.

    Attributes:
        name: `project.dataset.table`.
        client: The official client.
    """

    name: str
    client: bigquery.Client

    def rows(self) -> list[dict[str, Any]]:
        """All rows, repeats included."""
        return [dict(row) for row in self.client.list_rows(self.client.get_table(self.name))]

    def event_ids(self) -> list[str]:
        """The events in it, in order."""
        return sorted(str(row["event_id"]) for row in self.rows())


@pytest.fixture
def table(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[Table]:
    """An empty table as the function's."""
    name = f"{PROJECT}.{DATASET}.t{abs(hash(request.node.nodeid))}"
    fields = json.loads((ROOT / "function/enrichment/table.json").read_text())
    schema = [bigquery.SchemaField.from_api_repr(one) for one in fields]
    cloud.bigquery.create_table(bigquery.Table(name, schema))
    yield Table(name, cloud.bigquery)
    cloud.bigquery.delete_table(name)


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ThrowawayKey().write(tmp_path_factory.mktemp("key") / "signing-key.pem")


@pytest.fixture
def env(cloud: Cloud, gateway: Gateway, table: Table, key_file: Path) -> dict[str, str]:
    """The function's settings."""
    return {
        **cloud.environment,
        "GKE_GATEWAY_URL": f"http://{gateway.address}",
        "GKE_GATEWAY_HOST": "user-profile.internal",
        "JWT_ISSUER": "https://issuer.example",
        "JWT_AUDIENCE": "user-profile",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_FILE": str(key_file),
        "BIGQUERY_TABLE": table.name,
        "DEAD_LETTER_TOPIC": TOPIC,
        "TABLE_RECREATED_HOLD_S": "0",
        "FUNCTION_NAME": "enrich",
    }


@pytest.fixture
def settings(env: dict[str, str]) -> Iterator[WorkerSettings]:
    """The settings as a pipeline carries them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (*env, "K_REVISION", "K_SERVICE", "PIPELINE_FILE", "TABLE_FILE"):
            patch.setenv(name, env.get(name, ""))  # to be restored: the engine sets them for its process
        yield WorkerSettings.read(env)[0]
        shared_engine.close_all()


TakeDeadLetters = Callable[[], list[Any]]


@pytest.fixture
def dead_letters(cloud: Cloud) -> TakeDeadLetters:
    """Take all dead letters off their subscription."""

    def take() -> list[Any]:
        found: list[Any] = []
        with PublisherClient() as publisher, SubscriberClient() as subscriber:
            # A message of our own marks the end, so that nothing is waited for.
            publisher.publish(topic=TOPIC, messages=[PubsubMessageType(data=b"the end")])
            while True:
                pulled = subscriber.pull(subscription=SUBSCRIPTION, max_messages=1000).received_messages
                subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[one.ack_id for one in pulled])
                messages = [one.message for one in pulled]
                found += [one for one in messages if one.data != b"the end"]
                if len(messages) > len([one for one in messages if one.data != b"the end"]):
                    return found

    take()
    return take


def event(number: int, **fields: object) -> bytes:
    """An event with a key of its own."""
    found = {"event_id": f"e-{number:05}", "user_id": f"u-{number % 50}", "type": "page_view"}
    return json.dumps({**found, "occurred_at": "2026-11-20T08:00:00Z", **fields}).encode()


def pubsub(number: int, data: bytes | None = None) -> PubsubMessage:
    """The message that carries an event."""
    return PubsubMessage(data or event(number), {"n": str(number)}, f"m-{number}", PUBLISHED)
