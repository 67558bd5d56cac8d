"""Push delivery, to real HTTP endpoints."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import uvicorn
from cloudevents.http import from_http
from functions_framework.aio import create_asgi_app
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient as GeneratedPublisherClient
from meshlab.cloud.pubsub import backlog
from meshlab.cloud.pubsub.server import running
from meshlab.processes.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from google.cloud.pubsub_v1.subscriber.message import Message as PulledMessage

TOPIC = "projects/meshpass-lab/topics/events"
DEAD = "projects/meshpass-lab/topics/events-dead"
SUB = "projects/meshpass-lab/subscriptions/enrich"
DEAD_SUB = "projects/meshpass-lab/subscriptions/dead-letters"
EVENTARC = "?__GCP_CloudEventsMode=CUSTOM_PUBSUB_" + quote(TOPIC, safe="")


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def envelope(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


@dataclass
class Endpoint:
    """An HTTP server that answers with the given statuses in turn, the last one for ever."""

    statuses: list[int]
    requests: list[Request] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def answer(self, request: Request) -> int:
        with self.lock:
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.release.wait(60)
        with self.lock:
            self.in_flight -= 1
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def serving(*statuses: int, port: int = 0) -> Iterator[Endpoint]:
    endpoint = Endpoint(list(statuses))
    endpoint.release.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = endpoint.answer(Request(self.path, headers, body))
            try:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                pass  # the other side had no more time

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    server = Server(("127.0.0.1", port), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Lab:
    """A running fake with a topic, and both official clients."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.publisher = pubsub_v1.PublisherClient()
        self.subscriber = pubsub_v1.SubscriberClient()
        self.publisher.create_topic(name=TOPIC)

    def push_to(self, url: str, **settings: object) -> None:
        self.subscriber.create_subscription(
            request={"name": SUB, "topic": TOPIC, "push_config": {"push_endpoint": url}, **settings}
        )

    def publish(self, body: bytes = b"x", **attributes: str) -> str:
        message_id: str = self.publisher.publish(TOPIC, body, **attributes).result(10)
        return message_id

    def until_settled(self) -> None:
        until(lambda: backlog(self.host, SUB).unacked == 0)


def until(condition: Callable[[], bool]) -> None:
    """Polls until the condition holds; a minute without is a failure."""
    gives_up_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < gives_up_s, "gave up after a minute"
        time.sleep(0.02)


def connected(
    monkeypatch: pytest.MonkeyPatch, speed: float = 1.0, push_concurrency: int = 64
) -> Iterator[Lab]:
    with running(speed=speed, push_concurrency=push_concurrency) as host:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
        lab = Lab(host)
        yield lab
        lab.publisher.stop()
        lab.publisher.transport.close()
        lab.subscriber.close()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from connected(monkeypatch)


@pytest.fixture
def fast_lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from connected(monkeypatch, speed=100.0)


def test_a_message_arrives_in_pub_sub_s_envelope(lab: Lab) -> None:
    with serving(204) as endpoint:
        lab.push_to(endpoint.url + "events?a=b%2Fc")
        message_id = lab.publish(b"\x00\xffhello", kind="greeting")
        lab.until_settled()
    (request,) = endpoint.requests
    published = request.envelope["message"]["publishTime"]
    assert request.path == "/events?a=b%2Fc"
    assert request.headers["content-type"] == "application/json"
    assert not [name for name in request.headers if name.startswith("ce-")]
    assert request.envelope == {
        "message": {
            "data": "AP9oZWxsbw==",
            "attributes": {"kind": "greeting"},
            "messageId": message_id,
            "message_id": message_id,
            "publishTime": published,
            "publish_time": published,
        },
        "subscription": SUB,
    }
    assert published.endswith("Z")


def test_empty_fields_are_left_out_and_an_ordering_key_is_shown(lab: Lab) -> None:
    with serving(204) as endpoint:
        lab.push_to(endpoint.url)
        lab.publish(b"", only="this")
        lab.publish(b"that")
        ordered = pubsub_v1.PublisherClient(
            publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
        )
        ordered.publish(TOPIC, b"keyed", ordering_key="k").result(10)
        ordered.stop()
        ordered.transport.close()
        lab.until_settled()
    messages = sorted(
        (request.envelope["message"] for request in endpoint.requests), key=lambda m: m["messageId"]
    )
    common = {"messageId", "message_id", "publishTime", "publish_time"}
    assert [set(message) - common for message in messages] == [
        {"attributes"},
        {"data"},
        {"data", "orderingKey"},
    ]


