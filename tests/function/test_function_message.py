"""The message inside a delivery."""

from typing import Any

import pytest
from enrichment.message import read, unreadable
from enrichment.outcome import BadEventError
from hypothesis import given
from hypothesis import strategies as st

GOOD: dict[str, Any] = {"data": "YWI=", "messageId": "1", "publishTime": "2026-03-01T12:00:00.5+01:00"}

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["message", "data", "messageId", "x"]), inner)
    ),
)


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


@given(_ANYTHING)
def test_anything_else_is_refused_and_can_be_kept_as_bytes(data: object) -> None:
    with pytest.raises(BadEventError) as caught:
        read(data)
    assert caught.value.reason == "envelope_invalid"
    assert isinstance(unreadable(data).data, bytes)


def test_raw_bytes_are_kept_untouched() -> None:
    assert unreadable(b"\xff{").data == b"\xff{"
