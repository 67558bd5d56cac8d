"""Queries, bodies, batches and other hosts through a gateway, and hostile values in each of them."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import meshpass
import pytest
from enrichment.errors import BadEventError, EnrichmentError, FaultError, TransientError
from enrichment.expressions import Scope, compile_expression
from enrichment.lookup import CachedLookup, Clients, MeshProfiles
from enrichment.lookup.profile import Profile
from enrichment.lookup.request import Requests
from enrichment.settings.lookup_rules import BatchRules, LookupRules, MissRule, Source
from enrichment.telemetry.trace import Trace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meshpass.testing import FakeGateway, MeshRequest, Reply

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def source(text: str) -> Source:
    return compile_expression(text, ("event",))


QUERY = LookupRules(
    "/users",
    {},
    query={"id": source("event.id"), "tag": source("event.tags")},
    miss=MissRule(200, ("found",), False),
)
SEARCH = LookupRules("/users/search", {}, method="POST", body={"where": {"id": source("event.id")}})
SEVERAL = LookupRules(
    "/shops/{shop}/users/{user}", {"shop": source("event.shop"), "user": source("event.id")}
)
MANY = LookupRules(
    "/users/batch-get",
    {"id": source("event.id")},
    method="POST",
    batch=BatchRules("ids", ("users",), "id"),
    max_answer_bytes=2000,
)


def echo(request: MeshRequest) -> Reply:
    """Say what was asked for."""
    path, _, query = request.target.partition("?")
    asked: dict[str, Any] = {
        "method": request.method,
        "host": request.host,
        "segments": [unquote(segment) for segment in path.split("/")[1:]],
        "query": parse_qsl(query, keep_blank_values=True),
        "body": json.loads(request.body) if request.body else None,
        "type": request.headers.get("content-type"),
        "found": True,
    }
    if path == "/users/batch-get":
        asked["users"] = [{"id": key} for key in asked["body"]["ids"] if key != "nobody"]
    return Reply.json(asked)


@pytest.fixture
def gateway(meshpass_gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    for name, value in meshpass_gateway.environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    meshpass_gateway.service = echo
    return meshpass_gateway


def play(scene: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the scene gives
    return asyncio.run(asyncio.wait_for(scene, 20))


def ask(rules: LookupRules, **event: object) -> Mapping[str, Any]:
    """Look up as the function does, and give what the service saw."""

    async def scene() -> Profile | None:
        mesh = MeshProfiles(rules)
        try:
            key = Requests(rules).of_event(Scope({"event": event}))
            assert key is not None
            return await mesh.fetch(key, TRACE, meshpass.Deadline.after(10))
        finally:
            await mesh.aclose()

    found = play(scene())
    assert isinstance(found, Profile)
    return found.document


def test_a_query_has_a_parameter_for_each_value(gateway: FakeGateway) -> None:
    seen = ask(QUERY, id="u-1", tags=["a", "b"])
    assert (seen["method"], seen["query"]) == ("GET", [["id", "u-1"], ["tag", "a"], ["tag", "b"]])
    assert ask(QUERY, id="u-1")["query"] == [["id", "u-1"]]


def test_a_body_is_json_in_a_post(gateway: FakeGateway) -> None:
    seen = ask(SEARCH, id=7)
    assert (seen["method"], seen["body"], seen["type"]) == ("POST", {"where": {"id": 7}}, "application/json")


def test_several_values_have_a_segment_each(gateway: FakeGateway) -> None:
    assert ask(SEVERAL, shop=5, id="a/b")["segments"] == ["shops", "5", "users", "a/b"]


HOSTILE = [
    "../admin", "/", "//evil.example/", "a/b", "%2f", "%2e%2e", "..;/x", "\\", "?admin=1", "&admin=1", "#x", "=", ";",
    "x&id=u-2", "a b", "+", "@evil.example", "http://evil.example/",
    '"}, "admin": {"x": "', "\u2028", "é漢😀", "{user}",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_a_hostile_value_stays_where_it_belongs(gateway: FakeGateway, value: str) -> None:
    assert ask(QUERY, id=value)["query"] == [["id", value]]
    assert ask(SEARCH, id=value)["body"] == {"where": {"id": value}}
    assert ask(SEVERAL, shop=value, id=value)["segments"] == ["shops", value, "users", value]
    assert {request.headers["host"] for request in gateway.requests} == {"user-profile.internal"}
    assert {request.path.count("/") for request in gateway.requests} <= {1, 2, 4}


@pytest.mark.parametrize("value", [".", "..", "a\r\nHost: evil.example", "\x00", "\x7f"], ids=ascii)
def test_what_no_path_can_carry_is_not_sent(gateway: FakeGateway, value: str) -> None:
    with pytest.raises(BadEventError):
        ask(SEVERAL, shop=value, id="u")
    assert not gateway.requests


@given(value=st.text(max_size=30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_one_parameter_and_one_value_of_the_body(gateway: FakeGateway, value: str) -> None:
    if value:
        assert ask(QUERY, id=value)["query"] == [["id", value]]
        assert ask(SEARCH, id=value)["body"] == {"where": {"id": value}}


@pytest.mark.parametrize(("idempotent", "times"), [(False, 1), (True, 2)])
def test_a_post_is_sent_again_only_where_the_file_says_that_it_may_be(
    gateway: FakeGateway,
    idempotent: bool,
    times: int,
) -> None:
    rules = LookupRules(SEARCH.path, {}, method="POST", body=SEARCH.body, idempotent=idempotent)
    gateway.fail(10, status=502)
    with pytest.raises(TransientError):
        ask(rules, id="u")
    assert len(gateway.requests) == times


def test_a_missing_route_is_never_a_missing_key(gateway: FakeGateway) -> None:
    rules = LookupRules("/users/{id}", {"id": source("event.id")}, miss=MissRule(404))
    gateway.has_route = lambda _: False
    with pytest.raises(FaultError) as caught:
        ask(rules, id="u")
    assert caught.value.reason == "no_route"


def test_the_services_own_404_is_a_missing_key_where_the_file_says_so(gateway: FakeGateway) -> None:
    rules = LookupRules("/users/{id}", {"id": source("event.id")}, miss=MissRule(404))
    gateway.service = lambda _: Reply.text("not found", 404)

    async def scene() -> Profile | None:
        mesh = MeshProfiles(rules)
        try:
            return await mesh.fetch("u", TRACE, meshpass.Deadline.after(10))
        finally:
            await mesh.aclose()

    assert play(scene()) is None


def batch_ends(*keys: str) -> list[object]:
    async def scene() -> list[object]:
        mesh = MeshProfiles(MANY)
        lookup = CachedLookup(MANY, mesh, batch_source=mesh)

        async def end(key: str) -> object:
            try:
                result = await lookup.fetch(key, TRACE, meshpass.Deadline.after(10))
            except EnrichmentError as error:
                return error.reason
            return result.profile and result.profile.document["id"]

        try:
            return await asyncio.gather(*map(end, keys))
        finally:
            await mesh.aclose()

    found: list[object] = play(scene())
    return found


def test_keys_of_a_batch_go_in_one_request_and_come_back_one_by_one(gateway: FakeGateway) -> None:
    keys = ["u-1", "nobody", *HOSTILE]
    assert batch_ends(*keys) == ["u-1", None, *HOSTILE]
    (request,) = gateway.requests
    assert (request.path, request.headers["traceparent"]) == ("/users/batch-get", TRACE.traceparent)


def test_a_batch_that_is_too_large_as_a_whole_fails_no_key(gateway: FakeGateway) -> None:
    def padded(request: MeshRequest) -> Reply:
        keys = json.loads(request.body)["ids"]
        return Reply.json(
            {"users": [{"id": key, "x": "x" * (3000 if key == "large" else 10)} for key in keys]}
        )

    gateway.service = padded
    assert batch_ends("a", "large", "b") == ["a", "profile_malformed", "b"]


def test_a_key_that_the_service_refuses_fails_alone(gateway: FakeGateway) -> None:
    def strict(request: MeshRequest) -> Reply:
        keys = json.loads(request.body)["ids"]
        bad = any(not key.isalnum() for key in keys)
        return (
            Reply.json({"error": "bad id"}, 400)
            if bad
            else Reply.json({"users": [{"id": key} for key in keys]})
        )

    gateway.service = strict
    assert batch_ends("a", "b", "c d", "e") == ["a", "b", "service_answer_unexpected", "e"]


def test_lookups_of_several_hosts_share_the_gateway_and_one_source_of_tokens(gateway: FakeGateway) -> None:
    gateway.has_route = lambda _: True
    shops = LookupRules("/shops/{id}", {"id": source("event.id")}, name="shop", host="shops.internal")

    async def scene(clients: Clients, *all_rules: LookupRules) -> list[object]:
        hosts = []
        for rules in all_rules:
            mesh = MeshProfiles(rules, clients)
            found = await mesh.fetch("u", TRACE, meshpass.Deadline.after(10))
            hosts.append(found and found.document["host"])
            await mesh.aclose()
        return hosts

    users = LookupRules("/users/{id}", {"id": source("event.id")})
    assert play(scene(Clients(), users, shops)) == ["user-profile.internal", "shops.internal"]
    assert play(scene(Clients(), shops, users)) == ["shops.internal", "user-profile.internal"]
    tokens = [request.headers["authorization"] for request in gateway.requests]
    assert tokens[0] == tokens[1]
