"""One test for each thing that the kit can do. Nothing is imported from the mesh, and no test waits."""

from __future__ import annotations

import asyncio

import meshpass
import pytest
import visits
from meshpass.testing import (
    FakeClock,
    FakeGateway,
    FakeHost,
    FakeMetadataServer,
    JWKSVerifier,
    MeshRequest,
    Reply,
    ThrowawayKey,
)

# --- The option meshpass_from_env in pyproject.toml sets the variables before visits.py is imported.


@pytest.fixture
def visit_host(meshpass_gateway: FakeGateway) -> FakeHost:
    """The second service, and a profile for every user."""
    meshpass_gateway.service = lambda request: Reply.json({"name": "Ada"})
    return meshpass_gateway.host("visits.internal")


def test_a_visit_is_noted(visit_host: FakeHost) -> None:
    def service(request: MeshRequest) -> Reply:
        # An assertion in here fails the test with its own traceback.
        assert request.method == "POST"
        assert request.json() == {"user_id": "u-1"}
        assert request.params.get_list("tag") == ["web", "sale"]
        return Reply.json({"id": 1}, 201)

    visit_host.service = service
    assert visits.visit("u-1", tags=("web", "sale")) == "Welcome, Ada"
    assert len(visit_host.requests) == 1


def test_a_guest_leaves_no_visit(meshpass_gateway: FakeGateway, visit_host: FakeHost) -> None:
    meshpass_gateway.service = lambda request: Reply.json({"error": "profile_not_found"}, 404)
    assert visits.visit("u-9") == "Welcome, guest"
    assert visit_host.requests == []


def test_the_token_is_for_this_service(meshpass_gateway: FakeGateway, visit_host: FakeHost) -> None:
    meshpass_gateway.service = lambda request: Reply.json({"name": (request.claims or {})["aud"]})
    assert visits.visit("u-1") == f"Welcome, {meshpass_gateway.audience}"


# --- Failures of the mesh


def test_a_busy_mesh_is_asked_again(meshpass_gateway: FakeGateway, visit_host: FakeHost) -> None:
    meshpass_gateway.fail(1, status=503, retry_after_s=0)
    assert visits.greeting("u-1") == "Welcome, Ada"
    assert [request.path for request in meshpass_gateway.requests] == [
        "/profile/u-1",
        "/profile/u-1",
        "/visits",
    ]


def test_a_visit_is_not_sent_twice(visit_host: FakeHost) -> None:
    visit_host.fail(1, status=503)
    assert visits.greeting("u-1") == "Welcome back"
    assert len(visit_host.requests) == 1


def test_no_healthy_pod_is_an_outage(visit_host: FakeHost) -> None:
    visit_host.service = None
    assert visits.greeting("u-1") == "Welcome back"


@pytest.mark.parametrize(("refusal", "code"), [("allow", "not_allowed"), ("has_route", "no_route")])
def test_a_mistake_in_the_mesh_is_reported(visit_host: FakeHost, refusal: str, code: str) -> None:
    setattr(visit_host, refusal, lambda request: False)
    assert visits.greeting("u-1") == f"Please report: {code}"


def test_a_token_for_another_audience_is_refused(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.host("visits.internal", audience="visits")
    meshpass_gateway.service = lambda request: Reply.json({"name": "Ada"})
    with pytest.raises(meshpass.TokenRefused) as refusal:
        visits.visit("u-1")
    assert refusal.value.cause == "audience"


# --- Time


def test_a_token_is_renewed_before_it_expires(meshpass_clock: FakeClock) -> None:
    with FakeGateway(clock=meshpass_clock) as gateway, gateway.client() as client:
        for _ in range(3):
            client.get("/")
            meshpass_clock.advance(290)  # the token lives for 300 s
    tokens = [request.headers["authorization"] for request in gateway.requests]
    assert len(set(tokens)) == 3


# --- Google's identity, and no key


def test_a_report_is_read_with_the_identity_of_the_machine(
    meshpass_gateway: FakeGateway, meshpass_metadata: FakeMetadataServer
) -> None:
    async def read() -> int:
        google = meshpass.GoogleIDToken("reports", credentials="metadata")
        async with host.async_client(auth=google) as client:
            return await visits.Reports(client).of_day("2026-11-20")

    host = meshpass_gateway.host("reports.internal", issuer=meshpass_metadata.issuer, audience="reports")
    host.trust(meshpass_metadata.key.jwks["keys"])
    host.service = lambda request: Reply.json({"visits": 7})
    assert asyncio.run(read()) == 7


# --- Tokens alone


def test_a_signer_makes_tokens_that_the_mesh_accepts() -> None:
    key = ThrowawayKey()
    token = meshpass.SignedJWT("https://issuer.example", "visits", key).token()
    verdict = JWKSVerifier("https://issuer.example", ["visits"], key.jwks, strict=True).verify(token.value)
    assert verdict.accepted
    assert not JWKSVerifier("https://issuer.example", ["another"], key.jwks).verify(token.value).accepted
