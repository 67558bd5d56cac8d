"""The message in a request, in whatever form it was pushed."""

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from enrichment.core.received import Received
from enrichment.drivers.push.forms import MAX_BODY_BYTES, NoPushError, read
from enrichment.errors import BadEventError
from enrichment.event.message import Message
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 3, 1, 13, tzinfo=UTC)
PUBLISHED = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATA = b'{"event_id": "e-1"}'
ATTRIBUTES = {"kind": "order"}
BODY: dict[str, Any] = {
    "message": {
        "data": base64.b64encode(DATA).decode(),
        "messageId": "m-1",
        "message_id": "m-1",
        "publishTime": "2026-03-01T12:00:00Z",
        "publish_time": "2026-03-01T12:00:00Z",
        "attributes": ATTRIBUTES,
    },
    "subscription": "projects/p/subscriptions/s",
}
WRAPPED = json.dumps(BODY).encode()
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CLOUD_EVENT = {
    "id": "m-1",
    "source": "//pubsub.googleapis.com/projects/p/topics/t",
    "specversion": "1.0",
    "type": "google.cloud.pubsub.topic.v1.messagePublished",
}
BINARY = {f"ce-{name}": value for name, value in CLOUD_EVENT.items()} | {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
METADATA = {
    "x-goog-pubsub-message-id": "m-1",
    "x-goog-pubsub-publish-time": "2026-03-01T12:00:00Z",
    "x-goog-pubsub-subscription-name": "projects/p/subscriptions/s",
}


def push(body: bytes, headers: Mapping[str, str] | None = None, *more: tuple[str, str]) -> Received:
    pairs = [*{"host": "f", "user-agent": "APIs-Google", **(headers or {})}.items(), *more]
    return read([(name.encode(), value.encode()) for name, value in pairs], body, NOW)


def message_of(found: Received) -> Message:
    assert isinstance(found.message, Message), found.message
    return found.message


def structured(**changes: object) -> bytes:
    return json.dumps({**CLOUD_EVENT, "data": BODY, **changes}).encode()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (WRAPPED, BINARY),
        (structured(), STRUCTURED),
        (structured(data=None, data_base64=base64.b64encode(WRAPPED).decode()), STRUCTURED),
        (WRAPPED, {"content-type": "application/json"}),
        (WRAPPED, {}),
        (DATA, METADATA | ATTRIBUTES),
    ],
    ids=["binary", "structured", "structured-base64", "wrapped", "wrapped-untyped", "unwrapped"],
)
def test_the_same_message_comes_out_of_every_form(body: bytes, headers: dict[str, str]) -> None:
    assert message_of(push(body, headers)) == Message(DATA, ATTRIBUTES, "m-1", PUBLISHED, delivery_id="m-1")


