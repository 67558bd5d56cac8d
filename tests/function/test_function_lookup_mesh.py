"""Profiles through a gateway that verifies tokens, allows and routes, behind the SDK's own client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote

import meshpass
import pytest
from enrichment.errors import BadEventError, EnrichmentError, FaultError, TransientError, of_mesh_error
from enrichment.lookup import CachedLookup, MeshProfiles
from enrichment.lookup.overload import OverloadError
from enrichment.lookup.profile import CacheEvent
from enrichment.settings.lookup_rules import DeclaredField
from enrichment.telemetry.trace import Trace
from meshpass.testing import FakeGateway, MeshRequest, Reply, ThrowawayKey

from . import lookup_cases

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
KEY = "4111-1111"
RULES = lookup_cases.rules(
    path="/profile/{order.user}",  # a field within an object of the event
    values={"order.user": DeclaredField("order.user")},
    max_answer_bytes=2000,
)


def profile(request: MeshRequest) -> Reply:
    return Reply.json({"user_id": unquote(request.path.removeprefix("/profile/")), "plan": "pro"})


@pytest.fixture
def gateway(meshpass_gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    for name, value in meshpass_gateway.environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    meshpass_gateway.service = profile
    return meshpass_gateway


@asynccontextmanager
async def profiles() -> AsyncIterator[MeshProfiles]:
    made = MeshProfiles(RULES)
    try:
        yield made
    finally:
        await made.aclose()


def soon() -> meshpass.Deadline:
    return meshpass.Deadline.after(20)


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


@pytest.mark.parametrize("key", ["u-1", "a/b", "é 漢", "{user}", "%2e%2e", "a?b#c"])
def test_a_key_goes_into_one_segment_of_the_path_and_comes_back_in_the_profile(
    gateway: FakeGateway, key: str
) -> None:
    async def scene() -> None:
        async with profiles() as source:
            found = await source.fetch(key, TRACE, soon())
            assert found is not None
            assert found.document == {"user_id": key, "plan": "pro"}

    play(scene())
    (request,) = gateway.requests
    assert request.path.count("/") == 2
    assert request.headers["traceparent"] == TRACE.traceparent


@pytest.mark.parametrize(
    "key", ["", ".", "..", "a\nb", "\ud800"], ids=["empty", "dot", "dots", "line", "half"]
)
def test_a_key_that_no_path_can_carry_is_the_events_own_doing_and_is_not_sent(
    gateway: FakeGateway, key: str
) -> None:
    async def scene() -> None:
        async with profiles() as source:
            with pytest.raises(BadEventError) as caught:
                await source.fetch(key, TRACE, soon())
            assert caught.value.reason == "key_invalid"

    play(scene())
    assert not gateway.requests


SAYS_NO_PATH = (
    meshpass.SigningKeyError,
    meshpass.GatewayTLSError,
    meshpass.ConfigurationError,
    meshpass.GatewayUnreachable,
    meshpass.MeshTimeout,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (meshpass.TokenRefused, FaultError),
        (meshpass.NotAllowed, FaultError),
        (meshpass.NoRoute, FaultError),
        (meshpass.SigningKeyError, FaultError),
        (meshpass.GatewayTLSError, FaultError),
        (meshpass.ConfigurationError, FaultError),
        (meshpass.UpstreamUnavailable, TransientError),
        (meshpass.GatewayUnreachable, TransientError),
        (meshpass.MeshTimeout, TransientError),
        (meshpass.InvalidPathValue, BadEventError),
    ],
)
def test_what_the_mesh_refuses_is_our_fault_and_only_an_impossible_path_is_the_events(
    error: type[meshpass.MeshError], kind: type
) -> None:
    decided = of_mesh_error(error(f"/profile/{KEY} failed"))
    assert type(decided) is kind
    # The sentences of the others are the SDK's own, of settings, files, hosts and times.
    assert (KEY in str(decided)) == (error in SAYS_NO_PATH)


def answering(reply: Reply) -> Callable[[FakeGateway], None]:
    def arrange(gateway: FakeGateway) -> None:
        gateway.service = lambda _: reply

    return arrange


def failing(status: int, retry_after_s: int | None = None) -> Callable[[FakeGateway], None]:
    return lambda gateway: gateway.fail(10, status=status, retry_after_s=retry_after_s)


def without(part: str) -> Callable[[FakeGateway], None]:
    def arrange(gateway: FakeGateway) -> None:
        if part == "pods":
            gateway.service = None
        elif part == "route":
            gateway.has_route = lambda _: False
        elif part == "policy":
            gateway.allow = lambda _: False
        else:
            gateway.trust(ThrowawayKey().jwks["keys"])

    return arrange


@pytest.mark.parametrize(
    ("arrange", "kind", "reason"),
    [
        pytest.param(without("key"), FaultError, "token_refused", id="key not trusted"),
        pytest.param(without("policy"), FaultError, "not_allowed", id="not allowed"),
        pytest.param(without("route"), FaultError, "no_route", id="no route"),
        pytest.param(without("pods"), OverloadError, "upstream_unavailable", id="no healthy pod"),
        pytest.param(failing(503), OverloadError, "upstream_unavailable", id="gateway 503"),
        pytest.param(failing(504), OverloadError, "upstream_timeout", id="gateway 504"),
        pytest.param(failing(429), OverloadError, "request_refused", id="gateway 429"),
        pytest.param(failing(502), TransientError, "upstream_unavailable", id="gateway 502"),
        pytest.param(failing(408), TransientError, "request_refused", id="gateway 408"),
        pytest.param(answering(Reply.json({}, 503)), OverloadError, "service_unavailable", id="service 503"),
        pytest.param(answering(Reply.json({}, 500)), TransientError, "service_unavailable", id="service 500"),
        pytest.param(answering(Reply.json({})), FaultError, "profile_malformed", id="no profile"),
        pytest.param(
            answering(Reply.json({"user_id": "v"})), FaultError, "profile_mismatch", id="another's profile"
        ),
        pytest.param(
            answering(Reply.json({"user_id": "u", "x": "y" * 3000})),
            FaultError,
            "response_too_large",
            id="too large",
        ),
    ],
)
def test_each_refusal_is_distinguished_from_the_others_and_none_is_the_events_fault(
    gateway: FakeGateway,
    arrange: Callable[[FakeGateway], None],
    kind: type[EnrichmentError],
    reason: str,
) -> None:
    arrange(gateway)

    async def scene() -> None:
        async with profiles() as source:
            with pytest.raises(EnrichmentError) as caught:
                await source.fetch(KEY, TRACE, soon())
            assert (type(caught.value), caught.value.reason) == (kind, reason)
            assert KEY not in str(caught.value)

    play(scene())


def test_a_timeout_names_the_host_and_not_the_key(gateway: FakeGateway) -> None:
    over = Event()

    def slow(request: MeshRequest) -> Reply:
        over.wait(20)
        return profile(request)

    gateway.service = slow

    async def scene() -> None:
        async with profiles() as source:
            try:
                with pytest.raises(TransientError) as caught:
                    await source.fetch(KEY, TRACE, meshpass.Deadline.after(0.3))
            finally:
                over.set()
            # On a busy machine the time may be over before anything is sent.
            assert caught.value.reason.startswith(("timeout", "deadline"))
            assert gateway.name in caught.value.detail
            assert KEY not in str(caught.value)

    play(scene())


@pytest.mark.parametrize("header", ["7", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_when_the_service_asks_to_come_back_later_than_there_is_time_it_is_passed_on(
    gateway: FakeGateway, header: str
) -> None:
    gateway.service = lambda _: Reply(429, b"{}", {"content-type": "application/json", "retry-after": header})

    async def scene() -> None:
        async with profiles() as source:
            with pytest.raises(OverloadError) as caught:
                await source.fetch("u", TRACE, meshpass.Deadline.after(5))
            assert caught.value.retry_after_s == (7 if header == "7" else None)

    play(scene())


def test_when_the_gateway_asks_to_come_back_later_than_there_is_time_it_is_passed_on(
    gateway: FakeGateway,
) -> None:
    gateway.fail(status=503, retry_after_s=7)

    async def scene() -> None:
        async with profiles() as source:
            with pytest.raises(OverloadError) as caught:
                await source.fetch("u", TRACE, meshpass.Deadline.after(5))
            assert caught.value.retry_after_s == 7

    play(scene())


def test_a_lookup_is_sent_twice_at_most(gateway: FakeGateway) -> None:
    gateway.fail(10)

    async def scene() -> None:
        async with profiles() as source:
            with pytest.raises(OverloadError):
                await source.fetch("u", TRACE, soon())

    play(scene())
    assert len(gateway.requests) == 2


def test_settings_that_cannot_be_used_are_a_fault(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JWT_ISSUER")

    async def scene() -> None:
        async with profiles() as source:
            with pytest.raises(FaultError) as caught:
                await source.fetch("u", TRACE, soon())
            assert caught.value.reason == "configuration"

    play(scene())


def test_when_access_is_taken_away_and_given_back_nothing_needs_a_restart(gateway: FakeGateway) -> None:
    trusted, stranger = gateway.key, ThrowawayKey()

    async def scene() -> None:
        async with profiles() as source:
            lookup = CachedLookup(RULES, source)

            async def ends(key: str) -> str:
                try:
                    return (await lookup.fetch(key, TRACE, soon())).event
                except FaultError as error:
                    return error.reason

            assert await ends("a") == CacheEvent.FETCHED
            gateway.trust(stranger.jwks["keys"])
            assert [await ends("b"), await ends("b")] == ["token_refused", "token_refused"]
            gateway.trust(trusted.jwks["keys"])
            assert await ends("b") == CacheEvent.FETCHED
            gateway.allow = lambda _: False
            assert [await ends("c"), await ends("c")] == ["not_allowed", "not_allowed"]
            gateway.allow = lambda _: True
            assert await ends("c") == CacheEvent.FETCHED
            assert await ends("c") == CacheEvent.HIT

    play(scene())


def test_a_gateway_that_restarts_is_found_again(gateway: FakeGateway) -> None:
    async def scene() -> None:
        async with profiles() as source:
            assert await source.fetch("a", TRACE, soon())
            gateway.break_connections()
            assert await source.fetch("b", TRACE, soon())

    play(scene())


def test_a_thousand_events_for_one_cold_key_reach_the_service_once(gateway: FakeGateway) -> None:
    async def scene() -> None:
        async with profiles() as source:
            lookup = CachedLookup(RULES, source)
            answers = await asyncio.gather(*(lookup.fetch("hot", TRACE, soon()) for _ in range(1000)))
            assert {answer.profile is not None for answer in answers} == {True}

    play(scene())
    assert len(gateway.requests) == 1


def test_one_source_serves_one_event_loop_after_another(gateway: FakeGateway) -> None:
    source = MeshProfiles(RULES)

    async def scene() -> None:
        assert await source.fetch("a", TRACE, soon())
        await source.aclose()

    play(scene())
    play(scene())
    assert len(gateway.requests) == 2
