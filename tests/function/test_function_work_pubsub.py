"""The worker on the lab's Pub/Sub, over real sockets, with the official client for subscribers as the reference."""

import asyncio
import base64
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import grpc
import pytest
from enrichment.core.received import Received
from enrichment.drivers.work.api import CallError, GrpcApi
from enrichment.drivers.work.messages import Proto, StreamRequest, StreamResponse
from enrichment.drivers.work.stream import Stream, StreamSettings
from enrichment.drivers.work.worker import Limits, Worker
from enrichment.errors import Disposition, Outcome
from enrichment.event.message import Message
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1 import types
from meshlab.certificates import CertificateAuthority
from meshlab.cloud.pubsub import PullFaults, backlog, end_streams, fail_pull, pull_counts, server, service
from meshlab.cloud.pubsub.server import running
from meshpass._tokens.google.access_token import AccessToken

from .scripted_pubsub import Lines

TOPIC = "projects/meshpass-lab/topics/events"
UNDELIVERED = "projects/meshpass-lab/topics/undelivered"
UNDELIVERED_SUB = "projects/meshpass-lab/subscriptions/undelivered"
OFFICIAL = "projects/meshpass-lab/subscriptions/official"
OURS = "projects/meshpass-lab/subscriptions/ours"
LIMITS = Limits(messages=256, bytes=1 << 24, event_s=60, lease_s=30)


@dataclass
class Requests:
    """What a subscription was asked, by message."""

    first: list[Proto] = field(default_factory=list)
    data_of: dict[str, str] = field(default_factory=dict)
    acked: Counter[str] = field(default_factory=Counter)
    nacked: Counter[str] = field(default_factory=Counter)
    ack_requests: int = 0


class Recording(service.SubscriberService):
    """The fake's service, which notes what it is asked."""

    seen: dict[str, Requests] = defaultdict(Requests)  # noqa: RUF012 - of one test, which empties it

    async def acknowledge(self, request: Proto) -> Proto:
        seen = self.seen[request.subscription]
        seen.ack_requests += 1
        seen.acked.update(request.ack_ids)
        return await super().acknowledge(request)

    async def modify_ack_deadline(self, request: Proto) -> Proto:
        if not request.ack_deadline_seconds:
            self.seen[request.subscription].nacked.update(request.ack_ids)
        return await super().modify_ack_deadline(request)

    async def streaming_pull(self, requests: AsyncIterator[Proto]) -> AsyncIterator[bytes]:
        seen = None

        async def noted() -> AsyncIterator[Proto]:
            nonlocal seen
            async for request in requests:
                if request.subscription:
                    seen = self.seen[request.subscription]
                    seen.first.append(request)
                yield request

        async for response in super().streaming_pull(noted()):
            assert seen is not None
            for one in StreamResponse.FromString(response).received_messages:
                seen.data_of[one.ack_id] = one.message.data.decode()
            yield response


class Pubsub:
    """The running fake, and official clients."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.publisher = pubsub_v1.PublisherClient(
            publisher_options=types.PublisherOptions(enable_message_ordering=True)
        )
        self.subscriber = pubsub_v1.SubscriberClient()
        self.publisher.create_topic(name=TOPIC)

    def subscribe(self, name: str, **settings: object) -> None:
        self.subscriber.create_subscription(request={"name": name, "topic": TOPIC, **settings})

    def publish(self, *bodies: str, key: Callable[[str], str] = lambda _: "") -> None:
        for future in [self.publisher.publish(TOPIC, body.encode(), key(body)) for body in bodies]:
            future.result(10)

    def is_settled(self, name: str) -> bool:
        return backlog(self.host, name).unacked == 0


@pytest.fixture
def speed() -> float:
    """How much faster the fake's time runs."""
    return 1.0


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch, speed: float) -> Iterator[Pubsub]:
    monkeypatch.setattr(server, "SubscriberService", Recording)
    Recording.seen.clear()
    with running(speed=speed) as host:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
        pubsub = Pubsub(host)
        yield pubsub
        pubsub.publisher.stop()
        pubsub.publisher.transport.close()
        pubsub.subscriber.close()


