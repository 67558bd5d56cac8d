"""Where a sidecar sends what it does not know, by port, protocol and mode, on real Envoys.

The cases are those of Istio's own walks (`pilot/pkg/networking/core/sidecar_simulation_test.go`), in words of our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import pytest
from meshlab.istio.read.mesh_config import MeshSettings

from tests.lab.istio.sidecar_walks import Walks, namespace, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = "203.0.113.50"
PORTS = {"http": 80, "auto": 81, "tcp": 82, "tls": 83, "https": 84, "grpc": 85, "http2": 86}
HTTP_PORTS = ("http", "grpc", "http2")
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: known, namespace: shop}}
spec:
  hosts: [known.example]
  location: MESH_EXTERNAL
  resolution: DNS
  {addresses}
  ports:
    - {{name: http, number: 80, protocol: HTTP}}
    - {{name: auto, number: 81}}
    - {{name: tcp, number: 82, protocol: TCP}}
    - {{name: tls, number: 83, protocol: TLS}}
    - {{name: https, number: 84, protocol: HTTPS}}
    - {{name: grpc, number: 85, protocol: GRPC}}
    - {{name: http2, number: 86, protocol: HTTP2}}
"""

Mode = Literal["ALLOW_ANY", "REGISTRY_ONLY"]
Where = Literal["with an address", "without an address"]


class Unknown:
    """A mesh that knows one host, and a client that calls another one somewhere else."""

    def __init__(self, walks: Walks, mode: Mode, where: Where) -> None:
        self._walks, self.mode, self.where = walks, mode, where

    def http(self, port: str) -> str:
        reply = self._walks.get("foo", PORTS[port], address=ELSEWHERE)
        return reply.app or (str(reply.status) if reply.status else "ended")

    def tcp(self, port: str) -> str:
        return self._walks.say("foo", PORTS[port], address=ELSEWHERE) or "ended"

    def tls(self, port: str) -> str:
        return self._walks.certificate_of("foo", PORTS[port], "foo", address=ELSEWHERE) or "ended"

    @property
    def rest(self) -> str:
        return "internet" if self.mode == "ALLOW_ANY" else "ended"


@pytest.fixture(
    scope="module",
    params=[
        (mode, where)
        for mode in ("ALLOW_ANY", "REGISTRY_ONLY")
        for where in ("with an address", "without an address")
    ],
    ids="-".join,
)
def unknown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unknown]:
    mode, where = cast("tuple[Mode, Where]", request.param)
    addresses = "addresses: [192.0.2.4]" if where == "with an address" else ""
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        workload("shop/client"),
        ENTRY.format(addresses=addresses),
        settings=MeshSettings(outbound_traffic_policy=mode),
        servers={("known.example", port): ("known.example",) for port in PORTS.values()},
        takes_plaintext=True,
    ) as walks:
        yield Unknown(walks, mode, where)


@pytest.mark.parametrize("port", PORTS)
def test_http_to_an_unknown_host(unknown: Unknown, port: str) -> None:
    routed = port in HTTP_PORTS or (port == "auto" and unknown.where == "without an address")
    if routed and unknown.mode == "REGISTRY_ONLY":
        expected = "502"
    elif port == "tcp" and unknown.where == "without an address":
        expected = "known.example"  # a TCP service without an address takes its whole port
    else:
        expected = unknown.rest
    assert unknown.http(port) == expected


@pytest.mark.parametrize("port", PORTS)
def test_bytes_to_an_unknown_address(unknown: Unknown, port: str) -> None:
    takes_port = port in ("auto", "tcp") and unknown.where == "without an address"
    assert unknown.tcp(port) == ("known.example" if takes_port else unknown.rest)


@pytest.mark.parametrize("port", PORTS)
def test_tls_for_an_unknown_name(unknown: Unknown, port: str) -> None:
    takes_port = port in ("auto", "tcp") and unknown.where == "without an address"
    assert unknown.tls(port) == ("known.example" if takes_port else unknown.rest)


SHAPES = ("http:80", "auto:81", "tcp:82", "tls:83", "https:84")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        workload("shop/client"),
        workload("shop/headless", sidecar=False),
        service("shop/headless", *SHAPES, clusterIP="None"),
        workload("shop/concrete"),
        service("shop/concrete", *SHAPES),
        service("shop/alias", type="ExternalName", externalName="concrete.shop.svc.cluster.local"),
        settings=MeshSettings(outbound_traffic_policy="REGISTRY_ONLY"),
    ) as walks:
        yield walks


@pytest.mark.parametrize(("host", "app"), [("headless", "shop/headless"), ("alias", "shop/concrete")])
def test_every_kind_of_port_of_a_headless_service_and_of_an_alias_is_reached(
    named: Walks, host: str, app: str
) -> None:
    assert named.get(host, 80).app == app
    assert named.get(host, 81).app == app
    assert named.say(host, 81) == app
    assert named.say(host, 82) == app
    assert named.say(host, 83) == app


def test_mutual_tls_goes_with_connections_of_detected_ports(named: Walks) -> None:
    client = "spiffe://cluster.local/ns/shop/sa/client"
    assert named.get("concrete", 80).peer == client
    assert named.get("concrete", 81).peer == client
