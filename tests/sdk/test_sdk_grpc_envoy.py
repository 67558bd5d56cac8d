"""Channels of gRPC through a real Envoy that checks tokens, as a gateway of the mesh does."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
import meshpass
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bench.tls_gateway import Gateway, http_filter, jwt_filter, running

from .conftest import pem_of

HOST = "user-profile.internal"
ORIGIN = f"https://{HOST}"
GET = "/profile.v1.Profiles/Get"
DELETE = "/profile.v1.Profiles/Delete"


def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Return the request, and whether the token reached the service."""
    names = [name for name, _ in context.invocation_metadata()]
    return request + (b" with a token" if "authorization" in names else b"")


@pytest.fixture
def service() -> Iterator[int]:
    methods = {name: grpc.unary_unary_rpc_method_handler(answer) for name in ("Get", "Delete")}
    server = grpc.server(
        ThreadPoolExecutor(4), handlers=[grpc.method_handlers_generic_handler("profile.v1.Profiles", methods)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@pytest.fixture
def gateway(service: int, auth: meshpass.SignedJWT) -> Iterator[Gateway]:
    allowed = {"permissions": [{"urlPath": {"path": {"exact": GET}}}], "principals": [{"any": True}]}
    filters = [
        jwt_filter("https://issuer.test", "user-profile", auth.jwks()),
        http_filter("rbac.v3.RBAC", rules={"policies": {"get": allowed}}),
    ]
    with running(HOST, f"127.0.0.1:{service}", filters=filters, speaks_http2=True) as found:
        yield found


def test_envoy_lets_a_call_with_the_token_through_and_no_other(
    gateway: Gateway, auth: meshpass.SignedJWT
) -> None:
    with meshpass.grpc_channel(
        ORIGIN, auth=auth, address=gateway.address, ca_file=gateway.ca_file
    ) as channel:
        assert channel.unary_unary(GET)(b"u-1", timeout=20) == b"u-1"
        with pytest.raises(grpc.RpcError, match="RBAC: access denied") as denied:
            channel.unary_unary(DELETE)(b"u-1", timeout=20)
        assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED

    bare = grpc.ssl_channel_credentials(gateway.ca_file.read_bytes())
    with grpc.secure_channel(gateway.address, bare, [("grpc.default_authority", HOST)]) as channel:
        with pytest.raises(grpc.RpcError, match="Jwt is missing") as refused:
            channel.unary_unary(GET)(b"u-1", timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_envoy_refuses_a_token_of_an_unknown_key_and_the_next_call_gets_a_new_one(
    gateway: Gateway, pem: bytes
) -> None:
    other = pem_of(ec.generate_private_key(ec.SECP256R1()))

    class Rotated:
        """Signs with a key that the gateway does not have until a token was refused."""

        def __init__(self) -> None:
            self.refused = 0

        def token(self) -> meshpass.Token:
            key = pem if self.refused else other
            return meshpass.SignedJWT("https://issuer.test", "user-profile", lambda: key).token()

        async def atoken(self) -> meshpass.Token:
            return self.token()

        def invalidate(self, token: meshpass.Token) -> None:
            self.refused += 1

    async def calls() -> tuple[str, bytes]:
        async with meshpass.grpc_aio_channel(
            ORIGIN, auth=Rotated(), address=gateway.address, ca_file=gateway.ca_file
        ) as channel:
            get = channel.unary_unary(GET)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await get(b"u-1", timeout=20)
            return refused.value.details(), await get(b"u-1", timeout=20)

    details, response = asyncio.run(calls())

    assert details == "Jwks doesn't have key to match kid or alg from Jwt"
    assert response == b"u-1"


def test_envoy_does_not_serve_another_name(gateway: Gateway, auth: meshpass.SignedJWT) -> None:
    with meshpass.grpc_channel(
        "https://other.internal", auth=auth, address=gateway.address, ca_file=gateway.ca_file
    ) as channel:
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary(GET)(b"u-1", timeout=20)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
