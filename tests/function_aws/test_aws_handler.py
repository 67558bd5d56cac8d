"""What the function answers, from event to answer."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import lambda_function
import pytest
from lambda_bridge.answer import MAX_ANSWER_BYTES, Answer, as_load_balancer
from lambda_bridge.routes import Routes

from .conftest import FUNCTION, Context, event

if TYPE_CHECKING:
    from lambda_bridge.answer import LoadBalancerAnswer

TARGET_GROUP = (
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/lambda-bridge/0123456789abcdef"
)


def answer(what: object, context: Context | None = None) -> LoadBalancerAnswer:
    return lambda_function.lambda_handler(what, context or Context())


def error(found: LoadBalancerAnswer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(found["body"])
    return document


def test_the_page_in_the_form_with_one_value_for_each_name() -> None:
    found = answer(event("single-value"))

    assert found["statusCode"] == 200
    assert found["statusDescription"] == "200 OK"
    assert found["isBase64Encoded"] is False
    assert found["headers"]["content-type"] == "text/html; charset=utf-8"
    assert "multiValueHeaders" not in found
    assert "Hello World from Lambda" in found["body"]


def test_the_page_in_the_form_with_lists() -> None:
    found = answer(event("multi-value"))

    assert found["multiValueHeaders"]["content-type"] == ["text/html; charset=utf-8"]
    assert "headers" not in found
    assert "Hello World from Lambda" in found["body"]


@pytest.mark.parametrize("name", ["health-check", "health-check-multi-value"])
def test_a_health_check_is_answered_without_a_page(name: str) -> None:
    found = answer(event(name))
    assert (found["statusCode"], found["body"]) == (200, "ok")


def test_head_gets_no_body() -> None:
    found = answer(event("single-value") | {"httpMethod": "HEAD"})
    assert (found["statusCode"], found["body"]) == (200, "")


def test_another_method_is_refused_with_those_that_are_allowed() -> None:
    found = answer(event("base64-body"))
    assert found["statusCode"] == 405
    assert found["headers"]["allow"] == "GET, HEAD"


def test_another_path_is_not_found() -> None:
    assert answer(event("single-value") | {"path": "/admin"})["statusCode"] == 404


def test_a_lookup_is_not_found_where_none_is_configured() -> None:
    found = answer(event("lookup"))
    assert (found["statusCode"], error(found)["error"]) == (404, "not_found")


@pytest.mark.parametrize("hostile", [None, [], {}, {"headers": {}}, {"multiValueHeaders": 1}])
def test_a_hostile_event_gets_an_answer_that_says_what_is_wrong_with_it(hostile: object) -> None:
    found = answer(hostile)
    assert found["statusCode"] == 400
    assert error(found)["error"] == "event_invalid"
    assert ("multiValueHeaders" in found) is (isinstance(hostile, dict) and "multiValueHeaders" in hostile)


def test_another_target_group_is_refused() -> None:
    routes = Routes(target_group=TARGET_GROUP)
    ours, others = event("single-value"), event("single-value")
    others["requestContext"]["elb"]["targetGroupArn"] = TARGET_GROUP.replace("lambda-bridge", "other")

    def status(found: dict[str, Any]) -> int:
        from lambda_bridge.event import read_event

        return routes.answer(read_event(found), 10).status

    assert [status(ours), status(others)] == [200, 403]


def test_an_unexpected_error_is_a_500_and_its_words_stay_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> Answer:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(Routes, "answer", broken)
    found = answer(event("single-value"))

    assert (found["statusCode"], error(found)) == (500, {"error": "fault"})
    assert "RuntimeError" in (written := capsys.readouterr().err)
    assert "s3cret" not in written


def test_bytes_are_sent_in_base64() -> None:
    found = as_load_balancer(Answer(200, b"\x00\xff", "image/png"), multi_value=False)
    assert found["isBase64Encoded"] is True
    assert base64.b64decode(found["body"]) == b"\x00\xff"


@pytest.mark.parametrize("multi_value", [False, True])
@pytest.mark.parametrize(
    "body", ["x" * MAX_ANSWER_BYTES, "ü" * 200_000, b"x" * 800_000], ids=["text", "escaped", "bytes"]
)
def test_an_answer_over_the_limit_becomes_one_that_says_so(body: str | bytes, multi_value: bool) -> None:
    found = as_load_balancer(Answer(200, body, "text/plain"), multi_value=multi_value)
    assert found["statusCode"] == 500
    assert error(found)["error"] == "answer_too_large"
    assert str(MAX_ANSWER_BYTES) in error(found)["detail"]
    assert ("multiValueHeaders" in found) is multi_value


def test_an_answer_just_below_the_limit_is_passed_on() -> None:
    empty = len(json.dumps(as_load_balancer(Answer(200, "", "text/plain"), multi_value=False)))
    body = "x" * (MAX_ANSWER_BYTES - empty)
    assert as_load_balancer(Answer(200, body, "text/plain"), multi_value=False)["statusCode"] == 200
    assert as_load_balancer(Answer(200, body + "x", "text/plain"), multi_value=False)["statusCode"] == 500


def test_several_values_of_a_header_reach_the_form_with_lists_alone() -> None:
    two = Answer(200, "", "text/plain", {"set-cookie": ("a=1", "b=2")})
    assert as_load_balancer(two, multi_value=True)["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"]
    assert as_load_balancer(two, multi_value=False)["headers"]["set-cookie"] == "b=2"


def test_the_start_loads_the_standard_library_alone() -> None:
    code = "import sys; a = set(sys.modules); import lambda_function; print(*sorted(set(sys.modules) - a))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=FUNCTION, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    strangers = loaded - set(sys.stdlib_module_names) - {"lambda_bridge", "lambda_function"}
    assert strangers == set()
    assert not {"asyncio", "http.client", "ssl", "urllib.request"} & set(run.stdout.split())
