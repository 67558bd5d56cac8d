"""The message inside a delivery."""

import json
from typing import Any

import pytest
from enrichment.errors import BadEventError
from enrichment.event import message as pubsub_message
from enrichment.event.message import Message, unreadable
from hypothesis import given
from hypothesis import strategies as st

GOOD: dict[str, Any] = {"data": "YWI=", "messageId": "1", "publishTime": "2026-03-01T12:00:00.5+01:00"}

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["message", "data", "messageId", "x"]), inner)
    ),
)


def read(body: object) -> Message:
    """The message in the body of a push, which is given parsed."""
    return pubsub_message.read(json.dumps(body).encode())


def test_a_message_is_read_as_it_was_published() -> None:
    message = read({"message": {**GOOD, "attributes": {"k": "v"}, "orderingKey": "o", "message_id": "1"}})
    assert (message.data, message.attributes, message.message_id, message.ordering_key) == (
        b"ab",
        {"k": "v"},
        "1",
        "o",
    )
    assert message.publish_time is not None
    assert message.publish_time.isoformat() == "2026-03-01T11:00:00.500000+00:00"


def test_a_message_may_have_no_data_and_no_attributes() -> None:
    message = read({"message": {"messageId": "1", "publishTime": "2026-03-01T12:00:00Z", "attributes": None}})
    assert (message.data, message.attributes) == (b"", {})


@pytest.mark.parametrize(
    "change",
    [
        {"data": "YW"},
        {"data": 7},
        {"messageId": ""},
        {"messageId": None},
        {"publishTime": "2026-03-01T12:00:00"},
        {"publishTime": "\ud800"},
        {"publishTime": "0001-01-01T00:00:00+14:00"},
        {"attributes": {"k": 1}},
        {"attributes": {"k": "\ud800"}},
        {"attributes": ["k"]},
        {"orderingKey": "\udfff"},
    ],
)
def test_a_message_of_another_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadEventError) as caught:
        read({"message": {**GOOD, **change}})
    assert caught.value.reason == "envelope_invalid"


def test_the_publish_time_is_cut_off_at_the_microsecond_and_not_rounded() -> None:
    message = read({"message": {**GOOD, "publishTime": "2026-12-31T23:59:59.999999999Z"}})
    assert message.publish_time is not None
    assert message.publish_time.isoformat() == "2026-12-31T23:59:59.999999+00:00"


@pytest.mark.parametrize(
    "data", ["\ud800", {"\ud800": 1}, {"message": "\udfff"}, {"message": {**GOOD, "\ud800": 1}}], ids=ascii
)
def test_an_envelope_that_is_not_unicode_is_refused_wherever_that_shows(data: object) -> None:
    with pytest.raises(BadEventError) as caught:
        read(data)
    assert caught.value.reason == "envelope_invalid"


@pytest.mark.parametrize(
    ("body", "attempt"),
    [
        ({}, 0),
        ({"deliveryAttempt": 3}, 3),
        *[({"deliveryAttempt": odd}, 0) for odd in (None, True, "3", 0, -1, 2**31, 1.5, [1])],
    ],
    ids=lambda value: str(value),
)
def test_the_delivery_attempt_is_read_where_it_is_given_and_never_makes_an_event_bad(
    body: dict[str, object], attempt: int
) -> None:
    assert read({"message": GOOD, **body}).attempt == attempt


def redriven(**changes: str) -> Message:
    attributes = {
        "k": "v",
        "redrive_message_id": "the-first",
        "redrive_publish_time": "2026-02-20T12:00:00Z",
        "redrive_count": "1",
        **changes,
    }
    message = {**GOOD, "attributes": {name: value for name, value in attributes.items() if value != "(none)"}}
    return read({"message": message})


def test_a_redriven_message_has_the_identity_and_the_attributes_of_the_original() -> None:
    message = redriven(redrive_count="2")
    assert (message.message_id, message.redriven, message.delivery_id) == ("the-first", 2, "1")
    assert message.publish_time is not None
    assert message.publish_time.isoformat() == "2026-02-20T12:00:00+00:00"
    assert message.attributes == {"k": "v"}


def test_a_message_that_never_was_a_dead_letter_has_its_own_identity() -> None:
    message = read({"message": GOOD})
    assert (message.message_id, message.redriven, message.delivery_id) == ("1", 0, "1")


@pytest.mark.parametrize(
    "untrue",
    [
        {"redrive_message_id": "(none)"},
        {"redrive_message_id": ""},
        {"redrive_message_id": "x" * 129},
        {"redrive_message_id": "a\nb"},
        {"redrive_publish_time": "(none)"},
        {"redrive_publish_time": "yesterday"},
        {"redrive_publish_time": "2026-02-20T12:00:00"},
        {"redrive_publish_time": "2026-03-01T11:00:00.6Z"},  # later than its own publication
        {"redrive_publish_time": "2025-12-29T10:00:00Z"},  # more than 62 days ago, and redriven once
        {"redrive_publish_time": "0001-01-01T00:00:00+14:00"},
        {"redrive_count": "(none)"},
        {"redrive_count": "0"},
        {"redrive_count": "-1"},
        {"redrive_count": "101"},
        {"redrive_count": "\u0661"},  # a digit, and not an ASCII one
        {"redrive_count": "9" * 5000},
    ],
    ids=lambda value: "-".join(f"{name}={text[:20]!a}" for name, text in value.items()),
)
def test_redrive_attributes_that_cannot_be_true_count_as_the_publishers_own(untrue: dict[str, str]) -> None:
    message = redriven(**untrue)
    assert (message.message_id, message.redriven) == ("1", 0)
    assert message.publish_time is not None
    assert message.publish_time.isoformat() == "2026-03-01T11:00:00.500000+00:00"
    assert "k" in message.attributes
    assert any(name.startswith("redrive_") for name in message.attributes)


def test_an_event_may_be_as_old_as_its_redrives_allow() -> None:
    assert redriven(redrive_publish_time="2025-12-29T10:00:00Z", redrive_count="2").redriven == 2


@given(st.binary() | _ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_and_kept_as_it_came(body: bytes) -> None:
    with pytest.raises(BadEventError) as caught:
        pubsub_message.read(body)
    assert caught.value.reason == "envelope_invalid"
    assert unreadable(body).data == body


def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(BadEventError) as caught:
        pubsub_message.read(b'{"deliveryAttempt": ' + b"[" * 100_000)
    assert caught.value.reason == "envelope_invalid"


def test_an_empty_body_is_called_empty() -> None:
    with pytest.raises(BadEventError, match="its body is empty"):
        pubsub_message.read(b"")