def test_without_a_wrapper_the_data_is_the_body_and_the_rest_comes_as_headers_where_asked(lab: Lab) -> None:
    with serving(204) as endpoint:
        unwrapped = {"push_endpoint": endpoint.url, "no_wrapper": {"write_metadata": True}}
        lab.push_to(endpoint.url, push_config=unwrapped)
        message_id = lab.publish(b"\x00\xffhello", kind="greeting")
        lab.until_settled()
        bare = {"push_endpoint": endpoint.url, "no_wrapper": {}}
        lab.subscriber.modify_push_config(request={"subscription": SUB, "push_config": bare})
        lab.publish(b"bare", kind="greeting")
        lab.until_settled()
    with_metadata, without = endpoint.requests
    assert with_metadata.body == b"\x00\xffhello"
    assert with_metadata.headers["x-goog-pubsub-message-id"] == message_id
    assert with_metadata.headers["x-goog-pubsub-subscription-name"] == SUB
    assert with_metadata.headers["x-goog-pubsub-publish-time"].endswith("Z")
    assert with_metadata.headers["kind"] == "greeting"
    assert without.body == b"bare"
    assert not [name for name in without.headers if name.startswith("x-goog-") or name == "kind"]


def test_an_endpoint_of_eventarc_cannot_go_without_a_wrapper(lab: Lab) -> None:
    endpoint = "http://127.0.0.1:1/" + EVENTARC
    with pytest.raises(exceptions.InvalidArgument, match="no_wrapper"):
        lab.push_to("", push_config={"push_endpoint": endpoint, "no_wrapper": {}})


def test_two_refusals_then_success_make_three_attempts(lab: Lab) -> None:
    with serving(500, 500, 204) as endpoint:
        lab.push_to(endpoint.url)
        message_id = lab.publish()
        lab.until_settled()
    assert [request.envelope["message"]["messageId"] for request in endpoint.requests] == [message_id] * 3


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_these_answers_acknowledge(lab: Lab, status: int) -> None:
    with serving(status, 500) as endpoint:
        lab.push_to(endpoint.url)
        lab.publish()
        lab.until_settled()
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [203, 206, 301, 302, 400, 401, 404, 429, 503])
def test_all_other_answers_are_a_nack(fast_lab: Lab, status: int) -> None:
    with serving(status, 204) as endpoint:
        fast_lab.push_to(endpoint.url)
        fast_lab.publish()
        fast_lab.until_settled()
    assert len(endpoint.requests) == 2


def test_no_answer_within_the_ack_deadline_is_a_nack(fast_lab: Lab) -> None:
    with serving(204) as endpoint:
        endpoint.release.clear()
        fast_lab.push_to(endpoint.url)
        fast_lab.publish()
        until(lambda: len(endpoint.requests) >= 2)
        endpoint.release.set()
        fast_lab.until_settled()


def test_the_attempt_is_shown_under_a_dead_letter_policy_and_the_fifth_is_the_last(fast_lab: Lab) -> None:
    fast_lab.publisher.create_topic(name=DEAD)
    fast_lab.subscriber.create_subscription(name=DEAD_SUB, topic=DEAD)
    with serving(500) as endpoint:
        fast_lab.push_to(endpoint.url, dead_letter_policy={"dead_letter_topic": DEAD})
        fast_lab.publish(b"poison")
        fast_lab.until_settled()
    assert [request.envelope["deliveryAttempt"] for request in endpoint.requests] == [1, 2, 3, 4, 5]
    (dead_letter,) = fast_lab.subscriber.pull(subscription=DEAD_SUB, max_messages=1).received_messages
    assert dead_letter.message.data == b"poison"
    assert dead_letter.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"


def test_eventarc_s_endpoint_gets_a_cloud_event_in_binary_mode(lab: Lab) -> None:
    with serving(204) as endpoint:
        lab.push_to(endpoint.url + EVENTARC)
        message_id = lab.publish(b"hello", kind="greeting")
        lab.until_settled()
    (request,) = endpoint.requests
    assert request.path == "/" + EVENTARC
    event = from_http(request.headers, request.body)
    assert event["id"] == message_id
    assert event["source"] == f"//pubsub.googleapis.com/{TOPIC}"
    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert event["specversion"] == "1.0"
    assert event["time"] == request.envelope["message"]["publishTime"]
    assert event.data == request.envelope
    assert b64decode(event.data["message"]["data"]) == b"hello"


def test_a_function_of_the_functions_framework_receives_the_event(lab: Lab, tmp_path: Path) -> None:
    seen = tmp_path / "seen.json"
    source = tmp_path / "main.py"
    source.write_text(
        "import json, pathlib\n"
        "import functions_framework.aio\n"
        "@functions_framework.aio.cloud_event\n"
        "async def enrich(event):\n"
        f"    pathlib.Path({str(seen)!r}).write_text(json.dumps([event['id'], event['source'], event.data]))\n"
    )
    app = create_asgi_app("enrich", str(source), "cloudevent")  # type: ignore[no-untyped-call]
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        lab.push_to(f"http://127.0.0.1:{port}/{EVENTARC}")
        message_id = lab.publish(b"hello")
        lab.until_settled()
    finally:
        server.should_exit = True
        thread.join()
    event_id, event_source, data = json.loads(seen.read_text())
    assert (event_id, event_source) == (message_id, f"//pubsub.googleapis.com/{TOPIC}")
    assert data["subscription"] == SUB


