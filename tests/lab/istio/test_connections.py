"""Real Envoys with compiled configurations: a gateway reaches a sidecar whatever its mode, and its routes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.istio.walks import ask, walking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.istio.conftest import SmallMesh
    from tests.lab.istio.walks import Walk

MODE = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: {mode}}}}}
"""
PLAIN_GATEWAY = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*/*"]}]


@pytest.fixture(scope="module", params=["STRICT", "PERMISSIVE", "DISABLE"])
def walk(
    request: pytest.FixtureRequest, small: SmallMesh, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Walk]]:
    gateway = small.changed(small.base("Gateway", "door"), "spec.servers", PLAIN_GATEWAY)
    mesh = small.mesh(gateway, MODE.format(mode=request.param))
    with walking(mesh, (small.gateway_ref, small.app_ref), tmp_path_factory.mktemp("pki")) as found:
        yield request.param, found


def test_the_gateway_reaches_the_app_whatever_the_mode(small: SmallMesh, walk: tuple[str, Walk]) -> None:
    mode, found = walk

    reply = ask(found.at(small.gateway_ref, 8080), host="cart.example")

    assert reply.status == 200
    certificate = reply.seen["headers"].get("x-forwarded-client-cert", "none")
    expected = "none" if mode == "DISABLE" else "URI=spiffe://cluster.local/ns/edge/sa/door"
    assert expected in certificate


def test_a_host_that_no_route_has_is_not_found(small: SmallMesh, walk: tuple[str, Walk]) -> None:
    _, found = walk

    assert ask(found.at(small.gateway_ref, 8080), host="other.example").status == 404
