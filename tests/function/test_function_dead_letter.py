"""Bad events are kept as they came, with the reason beside them, within Pub/Sub's limits."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import grpc
import meshpass
import pytest
from enrichment.dead_letter import (
    ATTRIBUTES_DROPPED,
    MAX_ATTRIBUTES,
    MAX_REQUEST_BYTES,
    OUR_ATTRIBUTES,
    DeadLetter,
    compose,
)
from enrichment.dead_letter_topic import PubSubDeadLetters
from enrichment.errors import BadEventError, FaultError, Stage, TransientError
from enrichment.event.message import Message, read, unreadable
from enrichment.telemetry.trace import Trace
from google.pubsub_v1 import PublishRequest, PubsubMessage, SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from hypothesis import given
from hypothesis import strategies as st

from .conftest import PROJECT, TOPIC, Topic

LARGE_TOPIC = f"projects/{PROJECT}/topics/large-letters"
TRACE = Trace("t" * 32, "")


def dead_letter(attributes: dict[str, str], detail: str = "why", data: bytes = b"data") -> DeadLetter:
    message = Message(data, attributes, "m-1", datetime(2026, 3, 1, tzinfo=UTC), "key", attempt=3)
    return compose(message, BadEventError(Stage.WRITE, "row_invalid", detail), TRACE, "v", "enrich")


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9), max_size=90))
def test_the_original_stays_untouched_where_there_is_room(attributes: dict[str, str]) -> None:
    composed = dead_letter(attributes)
    assert (composed.data, composed.ordering_key) == (b"data", "key")
    assert attributes.items() <= composed.attributes.items()
    assert composed.attributes.keys() - attributes.keys() == set(OUR_ATTRIBUTES) - {ATTRIBUTES_DROPPED}


def test_a_dead_letter_says_why_where_which_delivery_and_what_code() -> None:
    assert dead_letter({}).attributes == {
        "dead_letter_reason": "row_invalid",
        "dead_letter_stage": "write",
        "dead_letter_detail": "why",
        "dead_letter_message_id": "m-1",
        "dead_letter_publish_time": "2026-03-01T00:00:00Z",
        "dead_letter_attempt": "3",
        "dead_letter_redrive_count": "0",
        "dead_letter_trace_id": "t" * 32,
        "dead_letter_version": "v",
        "dead_letter_function": "enrich",
    }


def test_a_dead_letter_of_a_redriven_event_keeps_the_original_identity_and_says_how_often() -> None:
    delivery = {
        "data": "",
        "messageId": "the-second",
        "publishTime": "2026-03-02T00:00:00Z",
        "attributes": {
            "redrive_message_id": "the-first",
            "redrive_publish_time": "2026-03-01T00:00:00Z",
            "redrive_count": "2",
        },
    }
    error = BadEventError(Stage.DECODE, "json_invalid", "why")
    attributes = compose(read(json.dumps({"message": delivery}).encode()), error, TRACE, "v").attributes
    assert attributes["dead_letter_message_id"] == "the-first"
    assert attributes["dead_letter_publish_time"] == "2026-03-01T00:00:00Z"
    assert attributes["dead_letter_redrive_count"] == "2"
    assert not any(name.startswith("redrive_") for name in attributes)


def test_what_an_unreadable_delivery_does_not_say_is_empty() -> None:
    error = BadEventError(Stage.DECODE, "envelope_invalid", "why")
    attributes = compose(unreadable(b"{"), error, TRACE, "v").attributes
    assert [attributes[f"dead_letter_{name}"] for name in ("message_id", "publish_time", "attempt")] == [
        ""
    ] * 3


@pytest.mark.parametrize(
    ("count", "gone"),
    [
        (90, []),
        (91, ["version"]),
        (92, ["version", "attempt"]),
        (93, ["version", "attempt", "trace_id"]),
        (94, ["version", "attempt", "trace_id", "detail"]),
    ],
)
def test_of_many_attributes_ours_give_way_before_the_messages_own(count: int, gone: list[str]) -> None:
    attributes = {f"a{number}": "v" for number in range(count)}
    composed = dead_letter(attributes).attributes
    assert len(composed) == MAX_ATTRIBUTES
    assert attributes.items() <= composed.items()
    missing = {*OUR_ATTRIBUTES} - composed.keys()
    assert missing == {ATTRIBUTES_DROPPED, *(f"dead_letter_{name}" for name in gone)}


@pytest.mark.parametrize("count", [95, 99, 100])
def test_the_reason_finds_room_among_a_hundred_attributes_and_says_what_gave_way(count: int) -> None:
    attributes = {f"a{number}": "v" for number in range(count)}
    composed = dead_letter(attributes).attributes
    assert len(composed) == MAX_ATTRIBUTES
    kept = attributes.items() & composed.items()
    assert len(kept) == 93
    assert composed["dead_letter_attributes_dropped"] == str(count - len(kept))


def test_a_dead_letter_of_an_earlier_life_gets_the_new_reason() -> None:
    again = dead_letter(
        dead_letter({"a": "v"}).attributes
        | {"dead_letter_reason": "old", "dead_letter_attributes_dropped": "3"}
    )
    assert again == dead_letter({"a": "v"})


THEIRS = {f"a{number}": "v" * 1024 for number in range(20)}


@pytest.mark.parametrize(
    ("data_bytes", "gone"),
    [
        (9_970_000, set()),
        (9_977_500, {"dead_letter_detail"}),
        (
            9_978_550,
            {"dead_letter_detail", "dead_letter_attempt", "dead_letter_trace_id", "dead_letter_version"},
        ),
    ],
)
def test_of_a_large_event_the_detail_gives_way_first_and_then_what_redriving_does_not_need(
    data_bytes: int, gone: set[str]
) -> None:
    composed = dead_letter(THEIRS, "d" * 1024, b"x" * data_bytes)
    assert len(composed.data) == data_bytes
    assert THEIRS.items() <= composed.attributes.items()
    assert set(OUR_ATTRIBUTES) - {ATTRIBUTES_DROPPED} - composed.attributes.keys() == gone


def test_of_a_very_large_event_the_last_attributes_give_way_and_are_counted() -> None:
    composed = dead_letter(THEIRS, data=b"x" * 9_990_000)
    kept = THEIRS.keys() & composed.attributes.keys()
    assert kept == {f"a{number}" for number in range(len(kept))}
    assert composed.attributes[ATTRIBUTES_DROPPED] == str(20 - len(kept))
    assert 0 < len(kept) < 20
    assert composed.size_bytes <= MAX_REQUEST_BYTES


@given(st.dictionaries(st.text(max_size=300), st.text(max_size=1024), max_size=100), st.text(max_size=1024))
def test_a_request_is_never_larger_than_reckoned(attributes: dict[str, str], key: str) -> None:
    message = PubsubMessage(data=b"data", attributes=attributes, ordering_key=key)
    topic = f"projects/{'p' * 30}/topics/{'t' * 255}"
    request = PublishRequest(topic=topic, messages=[message])
    assert PublishRequest.pb(request).ByteSize() <= DeadLetter(b"data", attributes, key).size_bytes


@given(st.text())
def test_a_detail_is_one_line_that_fits_into_an_attribute(detail: str) -> None:
    found = dead_letter({}, detail * 300).attributes["dead_letter_detail"]
    assert len(found.encode()) <= 1024
    assert len(found.splitlines()) <= 1


@pytest.fixture(scope="module")
def dead_letters() -> Iterator[PubSubDeadLetters]:
    with closing(PubSubDeadLetters(TOPIC)) as dead_letters:
        yield dead_letters


def send(dead_letters: PubSubDeadLetters, dead_letter: DeadLetter, within_s: float = 10.0) -> None:
    async def call() -> None:
        await dead_letters.publish(dead_letter, meshpass.Deadline.after(within_s))

    asyncio.run(call())


# Attributes named like the client's own arguments must not change the call.
ODD = DeadLetter(b"data", {"topic": "t", "timeout": "0", "retry": "r", "data": "d", "self": "s"}, "")


def test_a_published_dead_letter_is_on_the_topic(topic: Topic, dead_letters: PubSubDeadLetters) -> None:
    topic.dead_letters()
    send(dead_letters, ODD)
    (found,) = topic.dead_letters()
    assert found.data == b"data"
    assert found.attributes["timeout"] == "0"


@pytest.fixture
def large_dead_letters(topic: Topic) -> Iterator[Callable[[], list[PubsubMessage]]]:
    """Gives what a topic of its own holds, dead letters beyond the 4 MiB that a plain channel receives among it."""
    subscription = LARGE_TOPIC.replace("/topics/", "/subscriptions/")
    channel = grpc.insecure_channel(topic.host, options=[("grpc.max_receive_message_length", -1)])
    topic.publisher.create_topic(name=LARGE_TOPIC)
    topic.subscriber.create_subscription(name=subscription, topic=LARGE_TOPIC)
    with SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)) as subscriber:

        def pull() -> list[PubsubMessage]:
            pulled = subscriber.pull(subscription=subscription, max_messages=1).received_messages
            return [found.message for found in pulled]

        yield pull
    topic.subscriber.delete_subscription(subscription=subscription)
    topic.publisher.delete_topic(topic=LARGE_TOPIC)


def test_an_event_that_nearly_fills_a_request_is_published_whole_with_its_reason(
    large_dead_letters: Callable[[], list[PubsubMessage]],
) -> None:
    original = PubsubMessage(data=b"x" * 9_990_000, attributes={"a": "v"})
    request = PublishRequest(topic="projects/a-project/topics/t", messages=[original])
    original.data += b"x" * (MAX_REQUEST_BYTES - PublishRequest.pb(request).ByteSize() - 700)
    with closing(PubSubDeadLetters(LARGE_TOPIC)) as dead_letters:
        send(dead_letters, dead_letter({"a": "v"}, "d" * 1024, original.data))
    (found,) = large_dead_letters()
    assert found.data == original.data
    assert found.attributes["dead_letter_reason"] == "row_invalid"
    assert found.attributes["a"] == "v"


def test_an_event_that_fills_a_whole_request_is_kept_and_reported(
    topic: Topic, dead_letters: PubSubDeadLetters
) -> None:
    topic.dead_letters()
    with pytest.raises(FaultError, match="dead_letter_too_large"):
        send(dead_letters, dead_letter({}, data=b"x" * (MAX_REQUEST_BYTES - 100)))
    assert topic.dead_letters() == []


def test_a_missing_topic_is_our_fault_and_once_there_is_one_dead_letters_go_there(
    topic: Topic, dead_letters: PubSubDeadLetters
) -> None:
    send(dead_letters, ODD)
    topic.drop()
    try:
        with pytest.raises(FaultError, match="pubsub_not_found"):
            send(dead_letters, ODD)
    finally:
        topic.create()
    send(dead_letters, ODD)
    assert [found.data for found in topic.dead_letters()] == [b"data"]


def test_a_pubsub_out_of_reach_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{closed.getsockname()[1]}")
        with (
            closing(PubSubDeadLetters(TOPIC)) as dead_letters,
            pytest.raises(TransientError, match="pubsub_unavailable"),
        ):
            send(dead_letters, ODD, within_s=0.2)


def test_a_dead_letter_whose_time_runs_out_while_a_quota_is_retried_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_go_on = threading.Event()
    calls: list[bytes] = []

    def publish(request: bytes, context: grpc.ServicerContext) -> bytes:
        calls.append(request)
        if len(calls) > 1:
            may_go_on.wait(20)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded")
        return b""

    server = grpc.server(ThreadPoolExecutor(2))
    methods = {"Publish": grpc.unary_unary_rpc_method_handler(publish)}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", methods)]
    )
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    try:
        with closing(PubSubDeadLetters(TOPIC)) as dead_letters:
            with pytest.raises(TransientError, match="pubsub_quota"):
                send(dead_letters, ODD, within_s=5.0)
            may_go_on.set()
    finally:
        may_go_on.set()
        server.stop(None).wait()
    assert len(calls) > 1


def test_a_dead_letter_out_of_time_is_not_published(topic: Topic, dead_letters: PubSubDeadLetters) -> None:
    topic.dead_letters()
    with pytest.raises(TransientError, match="pubsub_unavailable"):
        send(dead_letters, ODD, within_s=0)
    assert topic.dead_letters() == []


def test_more_dead_letters_at_once_than_threads_are_all_published(
    topic: Topic, dead_letters: PubSubDeadLetters
) -> None:
    async def all_at_once() -> None:
        deadline = meshpass.Deadline.after(10)
        await asyncio.gather(
            *(dead_letters.publish(DeadLetter(b"%d" % n, {}, ""), deadline) for n in range(40))
        )

    topic.dead_letters()
    asyncio.run(all_at_once())
    assert sorted(int(found.data) for found in topic.dead_letters()) == list(range(40))


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-token-payload", "v" * 1025), ("n" * 257, "v"), ("", "v"), ("goog-x", "v"), ("ä" * 129, "v")],
    ids=["value", "name", "no-name", "reserved", "name-in-bytes"],
)
def test_an_attribute_that_pubsub_would_refuse_does_not_keep_the_event_from_its_dead_letter(
    topic: Topic, dead_letters: PubSubDeadLetters, name: str, value: str
) -> None:
    kept = {"kind": "order", "googclient_schemaencoding": "JSON", "n" * 256: "v" * 1024}
    send(dead_letters, dead_letter({name: value} | kept))
    (found,) = topic.dead_letters()
    attributes = dict(found.attributes)
    assert kept.items() <= attributes.items()
    assert name not in attributes
    assert "dead_letter_attributes_dropped" not in attributes, (
        "no publisher sent it, so nothing of the event is gone"
    )
