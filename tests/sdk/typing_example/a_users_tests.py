"""Tests as a user of meshpass writes them, checked with mypy's and pyright's strictest settings; never run."""

from pathlib import Path
from typing import assert_type

import meshpass
from meshpass.testing import (
    FakeClock,
    FakeGateway,
    FakeHost,
    FakeMetadataServer,
    InMemorySource,
    JWKSVerifier,
    MeshRequest,
    Reply,
    Request,
    ThrowawayKey,
    UploadedFile,
    Verdict,
    forget_tokens,
)


def service(request: MeshRequest) -> Reply:
    subject = request.claims["sub"] if request.claims else None
    return Reply.json({"path": request.path, "query": request.query, "sub": subject})


def test_a_call(meshpass_gateway: FakeGateway, tmp_path: Path) -> None:
    meshpass_gateway.service = service
    meshpass_gateway.allow = lambda request: (
        request.method == "GET" and request.host == "user-profile.internal"
    )
    meshpass_gateway.has_route = lambda request: request.path.startswith("/profile/")
    meshpass_gateway.fail(2, status=503, retry_after_s=1)
    with meshpass_gateway.client(timeout_s=1) as client:
        assert_type(client, meshpass.Client)
        client.get("/profile/{user_id}", user_id="u-1")
    meshpass_gateway.break_connections()
    assert_type(meshpass_gateway.async_client(auth=InMemorySource("value")), meshpass.AsyncClient)
    assert_type(meshpass_gateway.requests[0], Request)
    meshpass.Client.from_env(meshpass_gateway.environ(tmp_path)).close()


def test_another_host(meshpass_gateway: FakeGateway, tmp_path: Path) -> None:
    orders = meshpass_gateway.host("orders.internal", audience="orders")
    assert_type(orders, FakeHost)
    orders.service = lambda request: Reply.json(
        {"of": request.json(), "tags": request.params.get_list("tag")}
    )
    orders.trust(ThrowawayKey().jwks["keys"])
    assert_type(orders.client(), meshpass.Client)
    sent = orders.requests[0]
    assert_type(sent.text, str)
    assert_type(sent.form, dict[str, str])
    assert_type(sent.files["photo"], UploadedFile)
    meshpass.Client.from_env(orders.environ(tmp_path)).close()
    meshpass_gateway.raise_error()
    meshpass_gateway.reset()


def test_a_token(meshpass_clock: FakeClock, meshpass_metadata: FakeMetadataServer) -> None:
    meshpass_metadata.fail(1, status=429)
    meshpass_metadata.impostor = False
    forget_tokens()
    token = meshpass.GoogleIDToken("me").token()
    verifier = JWKSVerifier(
        meshpass_metadata.issuer, ["me"], meshpass_metadata.key.jwks, clock=meshpass_clock
    )
    verdict = verifier.verify(token.value)
    assert_type(verdict, Verdict)
    assert verdict.accepted
    meshpass_clock.advance(60)
    meshpass_clock.jump(-5)


def test_a_source(meshpass_clock: FakeClock) -> None:
    key = ThrowawayKey()
    source = meshpass.SignedJWT("us", "them", key, clock=meshpass_clock)
    assert JWKSVerifier("us", ["them"], key.jwks, clock=meshpass_clock).verify(source.token().value).accepted
    assert not JWKSVerifier("us", ["them"], key.jwks, strict=True).verify("a.b.c").accepted
    made_up = InMemorySource()
    made_up.error = meshpass.IdentityError("No identity is here.")
    assert made_up.issued == made_up.invalidated == 0
