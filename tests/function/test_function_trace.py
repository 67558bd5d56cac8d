"""One trace id from the publisher to the row."""

import re

import pytest
from enrichment.telemetry.trace import Trace, find, of_request
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


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": A, "x-cloud-trace-context": f"{'1' * 32}/1;o=1"}, A),
        ({"x-cloud-trace-context": f"{'1' * 32}/255;o=1"}, f"00-{'1' * 32}-00000000000000ff-01"),
        ({"x-cloud-trace-context": f"{'1' * 32}/{2**64 - 1};o=0"}, f"00-{'1' * 32}-{'f' * 16}-00"),
        ({"x-cloud-trace-context": f"{'1' * 32}/255"}, f"00-{'1' * 32}-00000000000000ff-00"),
        ({"x-cloud-trace-context": f"{'1' * 32}/0;o=1"}, f"00-{'1' * 32}-{'5a' * 8}-01"),
        ({"x-cloud-trace-context": "1" * 32}, f"00-{'1' * 32}-{'5a' * 8}-00"),
        ({"traceparent": "nonsense", "x-cloud-trace-context": "1" * 32}, f"00-{'1' * 32}-{'5a' * 8}-00"),
    ],
)
def test_a_request_brings_its_trace_in_either_header(headers: dict[str, str], expected: str) -> None:
    trace = of_request(headers, random_hex=lambda size: "5a" * size)
    assert trace.traceparent == expected
    assert not trace.new


@pytest.mark.parametrize(
    "value",
    ["", "0" * 32 + "/1;o=1", "1" * 31 + "/1", "A" * 32 + "/1", "1" * 32 + f"/{2**64}", "1" * 32 + "/-1", "1" * 32
     + "/1;o=", "1" * 32 + "/1\n", "1" * 32 + "/٣"],
)  # fmt: skip
def test_a_request_with_no_valid_trace_starts_one(value: str) -> None:
    trace = of_request({"x-cloud-trace-context": value}, random_hex=lambda size: "5a" * size)
    assert trace == Trace("5a" * 16, f"00-{'5a' * 16}-{'5a' * 8}-00", new=True)


def test_a_trace_takes_its_header_apart() -> None:
    trace = find({"traceparent": A}, {})
    assert (trace.span_id, trace.flags, trace.sampled, trace.new) == ("b7ad6b7169203331", 1, True, False)
    assert not find({"traceparent": B}, {}).sampled


@given(st.text(), st.text())
def test_whatever_a_request_says_its_trace_can_be_sent_on(traceparent: str, cloud: str) -> None:
    trace = of_request({"traceparent": traceparent, "x-cloud-trace-context": cloud})
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", trace.traceparent)
