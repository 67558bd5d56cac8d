"""Events from a real Pub/Sub client, pushed to the running function by every kind of subscription."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest
from google.pubsub_v1 import PubsubMessage

from .conftest import PROJECT, TRACEPARENT, Function, Tables, Topic

Event = dict[str, Any]

EVENTS = f"projects/{PROJECT}/topics/events"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/events-push"
EVENTARC = "?__GCP_CloudEventsMode=CUSTOM_PUBSUB_" + quote(EVENTS, safe="")
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "eventarc": (EVENTARC, {}),
    "wrapped": ("", {}),
    "unwrapped": ("", {"no_wrapper": {"write_metadata": True}}),
    "bare": ("", {"no_wrapper": {}}),
}


@pytest.fixture
def publish(topic: Topic, function: Function, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Publishes to a topic whose subscription pushes to the function in the form of the test's parameter."""
    suffix, settings = FORMS[request.param]
    config = {"push_endpoint": function.url + suffix, **settings}
    topic.publisher.create_topic(name=EVENTS)
    topic.subscriber.create_subscription(
        request={"name": SUBSCRIPTION, "topic": EVENTS, "push_config": config}
    )

    def publish(data: bytes, **attributes: str) -> str:
        sent = topic.publisher.publish(
            topic=EVENTS, messages=[PubsubMessage(data=data, attributes=attributes)]
        )
        return str(sent.message_ids[0])

    yield publish
    topic.subscriber.delete_subscription(subscription=SUBSCRIPTION)
    topic.publisher.delete_topic(topic=EVENTS)


def until(condition: Callable[[], object]) -> None:
    """Polls until the condition holds; half a minute without is a failure."""
    gives_up_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < gives_up_s
        time.sleep(0.01)


@pytest.mark.parametrize("publish", FORMS, indirect=True, ids=str)
def test_an_event_becomes_a_row_whichever_way_it_is_pushed(
    publish: Callable[..., str], request: pytest.FixtureRequest, tables: Tables, topic: Topic, event: Event
) -> None:
    message_id = publish(json.dumps(event).encode(), traceparent=TRACEPARENT)
    until(lambda: tables.rows(event["event_id"]))
    (row,) = tables.rows(event["event_id"])
    if "bare" in request.node.callspec.id:
        assert row["message_id"].startswith("unnamed:")
    else:
        assert row["message_id"] == message_id
    assert row["event"] == event
    assert topic.dead_letters() == []


@pytest.mark.parametrize("publish", ["wrapped", "unwrapped"], indirect=True, ids=str)
def test_a_bad_event_is_dead_lettered_with_its_bytes_and_attributes(
    publish: Callable[..., str], function: Function, topic: Topic
) -> None:
    function.new_log()
    message_id = publish(b"\x00\xff", kind="order")
    lines: list[dict[str, Any]] = []

    def dead_lettered() -> bool:
        lines.extend(function.new_log())
        return any(line.get("message_id") == message_id for line in lines)

    until(dead_lettered)
    (dead_letter,) = topic.dead_letters()
    assert dead_letter.data == b"\x00\xff"
    assert dead_letter.attributes["kind"] == "order"
    assert dead_letter.attributes["dead_letter_message_id"] == message_id
    assert not {"authorization", "host", "user-agent"} & dead_letter.attributes.keys()


def answered(function: Function, method: str, body: bytes | None, **headers: str) -> int:
    request = urllib.request.Request(function.url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(
    ("method", "body", "headers", "status", "reason"),
    [
        ("GET", None, {}, 405, "method_not_allowed"),
        ("PUT", b"{}", {}, 405, "method_not_allowed"),
        ("POST", b"", {}, 400, "request_invalid"),
        ("POST", b"{}", {"ce-id": "1"}, 400, "request_invalid"),
        ("POST", b"no event", {"content-type": "application/cloudevents+json"}, 400, "request_invalid"),
        ("POST", b" " * (32 * 1024 * 1024 + 1), {}, 413, "request_too_large"),
    ],
    ids=["get", "put", "empty", "half-a-cloudevent", "no-cloudevent", "too-large"],
)
def test_what_is_no_delivery_is_refused_with_a_line_of_ours(
    function: Function,
    topic: Topic,
    method: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    function.new_log()
    assert answered(function, method, body, **headers) == status
    (line,) = function.new_log()
    assert line["severity"] == "WARNING"
    assert line["status"] == status
    assert line["logging.googleapis.com/labels"]["reason"] == reason
    assert topic.dead_letters() == []
