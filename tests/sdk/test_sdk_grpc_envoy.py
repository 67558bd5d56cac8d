"""Channels of gRPC through a real Envoy that checks tokens, as a gateway of the mesh does."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import meshpass
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from meshlab.istio import Address
from meshlab.processes.envoy import Envoy
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from .conftest import Authority, pem_of

HOST = "user-profile.internal"
ORIGIN = f"https://{HOST}"
GET = "/profile.v1.Profiles/Get"
DELETE = "/profile.v1.Profiles/Delete"
_V3 = "type.googleapis.com/envoy.extensions"


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
def gateway(service: int, ca: Authority, auth: meshpass.SignedJWT, tmp_path: Path) -> Iterator[str]:
    ca.context(HOST)
    chain = {"filename": str(ca.folder / f"{HOST}.chain")}
    ports = free_ports()
    port, admin = next(ports), next(ports)
    with Supervisor() as supervisor:
        config = bootstrap(port, admin, service, chain, json.dumps(auth.jwks()))
        envoy = Envoy(supervisor, "gateway", config, Address("127.0.0.1", admin))
        envoy.start()
        envoy.wait_ready()
        yield f"127.0.0.1:{port}"


def bootstrap(port: int, admin: int, service: int, chain: dict[str, str], jwks: str) -> dict[str, Any]:
    provider = {
        "issuer": "https://issuer.test",
        "audiences": ["user-profile"],
        "localJwks": {"inlineString": jwks},
        "forward": False,
        "payloadInMetadata": "claims",
    }
    allowed = {"permissions": [{"urlPath": {"path": {"exact": GET}}}], "principals": [{"any": True}]}
    filters = [
        filter_of(
            "jwt_authn.v3.JwtAuthentication",
            providers={"caller": provider},
            rules=[{"match": {"prefix": "/"}, "requires": {"providerName": "caller"}}],
        ),
        filter_of("rbac.v3.RBAC", rules={"policies": {"get": allowed}}),
        filter_of("router.v3.Router"),
    ]
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}]
    manager = {
        "@type": f"{_V3}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "statPrefix": "gateway",
        "routeConfig": {"virtualHosts": [{"name": "one", "domains": [HOST], "routes": routes}]},
        "httpFilters": filters,
    }
    tls = {
        "@type": f"{_V3}.transport_sockets.tls.v3.DownstreamTlsContext",
        "commonTlsContext": {
            "alpnProtocols": ["h2", "http/1.1"],
            "tlsCertificates": [{"certificateChain": chain, "privateKey": chain}],
        },
    }
    listener = {
        "name": "gateway",
        "address": address(port),
        "listenerFilters": [
            {
                "name": "envoy.filters.listener.tls_inspector",
                "typedConfig": {"@type": f"{_V3}.filters.listener.tls_inspector.v3.TlsInspector"},
            }
        ],
        "filterChains": [
            {
                # As a gateway of the mesh: TLS for another name is reset.
                "filterChainMatch": {"serverNames": [HOST]},
                "filters": [
                    {"name": "envoy.filters.network.http_connection_manager", "typedConfig": manager}
                ],
                "transportSocket": {"name": "envoy.transport_sockets.tls", "typedConfig": tls},
            }
        ],
    }
    protocol = {
        "@type": f"{_V3}.upstreams.http.v3.HttpProtocolOptions",
        "explicitHttpConfig": {"http2ProtocolOptions": {}},
    }
    cluster = {
        "name": "service",
        "type": "STATIC",
        "loadAssignment": {
            "clusterName": "service",
            "endpoints": [{"lbEndpoints": [{"endpoint": {"address": address(service)}}]}],
        },
        "typedExtensionProtocolOptions": {
            f"{_V3.rpartition('/')[2]}.upstreams.http.v3.HttpProtocolOptions": protocol
        },
    }
    return {
        "node": {"id": "gateway", "cluster": "gateway"},
        "admin": {"address": address(admin)},
        "staticResources": {"listeners": [listener], "clusters": [cluster]},
    }


def filter_of(kind: str, **fields: object) -> dict[str, Any]:
    return {
        "name": f"envoy.filters.http.{kind.partition('.')[0]}",
        "typedConfig": {"@type": f"{_V3}.filters.http.{kind}", **fields},
    }


def address(port: int) -> dict[str, Any]:
    return {"socketAddress": {"address": "127.0.0.1", "portValue": port}}


def test_envoy_lets_a_call_with_the_token_through_and_no_other(
    gateway: str, ca: Authority, auth: meshpass.SignedJWT
) -> None:
    with meshpass.grpc_channel(ORIGIN, auth=auth, address=gateway, ca_file=ca.file) as channel:
        assert channel.unary_unary(GET)(b"u-1", timeout=20) == b"u-1"
        with pytest.raises(grpc.RpcError, match="RBAC: access denied") as denied:
            channel.unary_unary(DELETE)(b"u-1", timeout=20)
        assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED

    bare = grpc.ssl_channel_credentials(ca.file.read_bytes())
    with grpc.secure_channel(gateway, bare, [("grpc.default_authority", HOST)]) as channel:
        with pytest.raises(grpc.RpcError, match="Jwt is missing") as refused:
            channel.unary_unary(GET)(b"u-1", timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_envoy_refuses_a_token_of_an_unknown_key_and_the_next_call_gets_a_new_one(
    gateway: str, ca: Authority, pem: bytes
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
            ORIGIN, auth=Rotated(), address=gateway, ca_file=ca.file
        ) as channel:
            get = channel.unary_unary(GET)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await get(b"u-1", timeout=20)
            return refused.value.details(), await get(b"u-1", timeout=20)

    details, response = asyncio.run(calls())

    assert details == "Jwks doesn't have key to match kid or alg from Jwt"
    assert response == b"u-1"


def test_envoy_does_not_serve_another_name(gateway: str, ca: Authority, auth: meshpass.SignedJWT) -> None:
    with meshpass.grpc_channel(
        "https://other.internal", auth=auth, address=gateway, ca_file=ca.file
    ) as channel:
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary(GET)(b"u-1", timeout=20)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