class Handler:
    """Decides what becomes of each delivery, the same for both clients."""

    def __init__(self, decide: Callable[[str, int], bool] = lambda *_: True) -> None:
        self.decide = decide
        self.deliveries: Counter[str] = Counter()
        self.ended: list[str] = []
        self.attempts: dict[str, list[int]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, data: str, attempt: int) -> bool:
        with self._lock:
            self.deliveries[data] += 1
            self.attempts[data].append(attempt)
            good = self.decide(data, self.deliveries[data])
            if good:
                self.ended.append(data)
            return good


@contextmanager
def worker(
    pubsub: Pubsub,
    handler: Handler,
    *,
    limits: Limits = LIMITS,
    streams: int = 1,
    took_s: float = 0.0,
    speed: float = 1.0,
) -> Iterator[tuple[Worker, Lines]]:
    """Our worker, in a thread with a loop of its own."""
    lines = Lines()
    ready, stop = threading.Event(), asyncio.Event()
    found: list[Worker] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def handle(received: Received) -> Outcome:
        if took_s:
            await asyncio.sleep(took_s)
        assert isinstance(received.message, Message)
        good = handler.take(received.message.data.decode(), received.message.attempt)
        return Outcome(Disposition.WRITTEN if good else Disposition.RETRY)

    async def work() -> None:
        api = GrpcApi(OURS, pubsub.host)
        worker = Worker(api, handle, limits, lines.counters, lines.report, random.random)
        worker.server_waits = True  # so that a nack is sent at once
        worker._leases.lease_s /= speed
        all_streams = [
            Stream(
                api,
                StreamSettings(OURS, f"client-{number}", limits.lease_s, limits.messages, limits.bytes),
                worker,
                lambda: "",
                lines.report,
                lines.counters,
            )
            for number in range(streams)
        ]
        tasks = [asyncio.create_task(stream.run()) for stream in all_streams]
        found.append(worker)
        loops.append(asyncio.get_running_loop())
        ready.set()
        await stop.wait()
        for stream in all_streams:
            stream.end()
        await worker.drain(within_s=5, flush_s=5)
        await asyncio.gather(*tasks)
        worker.close()
        await api.aclose()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    ready.wait(10)
    try:
        yield found[0], lines
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def official(pubsub: Pubsub, handler: Handler) -> Iterator[None]:
    """The official client, which acks and nacks as the handler says."""

    def take(message: Proto) -> None:
        good = handler.take(message.data.decode(), message.delivery_attempt or 0)
        (message.ack if good else message.nack)()

    pulling = pubsub.subscriber.subscribe(
        OFFICIAL, take, flow_control=types.FlowControl(max_messages=LIMITS.messages, max_bytes=LIMITS.bytes)
    )
    try:
        yield
    finally:
        pulling.cancel()
        pulling.result()


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


BODIES = [f"{number:03}" for number in range(150)]


def stumbling(data: str, delivery: int) -> bool:
    """Every tenth fails once, and every fiftieth always."""
    number = int(data)
    return not (number % 50 == 7 or (number % 10 == 3 and delivery == 1))


@pytest.mark.parametrize(
    "settings", [{}, {"enable_exactly_once_delivery": True}], ids=["plain", "exactly-once"]
)
def test_the_same_messages_are_acknowledged_as_by_the_official_client(
    pubsub: Pubsub, settings: dict[str, object]
) -> None:
    pubsub.publisher.create_topic(name=UNDELIVERED)
    policy = {"dead_letter_topic": UNDELIVERED, "max_delivery_attempts": 5}
    handlers = {OFFICIAL: Handler(stumbling), OURS: Handler(stumbling)}
    for name in handlers:
        pubsub.subscribe(name, dead_letter_policy=policy, **settings)
    pubsub.publish(*BODIES)
    with official(pubsub, handlers[OFFICIAL]):
        wait_until(lambda: pubsub.is_settled(OFFICIAL))
    with worker(pubsub, handlers[OURS]):
        wait_until(lambda: pubsub.is_settled(OURS))
    asked = Recording.seen
    for name, handler in handlers.items():
        assert backlog(pubsub.host, name).acked == 147
        assert handler.deliveries == handlers[OFFICIAL].deliveries
        assert {data: attempts for data, attempts in handler.attempts.items() if data == "057"} == {
            "057": [1, 2, 3, 4, 5]
        }
        seen = asked[name]
        for kind in ("acked", "nacked"):
            by_message = {name: _by_message(asked[name], kind) for name in handlers}
            assert by_message[name] == by_message[OFFICIAL]
        assert max((seen.acked + seen.nacked).values()) == 1, "one answer for each delivery"
    assert asked[OURS].ack_requests <= asked[OFFICIAL].ack_requests + 10


