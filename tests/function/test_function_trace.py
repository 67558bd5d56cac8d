"""One trace id from the publisher to the row."""

import re

import pytest
from enrichment.trace import find
from hypothesis import given
from hypothesis import strategies as st

A = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
B = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
C = "00-11111111111111111111111111111111-2222222222222222-01"


@pytest.mark.parametrize(
    ("extensions", "attributes", "expected"),
    [
        ({"traceparent": A}, {"googclient_traceparent": B, "traceparent": C}, A),
        ({}, {"googclient_traceparent": B, "traceparent": C}, B),
        ({}, {"traceparent": C}, C),
        ({"traceparent": "nonsense"}, {"googclient_traceparent": "", "traceparent": C}, C),
        ({"traceparent": 7}, {"traceparent": C}, C),
    ],
)
def test_the_first_valid_trace_is_passed_on(
    extensions: dict[str, object], attributes: dict[str, str], expected: str
) -> None:
    trace = find(extensions, attributes)
    assert trace.traceparent == expected
    assert trace.trace_id == expected.split("-")[1]


@pytest.mark.parametrize(
    "invalid",
    [
        A.upper(),
        A + "-more",
        "ff" + A[2:],
        A[:-1],
        " " + A,
        A + "\n",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    ],
)
def test_what_the_recommendation_calls_invalid_starts_a_new_trace(invalid: str) -> None:
    trace = find({"traceparent": invalid}, {}, random_hex=lambda size: "5a" * size)
    assert trace.traceparent == f"00-{'5a' * 16}-{'5a' * 8}-00"
    assert trace.trace_id == "5a" * 16


def test_a_later_version_is_passed_on_in_the_version_known_here() -> None:
    assert find({"traceparent": "cc" + A[2:] + "-what-the-future-brings"}, {}).traceparent == A


@given(st.text())
def test_what_is_sent_on_is_always_a_valid_header(candidate: str) -> None:
    trace = find({"traceparent": candidate}, {"traceparent": candidate})
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", trace.traceparent)
