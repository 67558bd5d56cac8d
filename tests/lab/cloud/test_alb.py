"""The load balancer against the shapes that AWS documents, and its limits; the function behind it is the real one."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lambda_function
import pytest
from meshlab.cloud import serving
from meshlab.cloud.alb.http_response import MAX_BYTES, HttpResponse, MalformedAnswerError, response_of
from meshlab.cloud.alb.lambda_event import Connection, TargetGroup, event_of, health_check_event
from meshlab.cloud.alb.lambda_function import Function, load_handler
from meshlab.cloud.alb.load_balancer import LoadBalancerApp
from meshlab.errors import LabError

EVENTS = Path(__file__).parents[2] / "function_aws/events"
FUNCTION = Path(__file__).parents[3] / "function-aws"
ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/lambda-bridge/0123456789abcdef"
SINGLE, MULTI = TargetGroup(ARN), TargetGroup(ARN, multi_value=True)
CLIENT = Connection("10.96.0.17", 443, "https")
TRACE = "Root=1-6929f3c1-4a7d1e0b52c9f86e33d1a7b4"
HEADERS = [
    ("Accept", "text/html,application/xhtml+xml"),
    ("Accept-Language", "en-GB,en;q=0.5"),
    ("Host", "lambda.bridge.internal"),
    ("User-Agent", "greeter/1.4"),
]
Handler = Callable[[Any, Any], Any]


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


# The event.


def test_a_request_becomes_the_recorded_event() -> None:
    found = event_of(SINGLE, "GET", "/?tint=blue%20green", HEADERS, b"", CLIENT, TRACE)
    assert found == recorded("single-value")


def test_a_request_becomes_the_recorded_event_with_lists_where_the_target_group_says_so() -> None:
    headers = [*HEADERS, ("Cookie", "a=1"), ("Cookie", "b=2")]
    found = event_of(MULTI, "GET", "/?tint=blue&tint=green", headers, b"", CLIENT, TRACE)
    assert found == recorded("multi-value")


def test_without_lists_the_last_value_counts() -> None:
    headers = [*HEADERS, ("Cookie", "a=1"), ("Cookie", "b=2")]
    found = event_of(SINGLE, "GET", "/?tint=blue&tint=green", headers, b"", CLIENT, TRACE)
    assert found["headers"]["cookie"] == "b=2"
    assert found["queryStringParameters"] == {"tint": "green"}


def test_a_body_of_bytes_becomes_the_recorded_event() -> None:
    headers = [*HEADERS, ("Content-Type", "application/octet-stream"), ("Content-Length", "4")]
    found = event_of(SINGLE, "POST", "/upload", headers, b"\x00\x01\x02\x03", CLIENT, TRACE)
    assert found == recorded("base64-body")


@pytest.mark.parametrize(
    ("headers", "encoded"),
    [
        ([], False),
        ([("content-type", "text/plain")], False),
        ([("content-type", "application/json; charset=utf-8")], False),
        ([("content-type", "application/javascript")], False),
        ([("content-type", "application/xml")], False),
        ([("content-type", "image/png")], True),
        ([("content-type", "application/json"), ("content-encoding", "gzip")], True),
    ],
)
def test_which_bodies_go_along_in_base64(headers: list[tuple[str, str]], encoded: bool) -> None:
    found = event_of(SINGLE, "POST", "/", headers, b"{}", CLIENT, TRACE)
    assert found["isBase64Encoded"] is encoded
    assert found["body"] == (base64.b64encode(b"{}").decode() if encoded else "{}")


@pytest.mark.parametrize(
    ("group", "name"),
    [(SINGLE, "health-check"), (MULTI, "health-check-multi-value")],
    ids=["single", "multi"],
)
def test_a_health_check_is_the_recorded_one(group: TargetGroup, name: str) -> None:
    assert health_check_event(group, "/") == recorded(name)


def test_a_client_cannot_write_the_forwarding_headers() -> None:
    headers = [*HEADERS, ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "http")]
    found = event_of(SINGLE, "GET", "/", headers, b"", CLIENT, TRACE)["headers"]
    assert found["x-forwarded-for"] == "203.0.113.9, 10.96.0.17"  # what it says comes first, as AWS documents
    assert found["x-forwarded-proto"] == "https"


# The answer.

GOOD = {"statusCode": 200, "isBase64Encoded": False, "headers": {"Content-Type": "text/plain"}, "body": "hi"}


def test_a_good_answer_is_passed_on() -> None:
    assert response_of(GOOD, multi_value=False) == HttpResponse(200, (("Content-Type", "text/plain"),), b"hi")


def test_an_answer_with_lists_sends_each_value() -> None:
    answer = {"statusCode": 200, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": ""}
    assert response_of(answer, multi_value=True).headers == (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))


@pytest.mark.parametrize("multi_value", [False, True])
def test_the_form_that_the_target_group_does_not_have_is_not_read(multi_value: bool) -> None:
    other = {"headers": {"a": "b"}} if multi_value else {"multiValueHeaders": {"a": ["b"]}}
    assert response_of({"statusCode": 204, **other}, multi_value=multi_value).headers == ()


def test_a_body_in_base64_is_decoded() -> None:
    assert response_of(GOOD | {"isBase64Encoded": True, "body": "aGk="}, multi_value=False).body == b"hi"


def test_headers_of_the_connection_are_the_load_balancers_own() -> None:
    answer = GOOD | {
        "headers": {"Connection": "close", "Transfer-Encoding": "chunked", "Content-Length": "9"}
    }
    assert response_of(answer, multi_value=False).headers == ()


MALFORMED: dict[str, tuple[object, str]] = {
    "nothing": (None, "no JSON object"),
    "a text": ("hi", "no JSON object"),
    "no JSON at all": ({"statusCode": 200, "body": b"x"}, "no JSON"),
    "no status": ({"body": "hi"}, "statusCode is missing"),
    "a status that is true": (GOOD | {"statusCode": True}, "statusCode is missing"),
    "a status of no kind": (GOOD | {"statusCode": 999}, "no final HTTP status"),
    "a provisional status": (GOOD | {"statusCode": 101}, "no final HTTP status"),
    "a body that is an object": (GOOD | {"body": {"a": 1}}, "body is no string"),
    "a body that is not base64": (GOOD | {"isBase64Encoded": True, "body": "*"}, "not base64"),
    "headers that are a list": (GOOD | {"headers": ["a"]}, "headers does not map"),
    "a header that is a number": (GOOD | {"headers": {"age": 1}}, "headers does not map"),
    "a header with a line break": (GOOD | {"headers": {"a": "b\r\nc: d"}}, "headers does not map"),
    "an answer over 1 MB": (GOOD | {"body": "x" * MAX_BYTES}, "more than"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_is_not_passed_on(name: str) -> None:
    answer, said = MALFORMED[name]
    with pytest.raises(MalformedAnswerError, match=said):
        response_of(answer, multi_value=False)


# The listener.


def ask(
    handler: Handler,
    method: str = "GET",
    target: str = "/",
    *,
    host: str = "lambda.bridge.internal",
    body: bytes = b"",
    group: TargetGroup = SINGLE,
    timeout_s: float = 10,
    headers: dict[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    app = LoadBalancerApp(group, Function(handler, timeout_s), "lambda.bridge.internal")
    with serving.serving(app) as address:
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            connection.request(method, target, body, {"host": host, **(headers or {})})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


@pytest.mark.parametrize("group", [SINGLE, MULTI], ids=["single", "multi"])
def test_the_real_function_gives_the_page_in_both_modes(group: TargetGroup) -> None:
    response, body = ask(lambda_function.lambda_handler, group=group)
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert b"Hello World from Lambda" in body


def test_head_gets_the_length_and_no_body() -> None:
    response, body = ask(lambda *_: GOOD, "HEAD")
    assert (response.status, response.headers["content-length"], body) == (200, "2", b"")


def test_path_and_query_arrive_as_they_were_sent() -> None:
    seen: list[dict[str, Any]] = []

    def handler(event: dict[str, Any], _: object) -> object:
        seen.append(event)
        return GOOD

    ask(handler, target="/lookup/u%2F1001?a=b%20c&a=d")
    assert seen[0]["path"] == "/lookup/u%2F1001"
    assert seen[0]["queryStringParameters"] == {"a": "d"}
    assert seen[0]["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_another_host_matches_no_rule() -> None:
    assert ask(lambda *_: GOOD, host="elsewhere.example")[0].status == 404


def test_an_upgrade_is_refused() -> None:
    assert ask(lambda *_: GOOD, headers={"upgrade": "websocket", "connection": "upgrade"})[0].status == 400


def test_a_request_at_the_limit_reaches_the_function_and_one_over_it_does_not() -> None:
    sizes: list[int] = []

    def handler(event: dict[str, Any], _: object) -> object:
        sizes.append(len(event["body"]))
        return GOOD

    assert ask(handler, "POST", body=b"x" * MAX_BYTES)[0].status == 200
    assert ask(handler, "POST", body=b"x" * (MAX_BYTES + 1))[0].status == 413
    assert sizes == [MAX_BYTES]


def raises(*_: object) -> object:
    raise RuntimeError("s3cret")


@pytest.mark.parametrize("handler", [raises, lambda *_: {}, lambda *_: GOOD | {"body": "x" * MAX_BYTES}])
def test_a_function_that_does_not_answer_well_is_a_502_that_says_nothing(handler: Handler) -> None:
    response, body = ask(handler)
    assert (response.status, body) == (502, b"Bad Gateway\n")


def test_a_function_that_takes_too_long_is_a_502() -> None:
    answered, left = threading.Event(), []

    def handler(_: object, context: lambda_function.Context) -> object:
        left.append(context.get_remaining_time_in_millis())
        answered.wait(10)
        return GOOD

    try:
        assert ask(handler, timeout_s=0.02)[0].status == 502
    finally:
        answered.set()
    assert 0 <= left[0] <= 20


def test_the_functions_answer_to_a_health_check_decides() -> None:
    import asyncio

    def health(handler: Handler) -> bool:
        return asyncio.run(LoadBalancerApp(SINGLE, Function(handler)).is_healthy("/"))

    assert health(lambda_function.lambda_handler)
    assert not health(lambda *_: GOOD | {"statusCode": 500})
    assert not health(raises)


def test_a_handler_that_is_not_there_is_refused_by_its_name() -> None:
    assert load_handler(FUNCTION, "lambda_function.lambda_handler") is lambda_function.lambda_handler
    with pytest.raises(LabError, match=r"lambda_function\.missing cannot be loaded"):
        load_handler(FUNCTION, "lambda_function.missing")