def test_a_bare_body_is_the_data_with_the_time_of_its_arrival_and_an_id_made_of_it() -> None:
    found = message_of(push(DATA, {"content-type": "application/json"}))
    assert found == Message(DATA, {}, found.message_id, NOW)
    assert found.message_id.startswith("unnamed:")
    assert message_of(push(DATA)).message_id == found.message_id
    assert message_of(push(DATA + b" ")).message_id != found.message_id


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": {"text": "hello"}, "event_id": "e"}',
        b'{"message": "hello", "subscription": "projects/p/subscriptions/s"}',
        b'{"message": {}, "subscription": "monthly"}',
        b'{"message": {}, "subscription": ["projects/p/subscriptions/s"]}',
        b"\x00\x01binary",
        b'{"message"',
    ],
)
def test_an_event_that_only_resembles_a_push_body_is_data(body: bytes) -> None:
    assert message_of(push(body)).data == body


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{}", BINARY),
        (b"", BINARY),
        (b"not json", BINARY),
        (structured(data={"message": {}}), STRUCTURED),
        (structured(data="text"), STRUCTURED),
        (b'{"message": {"data": "%%"}, "subscription": "projects/p/subscriptions/s"}', {}),
        (DATA, {**METADATA, "x-goog-pubsub-message-id": ""}),
        (DATA, {**METADATA, "x-goog-pubsub-publish-time": "soon"}),
    ],
)
def test_a_delivery_that_does_not_hold_what_it_says_is_kept_whole(
    body: bytes, headers: dict[str, str]
) -> None:
    found = push(body, headers)
    assert isinstance(found.message, BadEventError)
    assert found.message.reason == "envelope_invalid"
    assert found.body == body


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"[]", STRUCTURED),
        (b"", STRUCTURED),
        (b"{", STRUCTURED),
        (structured(id=None), STRUCTURED),
        (structured(data_base64="%"), STRUCTURED),
        *[(WRAPPED, {n: v for n, v in BINARY.items() if n != f"ce-{gone}"}) for gone in CLOUD_EVENT],
        (WRAPPED, {**BINARY, "ce-id": ""}),
    ],
)
def test_a_request_that_is_no_delivery_is_refused(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(NoPushError):
        push(body, headers)


@pytest.mark.parametrize(
    ("body", "headers"),
    [(WRAPPED, {}), (WRAPPED, BINARY), (structured(), STRUCTURED)],
    ids=["wrapped", "binary", "structured"],
)
@pytest.mark.parametrize("name", ["gzip", "X-GZIP", "identity"])
def test_a_body_that_http_compressed_is_read(body: bytes, headers: dict[str, str], name: str) -> None:
    sent = body if name == "identity" else gzip.compress(body)
    found = push(sent, {**headers, "content-encoding": name})
    assert message_of(found) == message_of(push(body, headers))
    assert found.body == body


@pytest.mark.parametrize(
    ("body", "name", "said"),
    [
        (WRAPPED, "br", "is not gzip: send the body as it is"),
        (WRAPPED, "gzip, gzip", "is not gzip: send the body as it is"),
        (WRAPPED, "gzip", "is gzip, and its body is not"),
        (gzip.compress(WRAPPED)[:-4], "gzip", "is gzip, and its body is not"),
        (gzip.compress(bytes(MAX_BODY_BYTES + 1)), "gzip", "or holds more than"),
    ],
    ids=["br", "twice", "plain", "cut", "bomb"],
)
def test_a_body_that_cannot_be_decompressed_is_refused_with_what_to_do(
    body: bytes, name: str, said: str
) -> None:
    with pytest.raises(NoPushError, match=said):
        push(body, {"content-encoding": name})


def test_a_content_encoding_that_is_the_publishers_attribute_leaves_the_data_as_it_is() -> None:
    data = gzip.compress(DATA)
    found = message_of(push(data, {**METADATA, "content-encoding": "gzip"}))
    assert (found.data, found.attributes) == (data, {"content-encoding": "gzip"})


def test_a_cloudevents_trace_is_read_in_both_modes() -> None:
    assert push(WRAPPED, {**BINARY, "ce-traceparent": TRACEPARENT}).extensions["traceparent"] == TRACEPARENT
    assert push(structured(traceparent=TRACEPARENT), STRUCTURED).extensions["traceparent"] == TRACEPARENT
    escaped = TRACEPARENT.replace("-", "%2D")
    assert push(WRAPPED, {**BINARY, "ce-traceparent": escaped}).extensions["traceparent"] == TRACEPARENT


def test_an_attribute_cannot_turn_an_unwrapped_message_into_another_form() -> None:
    """An attribute is a header there, and its publisher chooses its name."""
    hostile = {**METADATA, **BINARY, **STRUCTURED, "x-goog-pubsub-ordering-key": "k"}
    assert message_of(push(WRAPPED, hostile)).data == WRAPPED
    assert message_of(push(WRAPPED, hostile)).ordering_key == "k"


@pytest.mark.parametrize("name", METADATA)
def test_a_header_of_pubsub_that_is_there_twice_is_refused(name: str) -> None:
    found = push(DATA, METADATA, (name, "forged"))
    assert isinstance(found.message, BadEventError)
    assert found.message.reason == "envelope_invalid"


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "cookie",
        "proxy-authorization",
        "x-serverless-authorization",
        "x-goog-iap-jwt-assertion",
        "x-forwarded-for",
        "x-forwarded-client-cert",
        "x-cloud-trace-context",
        "function-execution-id",
        "host",
        "user-agent",
        "content-type",
        "x-auth-token",
        "x-amz-security-token",
        "b3",
        "baggage",
        "sentry-trace",
        "uber-trace-id",
        "x-amzn-trace-id",
        "x-datadog-trace-id",
        "x-ot-span-context",
        "x-request-start",
    ],
)
def test_a_header_of_the_request_never_becomes_an_attribute(name: str) -> None:
    assert message_of(push(DATA, {**METADATA, **ATTRIBUTES, name: "secret"})).attributes == ATTRIBUTES


def test_attributes_that_are_not_ascii_are_read_as_utf_8() -> None:
    assert message_of(push(DATA, {**METADATA, "city": "Zürich"})).attributes == {"city": "Zürich"}


def test_a_redriven_message_keeps_its_identity_in_every_form() -> None:
    first = {
        "redrive_message_id": "the-first",
        "redrive_publish_time": "2026-02-20T12:00:00Z",
        "redrive_count": "1",
    }
    body = {**BODY, "message": {**BODY["message"], "attributes": first}}
    for found in (push(json.dumps(body).encode()), push(DATA, METADATA | first)):
        assert (message_of(found).message_id, message_of(found).redriven) == ("the-first", 1)


@given(
    st.binary(max_size=80) | st.sampled_from([WRAPPED, structured(), DATA]),
    st.dictionaries(
        st.sampled_from([*BINARY, *METADATA, "content-type", "kind"]),
        st.binary(max_size=20) | st.sampled_from([b"application/cloudevents+json", b"1.0"]),
    ),
)
def test_whatever_comes_is_a_message_or_refused(body: bytes, headers: dict[str, bytes]) -> None:
    try:
        found = read([(name.encode(), value) for name, value in headers.items()], body, NOW)
    except NoPushError:
        return
    assert found.body == body
    assert isinstance(found.message, Message) or found.message.reason == "envelope_invalid"


def test_a_body_that_is_nested_too_deeply_ends_the_same_way_in_every_form() -> None:
    deep = b'{"message": {}, "subscription": "projects/p/subscriptions/s", "x": ' + b"[" * 200_000
    outcomes: list[Callable[[], Received]] = [lambda: push(deep), lambda: push(deep, BINARY)]
    assert [isinstance(read_one().message, Message) for read_one in outcomes] == [True, False]
    with pytest.raises(NoPushError):
        push(deep, STRUCTURED)
