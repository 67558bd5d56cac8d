"""Plain pushes become CloudEvents, and the function's answer goes back unchanged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
from cloudevents.http import from_http
from meshlab.cloud.eventarc import application
from meshlab.cloud.serving import serving
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

TOPIC = "projects/p/topics/t"
ENVELOPE = {
    "message": {"data": "eA==", "messageId": "17", "publishTime": "2026-11-20T08:00:00Z"},
    "subscription": "projects/p/subscriptions/s",
}


class Function:
    """Receives what the converter sends, and answers as the test says."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[dict[str, str], bytes]] = []

    async def answer(self, request: Request) -> Response:
        self.received.append((dict(request.headers), await request.body()))
        return Response("done", status_code=self.status)


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
def converter(function: Function) -> Iterator[str]:
    app = Starlette(routes=[Route("/", function.answer, methods=["POST"])])
    with serving(app) as target, serving(application(f"http://{target}/", TOPIC)) as address:
        yield f"http://{address}/"


def test_a_push_becomes_a_cloud_event_that_the_framework_reads(converter: str, function: Function) -> None:
    assert httpx.post(converter, json=ENVELOPE).status_code == 200
    ((headers, body),) = function.received
    event = from_http(headers, body)
    assert event["id"] == "17"
    assert event["source"] == f"//pubsub.googleapis.com/{TOPIC}"
    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert event["time"] == "2026-11-20T08:00:00Z"
    assert event.data == ENVELOPE


@pytest.mark.parametrize("status", [200, 204, 500, 503])
def test_the_functions_answer_goes_back_unchanged(converter: str, function: Function, status: int) -> None:
    function.status = status
    assert httpx.post(converter, json=ENVELOPE).status_code == status


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"message": {}}', json.dumps({"a": 1}).encode()])
def test_what_is_no_push_never_reaches_the_function(converter: str, function: Function, body: bytes) -> None:
    answer = httpx.post(converter, content=body)
    assert answer.status_code == 400
    assert "not a push of Pub/Sub" in answer.text
    assert function.received == []


def test_a_function_that_is_down_is_a_nack() -> None:
    with serving(application("http://127.0.0.1:9/", TOPIC)) as address:
        assert httpx.post(f"http://{address}/", json=ENVELOPE).status_code == 503
