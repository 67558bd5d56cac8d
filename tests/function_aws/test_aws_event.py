"""What is read from an event, and which events no load balancer sends."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lambda_bridge.event import EventError, Request, read_event

from .conftest import EVENTS, event


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_every_recorded_event_is_read(name: str) -> None:
    assert read_event(event(name)).target_group.endswith("targetgroup/lambda-bridge/0123456789abcdef")


def test_an_event_with_one_value_for_each_name() -> None:
    request = read_event(event("single-value"))

    assert (request.method, request.path, request.body) == ("GET", "/", b"")
    assert request.query == {"tint": ("blue%20green",)}  # as the client sent it
    assert request.header("Host") == "lambda.bridge.internal"
    assert not request.multi_value


def test_an_event_with_lists_of_values() -> None:
    request = read_event(event("multi-value"))

    assert request.query == {"tint": ("blue", "green")}
    assert request.headers["cookie"] == ("a=1", "b=2")
    assert request.header("cookie") == "b=2"
    assert request.multi_value


def test_a_body_in_base64_is_decoded() -> None:
    assert read_event(event("base64-body")).body == b"\x00\x01\x02\x03"


def test_a_body_in_plain_text_is_not() -> None:
    plain = event("base64-body") | {"isBase64Encoded": False}
    assert read_event(plain).body == b"AAECAw=="


@pytest.mark.parametrize("name", ["health-check", "health-check-multi-value"])
def test_a_health_check_is_known(name: str) -> None:
    assert read_event(event(name)).is_health_check


def test_a_client_that_takes_the_health_checkers_name_is_a_client() -> None:
    pretending = event("single-value")
    pretending["headers"]["user-agent"] = "ELB-HealthChecker/2.0"
    assert not read_event(pretending).is_health_check


def without(name: str) -> dict[str, Any]:
    found = event("single-value")
    del found[name]
    return found


HOSTILE: dict[str, tuple[object, str]] = {
    "nothing": (None, "no JSON object"),
    "a list": ([event("single-value")], "no JSON object"),
    "an empty object": ({}, "neither headers nor multiValueHeaders"),
    "an event of API Gateway": ({"version": "2.0", "rawPath": "/", "headers": {}}, "httpMethod is no string"),
    "an event of another source": (
        event("single-value") | {"requestContext": {}},
        "targetGroupArn is missing",
    ),
    "no context": (without("requestContext"), "targetGroupArn is missing"),
    "an ARN that is a list": (
        event("single-value") | {"requestContext": {"elb": {"targetGroupArn": ["a"]}}},
        "targetGroupArn is missing",
    ),
    "both kinds of headers": (event("single-value") | {"multiValueHeaders": {}}, "both headers and"),
    "no headers": (without("headers"), "neither headers nor"),
    "headers that are a list": (event("single-value") | {"headers": ["host"]}, "headers is no JSON object"),
    "a header that is a list": (
        event("single-value") | {"headers": {"host": ["a"]}},
        "headers holds something else",
    ),
    "a header of lists that is none": (
        event("multi-value") | {"multiValueHeaders": {"host": "a"}},
        "multiValueHeaders holds something else",
    ),
    "a query that is a text": (
        event("single-value") | {"queryStringParameters": "a=b"},
        "queryStringParameters is no JSON object",
    ),
    "a method that is none": (event("single-value") | {"httpMethod": "GET / HTTP/1.1\r\n"}, "no HTTP method"),
    "a method that is long": (event("single-value") | {"httpMethod": "G" * 33}, "no HTTP method"),
    "a path without its slash": (event("single-value") | {"path": "lookup"}, "no path"),
    "a path with a line break": (event("single-value") | {"path": "/a\r\nset-cookie: b"}, "no path"),
    "a path with a query": (event("single-value") | {"path": "/?a=b"}, "no path"),
    "a path that is a number": (event("single-value") | {"path": 1}, "path is no string"),
    "a body that is an object": (event("single-value") | {"body": {}}, "body is no string"),
    "a body that is not base64": (event("base64-body") | {"body": "AAE*"}, "not what isBase64Encoded says"),
    "a flag that is a text": (event("single-value") | {"isBase64Encoded": "false"}, "neither true nor false"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_event_that_no_load_balancer_sends_is_refused_by_the_name_of_the_member(name: str) -> None:
    hostile, said = HOSTILE[name]
    with pytest.raises(EventError, match=said):
        read_event(hostile)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(event("single-value"))), JSON)
def test_whatever_stands_in_a_member_it_is_read_or_refused(member: str, value: object) -> None:
    with contextlib.suppress(EventError):
        assert isinstance(read_event(event("single-value") | {member: value}), Request)