def test_an_endpoint_that_is_down_gets_everything_once_it_is_up(
    fast_lab: Lab,
) -> None:
    ports = free_ports()
    port = next(ports)
    fast_lab.push_to(f"http://127.0.0.1:{port}/")
    futures = [fast_lab.publisher.publish(TOPIC, b"x") for _ in range(200)]
    message_ids = {future.result(10) for future in futures}
    assert backlog(fast_lab.host, SUB).unacked == 200
    with serving(204, port=port) as endpoint:
        fast_lab.until_settled()
    assert {request.envelope["message"]["messageId"] for request in endpoint.requests} == message_ids


def test_no_more_pushes_are_in_flight_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    for lab in connected(monkeypatch, push_concurrency=4):
        with serving(204) as endpoint:
            lab.push_to(endpoint.url)
            for _ in range(20):
                lab.publish()
            lab.until_settled()
            endpoint.release.clear()
            for _ in range(20):
                lab.publish()
            until(lambda: endpoint.in_flight == 4)
            assert backlog(lab.host, SUB).outstanding == 4
            endpoint.release.set()
            lab.until_settled()
        assert endpoint.most_in_flight == 4


def test_a_push_subscription_cannot_be_pulled_until_its_endpoint_is_taken_away(lab: Lab) -> None:
    with serving(500) as endpoint:
        lab.push_to(
            endpoint.url,
            retry_policy={
                "minimum_backoff": timedelta(),
                "maximum_backoff": timedelta(),
            },
        )
        with pytest.raises(exceptions.FailedPrecondition, match="not supported for this subscription type"):
            lab.subscriber.pull(subscription=SUB, max_messages=1)
        lab.publish(b"mine")
        until(lambda: len(endpoint.requests) >= 1)
        lab.subscriber.modify_push_config(subscription=SUB, push_config=pubsub_v1.types.PushConfig())
        (received,) = lab.subscriber.pull(subscription=SUB, max_messages=1).received_messages
        assert received.message.data == b"mine"


def test_a_pull_subscription_given_an_endpoint_pushes_what_it_holds(lab: Lab) -> None:
    lab.subscriber.create_subscription(name=SUB, topic=TOPIC)
    message_id = lab.publish()
    with serving(204) as endpoint:
        lab.subscriber.modify_push_config(
            subscription=SUB, push_config=pubsub_v1.types.PushConfig(push_endpoint=endpoint.url)
        )
        lab.until_settled()
    assert [request.envelope["message"]["messageId"] for request in endpoint.requests] == [message_id]


def test_a_deleted_subscription_pushes_no_more_and_its_successor_starts_afresh(lab: Lab) -> None:
    with serving(204) as old, serving(204) as new:
        lab.push_to(old.url)
        lab.publish(b"first")
        lab.until_settled()
        lab.subscriber.delete_subscription(subscription=SUB)
        lab.push_to(new.url)
        lab.publish(b"second")
        lab.until_settled()
    assert len(old.requests) == 1
    assert [b64decode(request.envelope["message"]["data"]) for request in new.requests] == [b"second"]


_MESSAGES = 2000
"""Twice what the official client takes at once, and many times what is pushed at once."""


def test_thousands_of_messages_all_settle_on_push_and_pull_side_alike(lab: Lab) -> None:
    pull_sub = "projects/meshpass-lab/subscriptions/pull"
    lab.subscriber.create_subscription(name=pull_sub, topic=TOPIC)
    pulled: list[bytes] = []

    def callback(message: PulledMessage) -> None:
        pulled.append(message.data)
        message.ack()

    with serving(204) as endpoint:
        lab.push_to(endpoint.url)
        puller = lab.subscriber.subscribe(pull_sub, callback)
        bodies = {str(n).encode() for n in range(_MESSAGES)}
        published = [lab.publisher.publish(TOPIC, body) for body in bodies]
        for each in published:
            each.result(60)
        until(lambda: backlog(lab.host, pull_sub).acked == _MESSAGES)
        lab.until_settled()
        puller.cancel()
        puller.result(10)
    assert set(pulled) == bodies
    assert {b64decode(request.envelope["message"]["data"]) for request in endpoint.requests} == bodies
    assert backlog(lab.host, SUB).acked == _MESSAGES


def test_of_an_ordering_key_one_push_is_in_flight_and_a_failed_one_comes_before_the_next(lab: Lab) -> None:
    with serving(500, 204) as endpoint:
        lab.push_to(endpoint.url, enable_message_ordering=True)
        batch = [{"data": b"%d" % number, "ordering_key": "k"} for number in range(4)]
        generated = GeneratedPublisherClient(transport=lab.publisher.transport)
        generated.publish(request={"topic": TOPIC, "messages": batch})
        lab.until_settled()
    assert [b64decode(each.envelope["message"]["data"]) for each in endpoint.requests] == [
        b"0",
        b"0",
        b"1",
        b"2",
        b"3",
    ]
    assert endpoint.most_in_flight == 1
