"""Whatever is delivered: no crash, no silent acknowledgement, every event accounted for.

Deliveries go through the framework's own application, which refuses some, and hands others over in shapes that no
schema describes: malformed JSON arrives as bytes, and would be answered with 200.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from enrichment import assembly
from enrichment.core.enricher import Enricher
from enrichment.errors import BadEventError, FaultError, Stage, TransientError
from enrichment.event.identity import ContentDigest, insert_id
from enrichment.lookup import Lookups
from functions_framework import _function_registry
from functions_framework.aio import create_asgi_app
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from .conftest import FUNCTION
from .world import World

HEADERS = {
    "content-type": "application/json",
    "ce-id": "1",
    "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce-specversion": "1.0",
}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def client(settings: dict[str, str], world: World, runner: asyncio.Runner) -> Iterator[httpx.AsyncClient]:
    """The function's own main.py in the framework's own application, with the world's parts in its pipeline."""

    def pipeline(env: Mapping[str, str]) -> Enricher:
        made = assembly_enricher({**env, **settings, "LOG_SEVERITY": "CRITICAL"})
        made.transform.lookups = Lookups([(rules, world) for rules in made.transform.config.lookups])
        made.sink = made.dead_letters = world
        return made

    assembly_enricher = assembly.enricher
    with (
        patch.object(assembly, "enricher", pipeline),
        patch.dict(_function_registry.REGISTRY_MAP),
        contextlib.ExitStack() as ends,
    ):
        # The signature type is the one that an event trigger sets; the function's own decorator must win.
        app = create_asgi_app("enrich", str(FUNCTION / "main.py"), "cloudevent")  # type: ignore[no-untyped-call]
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function")
        ends.callback(lambda: runner.run(client.aclose()))
        yield client


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
hostile_text = st.sampled_from(
    [
        "",
        ".",
        "..",
        "../admin",
        "a/b",
        "a%2Fb",
        "x\r\nHost: evil",
        "'; DROP TABLE t; --",
        "`p.d.t`",
        "\x00",
        "é" * 300,
    ]
)
good_fields: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "event_id": st.text(min_size=1, max_size=20) | hostile_text,
        "user_id": st.text(min_size=1, max_size=20) | st.just("nobody") | hostile_text,
        "type": st.text(min_size=1, max_size=20),
        "occurred_at": st.sampled_from(
            [
                "2026-03-01T12:00:00Z",
                "2026-03-01T12:00:00+02:00",
                "0001-01-01T00:00:00+02:00",
                "yesterday",
                "",
            ]
        ),
    }
)
events = st.one_of(
    good_fields.map(lambda fields: json.dumps(fields).encode()),
    st.tuples(good_fields, st.dictionaries(st.text(), json_values, max_size=3)).map(
        lambda pair: json.dumps(pair[0] | pair[1]).encode()
    ),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
)
attributes = st.none() | st.dictionaries(
    st.text(max_size=20)
    | st.sampled_from(["traceparent", "dead_letter_reason", "redrive_message_id", "timeout"]),
    st.text(max_size=60) | hostile_text,
    max_size=4,
)
messages = st.fixed_dictionaries(
    {"messageId": st.text(max_size=20), "publishTime": st.sampled_from(["2026-03-01T12:00:00.1Z", "soon"])},
    optional={
        "data": events.map(lambda data: base64.b64encode(data).decode()) | st.text(max_size=20),
        "attributes": attributes | json_values,
        "orderingKey": st.text(max_size=20),
    },
)
envelopes = st.one_of(
    messages.map(lambda message: json.dumps({"message": message, "subscription": "s"}).encode()),
    json_values.map(lambda value: json.dumps({"message": value}).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=80),
    messages.map(lambda message: json.dumps({"message": message}).encode()[:-7]),
)
errors: st.SearchStrategy[Exception] = st.sampled_from(
    [
        TransientError(Stage.LOOKUP, "service_unavailable", ""),
        FaultError(Stage.LOOKUP, "not_allowed", ""),
        BadEventError(Stage.WRITE, "row_invalid", ""),
        RuntimeError("not planned for"),
    ]
)
failures: st.SearchStrategy[dict[str, Exception]] = st.one_of(
    st.just({}), st.dictionaries(st.sampled_from(["lookup", "write", "publish"]), errors, max_size=3)
)
content_types = st.sampled_from(["application/json", "application/octet-stream", "text/plain", ""])


@examples(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(envelope=envelopes, failing=failures, content_type=content_types)
def test_whatever_is_delivered_is_written_or_dead_lettered_or_comes_again(
    client: httpx.AsyncClient,
    world: World,
    runner: asyncio.Runner,
    envelope: bytes,
    failing: dict[str, Exception],
    content_type: str,
) -> None:
    world.rows.clear()
    world.dead_letters.clear()
    world.failures = failing
    headers = {**HEADERS, "content-type": content_type}
    answer = runner.run(client.post("/", content=envelope, headers=headers))
    ends = len(world.rows) + len(world.dead_letters)
    assert answer.status_code in (200, 500, 503)
    assert "x-google-status" not in answer.headers, "the framework calls this a crash"
    assert ends == (1 if answer.status_code == 200 else 0)


@examples(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=events, attributes=st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4))
def test_a_bad_event_keeps_its_bytes_and_a_good_one_its_own_name(
    client: httpx.AsyncClient, world: World, runner: asyncio.Runner, data: bytes, attributes: dict[str, str]
) -> None:
    world.rows.clear()
    world.dead_letters.clear()
    world.failures = {}
    message = {
        "messageId": "7",
        "publishTime": "2026-03-01T12:00:00Z",
        "data": base64.b64encode(data).decode(),
        "attributes": attributes,
    }
    assert runner.run(_post(client, message)).status_code == 200
    for row in world.rows:
        event = json.loads(data)
        assert row.columns["event_id"] == event["event_id"]
        assert row.insert_id == insert_id(event["event_id"], ContentDigest(event).hexdigest())
        assert row.columns["event"] == data.decode()
    for dead_letter in world.dead_letters:
        assert dead_letter.data == data
        # Pub/Sub takes no attribute without a name and none of Google's own, so no publisher sent one.
        kept = {name: value for name, value in attributes.items() if name and not name.startswith("goog")}
        assert {
            name: value
            for name, value in dead_letter.attributes.items()
            if not name.startswith("dead_letter_")
        } == {name: value for name, value in kept.items() if not name.startswith("dead_letter_")}
        assert "dead_letter_attributes_dropped" not in dead_letter.attributes


@pytest.mark.parametrize("missing", ["ce-id", "ce-source", "ce-type", "ce-specversion"])
def test_a_delivery_that_is_no_cloudevent_is_not_acknowledged(
    client: httpx.AsyncClient, world: World, runner: asyncio.Runner, missing: str
) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    answer = runner.run(client.post("/", content=b"{}", headers=headers))
    assert answer.status_code == 400


async def _post(client: httpx.AsyncClient, message: Mapping[str, object]) -> httpx.Response:
    return await client.post("/", content=json.dumps({"message": message}).encode(), headers=HEADERS)