def _by_message(seen: Requests, kind: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for ack_id, times in getattr(seen, kind).items():
        found[seen.data_of[ack_id]] += times
    return found


def test_the_first_request_of_a_stream_says_what_that_of_the_official_client_says(pubsub: Pubsub) -> None:
    for name, run in ((OFFICIAL, official), (OURS, worker)):
        pubsub.subscribe(name)
        with run(pubsub, Handler()):
            wait_until(lambda name=name: bool(Recording.seen[name].first))  # type: ignore[misc]
    (theirs,), (ours,) = Recording.seen[OFFICIAL].first, Recording.seen[OURS].first
    assert ours.client_id
    assert 10 <= ours.stream_ack_deadline_seconds <= 60
    for request in (theirs, ours):
        for name in ("client_id", "stream_ack_deadline_seconds", "subscription"):
            request.ClearField(name)
    assert ours == theirs
    bounds = StreamRequest(max_outstanding_messages=256, max_outstanding_bytes=1 << 24)
    assert ours.SerializeToString() == bounds.SerializeToString()


@pytest.mark.parametrize(
    "settings", [{}, {"enable_exactly_once_delivery": True}], ids=["plain", "exactly-once"]
)
def test_messages_of_a_key_end_in_their_order_although_some_fail(
    pubsub: Pubsub, settings: dict[str, object]
) -> None:
    def key(body: str) -> str:
        return f"key-{int(body) % 7}"

    handler = Handler(lambda data, delivery: int(data) % 11 != 5 or delivery > 2)
    pubsub.subscribe(OURS, enable_message_ordering=True, **settings)
    pubsub.publish(*BODIES, key=key)
    with worker(pubsub, handler, took_s=0.002):
        wait_until(lambda: pubsub.is_settled(OURS))
    for number in range(7):
        name = f"key-{number}"
        ended = list(dict.fromkeys(data for data in handler.ended if key(data) == name))
        assert ended == [body for body in BODIES if key(body) == name]


def test_a_stream_that_ends_is_opened_again_without_a_line_and_nothing_is_lost(pubsub: Pubsub) -> None:
    handler = Handler()
    pubsub.subscribe(OURS)
    with worker(pubsub, handler, took_s=0.01) as (_, lines):
        for status in ("UNAVAILABLE", "INTERNAL", "CANCELLED", "ABORTED", "UNKNOWN"):
            pubsub.publish(*(f"{status}-{number}" for number in range(20)))
            wait_until(partial(_ends_a_stream, pubsub.host, status))
        wait_until(lambda: pubsub.is_settled(OURS))
    assert set(handler.deliveries.values()) == {1}
    assert len(handler.deliveries) == 100
    assert lines.with_severity("(WARNING|ERROR|CRITICAL)") == []
    assert lines.counters.total("streams_ended", code="INTERNAL") == 1


def _ends_a_stream(host: str, status: str) -> bool:
    return end_streams(host, OURS, status) > 0


def test_acks_that_are_lost_or_whose_answers_are_lost_lose_no_message(pubsub: Pubsub) -> None:
    handler = Handler()
    pubsub.subscribe(OURS, enable_exactly_once_delivery=True)
    fail_pull(pubsub.host, OURS, PullFaults(lost_ack_share=0.2, lost_answer_share=0.5, seed=7))
    pubsub.publish(*BODIES)
    limits = Limits(messages=40, bytes=1 << 20, event_s=60, lease_s=30)
    with worker(pubsub, handler, limits=limits):
        wait_until(lambda: pubsub.is_settled(OURS), 40)
        counts = pull_counts(pubsub.host, OURS)
    assert (counts.lost_acks > 0, counts.lost_answers > 0) == (True, True)
    assert sorted(handler.deliveries) == BODIES
    assert set(handler.deliveries.values()) == {1}, "what was lost was sent again, before its lease ended"


def test_a_subscription_that_is_not_there_yet_is_one_critical_line_and_then_received_from(
    pubsub: Pubsub,
) -> None:
    handler = Handler()
    with worker(pubsub, handler) as (_, lines):
        wait_until(lambda: bool(lines.with_severity("CRITICAL")))
        pubsub.subscribe(OURS)
        pubsub.publish("one")
        wait_until(lambda: pubsub.is_settled(OURS))
    (line,) = lines.with_severity("CRITICAL")
    assert line.startswith(
        "fault: no messages from projects/meshpass-lab/subscriptions/events-pull: NOT_FOUND"
    )
    assert "create the subscription" in line
    (again,) = lines.with_severity("NOTICE")
    assert "again" in again
    assert list(handler.deliveries) == ["one"]


def test_a_subscription_that_is_refused_for_a_while_is_a_fault_and_loses_nothing(pubsub: Pubsub) -> None:
    handler = Handler()
    pubsub.subscribe(OURS)
    with worker(pubsub, handler, took_s=0.05) as (_, lines):
        pubsub.publish(*BODIES)
        fail_pull(pubsub.host, OURS, PullFaults(refusal="PERMISSION_DENIED"))
        wait_until(lambda: bool(lines.with_severity("CRITICAL")))
        fail_pull(pubsub.host, OURS, PullFaults())
        pubsub.publish("late")
        wait_until(lambda: "late" in handler.deliveries)
        (line,) = lines.with_severity("CRITICAL")
        assert "grant roles/pubsub.subscriber" in line
        assert backlog(pubsub.host, OURS).undelivered == 0
    assert set(handler.deliveries) == {*BODIES, "late"}


def test_a_message_of_ten_megabytes_and_more_than_the_bounds_come_through(pubsub: Pubsub) -> None:
    handler = Handler()
    pubsub.subscribe(OURS)
    pubsub.publish("x" * 9_900_000, *BODIES)
    limits = Limits(messages=5, bytes=100_000, event_s=60, lease_s=30)
    with worker(pubsub, handler, limits=limits, streams=3):
        wait_until(lambda: pubsub.is_settled(OURS))
    assert len(handler.deliveries) == 151
    assert set(handler.deliveries.values()) == {1}


@pytest.mark.parametrize("speed", [10.0])
def test_a_lease_is_extended_for_as_long_as_its_event_takes(pubsub: Pubsub, speed: float) -> None:
    handler = Handler()
    pubsub.subscribe(OURS)
    pubsub.publish("one")
    limits = Limits(messages=10, bytes=1 << 20, event_s=60, lease_s=10)
    with worker(pubsub, handler, limits=limits, took_s=3.0, speed=speed) as (_, lines):
        wait_until(lambda: pubsub.is_settled(OURS))
    assert handler.deliveries == {"one": 1}
    assert lines.counters.total("lease_extensions", result="taken") >= 3


def test_a_drain_gives_back_at_once_what_has_not_begun(pubsub: Pubsub) -> None:
    handler = Handler()
    pubsub.subscribe(OURS)
    pubsub.publish(*BODIES)
    limits = Limits(messages=10, bytes=1 << 20, event_s=60, lease_s=60)
    with worker(pubsub, handler, limits=limits, took_s=0.3):
        wait_until(lambda: bool(handler.deliveries))
    found = backlog(pubsub.host, OURS)
    assert found.outstanding == 0, "nothing waits for the end of a lease"
    assert found.acked == len(handler.ended)
    assert found.undelivered == 150 - found.acked


def test_a_message_is_for_the_core_what_it_is_when_pushed(pubsub: Pubsub) -> None:
    """Data, id, time, attributes, key and attempt; a redriven one is the original."""
    from enrichment.event import message

    pubsub.subscribe(OURS)
    redriven = {
        "redrive_message_id": "old",
        "redrive_publish_time": "2026-11-01T10:00:00.123456Z",
        "redrive_count": "1",
    }
    pubsub.publisher.publish(TOPIC, b"a", "key", a="1").result(10)
    pubsub.publisher.publish(TOPIC, b"b", **redriven).result(10)
    (found, other) = pubsub.subscriber.pull(subscription=OURS, max_messages=2).received_messages
    for one in (found, other):
        raw = type(one).pb(one).message
        published = raw.publish_time
        ours = message.of_pull(
            raw.data, dict(raw.attributes), raw.message_id, (published.seconds, published.nanos),
            raw.ordering_key, 3
        )  # fmt: skip
        pushed = {
            "data": base64.b64encode(raw.data).decode(),
            "messageId": raw.message_id,
            "publishTime": published.ToJsonString(),
            "attributes": dict(raw.attributes),
            "orderingKey": raw.ordering_key,
        }
        body = json.dumps({"message": pushed, "subscription": OURS, "deliveryAttempt": 3}).encode()
        assert ours == message.read(body)
    assert ours.message_id == "old"


class Tokens:
    """Access tokens, numbered."""

    def __init__(self) -> None:
        self.number = 1

    async def atoken(self) -> AccessToken:
        return AccessToken(f"token-{self.number}", 1e12, "test", further={"X-Goog-User-Project": "billed"})

    def invalidate(self, token: AccessToken) -> None:
        self.number += 1


def test_tokens_go_over_tls_alone_and_a_request_whose_token_is_refused_is_sent_again_with_a_new_one() -> None:
    seen: list[dict[str, str]] = []

    class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, handler_call_details: Proto) -> Proto:
            async def answer(_: bytes, context: Proto) -> bytes:
                seen.append(dict(context.invocation_metadata()))
                if seen[-1].get("authorization") == "Bearer token-1":
                    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
                return b""

            return grpc.unary_unary_rpc_method_handler(answer)

    async def work() -> None:
        pair = CertificateAuthority.create("test").issue(dns_names=["localhost"])
        secure = grpc.ssl_server_credentials([(pair.key, pair.chain)])
        for is_secure in (True, False):
            server = grpc.aio.server()
            server.add_generic_rpc_handlers((Refusing(),))
            port = (
                server.add_secure_port("localhost:0", secure)
                if is_secure
                else server.add_insecure_port("127.0.0.1:0")
            )
            await server.start()
            where = f"localhost:{port}"
            tokens = Tokens()
            api = (
                GrpcApi(OURS, tokens=tokens, endpoint=where, roots=pair.root)
                if is_secure
                else GrpcApi(OURS, where, tokens)
            )
            await api.acknowledge(["a"])
            await api.aclose()
            await server.stop(None)

    asyncio.run(work())
    refused, taken, plain = seen
    assert (refused["authorization"], taken["authorization"]) == ("Bearer token-1", "Bearer token-2")
    assert taken["x-goog-user-project"] == "billed"
    assert "authorization" not in plain
    for metadata in seen:
        assert metadata["x-goog-request-params"] == f"subscription={OURS}"


def test_a_request_whose_new_token_is_refused_too_fails() -> None:
    seen: list[str] = []

    class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, handler_call_details: Proto) -> Proto:
            async def answer(_: bytes, context: Proto) -> bytes:
                seen.append(dict(context.invocation_metadata())["authorization"])
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
                return b""

            return grpc.unary_unary_rpc_method_handler(answer)

    async def work() -> None:
        pair = CertificateAuthority.create("test").issue(dns_names=["localhost"])
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Refusing(),))
        port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(pair.key, pair.chain)]))
        await server.start()
        api = GrpcApi(OURS, tokens=Tokens(), endpoint=f"localhost:{port}", roots=pair.root)
        with pytest.raises(CallError, match="UNAUTHENTICATED"):
            await api.acknowledge(["a"])
        await api.aclose()
        await server.stop(None)

    asyncio.run(work())
    assert seen == ["Bearer token-1", "Bearer token-2"]
