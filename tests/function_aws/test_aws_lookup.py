"""The lookup behind the function: what it asks for, and which answers it passes on."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import meshpass
import pytest
from lambda_bridge.event import read_event
from lambda_bridge.lookup import Lookup, lookup_of
from lambda_bridge.routes import Routes

from tests.sdk.conftest import Server

from .conftest import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sdk.conftest import Answer

PROFILE = {"user_id": "u/1001", "name": "Ada"}


@pytest.fixture
def service() -> Iterator[Server]:
    """The private lookup."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        server.answer = lambda _: (200, {"content-type": "application/json"}, json.dumps(PROFILE).encode())
        yield server
        server.shutdown()
        thread.join()


class FixedToken:
    """A source of one token."""

    def token(self) -> meshpass.Token:
        return meshpass.Token("the-token", time.time() + 600, "a test")

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None:
        del token


@pytest.fixture
def lookup(service: Server) -> Iterator[Lookup]:
    with meshpass.Client(
        f"http://{service.address}", auth=FixedToken(), retry=meshpass.RetryPolicy(attempts=1)
    ) as client:
        yield Lookup(client)


def test_the_key_arrives_as_one_segment_and_the_profile_comes_back(lookup: Lookup, service: Server) -> None:
    found = lookup.answer("/lookup/u%2F1001", 10)

    assert (found.status, json.loads(found.body)) == (200, PROFILE)
    assert service.seen[0].target == "/lookup/u%2F1001"
    assert service.seen[0].headers["authorization"] == "Bearer the-token"


@pytest.mark.parametrize(
    ("theirs", "status", "error"),
    [
        ((404, {}, b'{"error": "user_unknown"}'), 404, "user_unknown"),
        ((200, {}, b"<html>"), 500, "fault"),
        ((404, {}, b"not found"), 500, "fault"),
        ((400, {}, b"{}"), 500, "fault"),
        ((500, {}, b"s3cret"), 500, "fault"),
        ((503, {}, b"s3cret"), 503, "unavailable"),
        ((429, {}, b"s3cret"), 503, "unavailable"),
    ],
)
def test_other_answers_of_the_lookup(
    lookup: Lookup, service: Server, theirs: Answer, status: int, error: str
) -> None:
    service.answer = lambda _: theirs
    found = lookup.answer("/lookup/u-1", 10)
    assert (found.status, json.loads(found.body)["error"]) == (status, error)
    assert "s3cret" not in str(found.body)


@pytest.mark.parametrize(
    "path",
    [
        "/lookup/",
        "/lookup/a/b",
        "/lookup/..",
        "/lookup/%2e%2e",
        "/lookup/%00",
        "/lookup/%ff",
        "/lookup/%zz",
        f"/lookup/{'a' * 257}",
    ],
)
def test_a_path_that_holds_no_key_asks_no_service(lookup: Lookup, service: Server, path: str) -> None:
    assert lookup.answer(path, 10).status == 400
    assert service.seen == []


def test_a_query_asks_no_service(lookup: Lookup, service: Server) -> None:
    asked = event("lookup") | {"queryStringParameters": {"a": "b"}}
    routes = Routes(connect=lambda: lookup)
    assert routes.answer(read_event(asked), 10).status == 400
    assert service.seen == []


def test_a_function_that_is_about_to_end_asks_no_service(lookup: Lookup, service: Server) -> None:
    found = lookup.answer("/lookup/u-1", 0.4)
    assert (found.status, json.loads(found.body)["reason"]) == (504, "deadline")
    assert service.seen == []


def test_a_lookup_that_cannot_be_reached_is_unavailable(lookup: Lookup, service: Server) -> None:
    service.server_close()
    assert lookup.answer("/lookup/u-1", 5).status == 503


def test_the_lookup_is_made_once() -> None:
    made: list[int] = []

    def connect() -> Lookup:
        made.append(1)
        raise RuntimeError

    routes = Routes(connect=connect)
    assert made == []
    with pytest.raises(RuntimeError):
        routes.answer(read_event(event("lookup")), 10)
    assert made == [1]


def test_without_an_address_there_is_no_lookup() -> None:
    assert lookup_of({}) is None
    assert lookup_of({"LOOKUP_URL": ""}) is None
