"""Real Envoys as sidecars: which connections a port takes, by its protocol and its mode, and as what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadRef, load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.istio.walks import REFUSED, ask, exchange, walking

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.lab.istio.walks import Walk

TCP, HTTP, AUTO, UNDECLARED, TLS, HTTP2, JUDGED = 9070, 9080, 9081, 9082, 9083, 9084, 9086
MODES = ("strict", "permissive", "disable")

APP = """
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{istio-injection: enabled}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app, namespace: {name}}}
spec:
  template:
    metadata: {{labels: {{app: app}}}}
    spec:
      containers:
        - name: app
          ports: [{{containerPort: 9082}}, {{containerPort: 9085}}, {{containerPort: 9086}}]
---
apiVersion: v1
kind: Service
metadata: {{name: app, namespace: {name}}}
spec:
  selector: {{app: app}}
  ports:
    - {{name: tcp, port: 70, targetPort: 9070}}
    - {{name: http, port: 80, targetPort: 9080}}
    - {{name: any, port: 81, targetPort: 9081}}
    - {{name: https, port: 83, targetPort: 9083}}
    - {{name: http2, port: 84, targetPort: 9084}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: {name}}}
spec: {{mtls: {{mode: {mode}}}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: port, namespace: {name}}}
spec:
  selector: {{matchLabels: {{app: app}}}}
  portLevelMtls: {{9085: {{mode: {port_mode}}}}}
"""
POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: paths, namespace: permissive}
spec:
  action: DENY
  rules:
    - to: [{operation: {paths: [/private], ports: ["9080", "9086"]}}]
    - from: [{source: {principals: ["*/sa/blocked"]}}]
      to: [{operation: {ports: ["9070", "9081", "9082"]}}]
"""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    other = {"strict": "DISABLE", "permissive": "STRICT", "disable": "STRICT"}
    text = "---".join(
        [*(APP.format(name=name, mode=name.upper(), port_mode=other[name]) for name in MODES), POLICIES]
    )
    mesh = load_mesh(parse_manifests(text, "test.yaml")).require_complete()
    refs = [WorkloadRef(name, "app") for name in MODES]
    with walking(mesh, refs, tmp_path_factory.mktemp("pki")) as found:
        yield found


def client(walk: Walk, kind: str) -> ssl.SSLContext | None:
    """A client: plaintext, TLS of its own, a proxy of the mesh, or one that is not of this mesh."""
    uri = "spiffe://cluster.local/ns/a/sa/b"
    match kind:
        case "plaintext":
            return None
        case "tls":
            return walk.pki.client(trust=None)
        case "mesh http":
            alpn = ("istio-http/1.1", "istio", "http/1.1")
            return walk.pki.client(walk.pki.identity("mesh", uris=[uri]), alpn=alpn, trust=None)
        case "mesh tcp":
            bare = ("istio-peer-exchange", "istio")
            return walk.pki.client(walk.pki.identity("mesh", uris=[uri]), alpn=bare, trust=None)
        case "mesh without protocols":
            return walk.pki.client(walk.pki.identity("mesh", uris=[uri]), trust=None)
        case "no certificate":
            return walk.pki.client(alpn=("istio",), trust=None)
        case "other authority":
            identity = walk.pki.identity("strangers", uris=[uri])
            return walk.pki.client(identity, alpn=("istio",), trust=None)
        case "other trust domain":
            identity = walk.pki.identity("mesh", uris=["spiffe://other.example/ns/a/sa/b"])
            return walk.pki.client(identity, alpn=("istio",), trust=None)
        case "blocked":
            identity = walk.pki.identity("mesh", uris=["spiffe://cluster.local/ns/a/sa/blocked"])
            return walk.pki.client(identity, alpn=("istio",), trust=None)
    raise ValueError(kind)


def request(walk: Walk, name: str, port: int, kind: str, path: str = "/") -> str:
    """What becomes of an HTTP request: the sidecar reads it, the application gets the bytes, or it is refused."""
    reply = ask(walk.at(WorkloadRef(name, "app"), port), path, tls=client(walk, kind))
    if reply == REFUSED:
        return "refused"
    if reply.headers.get("server") == "istio-envoy":
        return "read" if reply.status == 200 else str(reply.status)
    return "own TLS" if reply.seen["tls"] else "bytes"


def connection(walk: Walk, name: str, port: int, kind: str) -> str:
    """What becomes of bytes that are not HTTP."""
    answer = exchange(walk.at(WorkloadRef(name, "app"), port), tls=client(walk, kind))
    if answer.startswith(b"HTTP/1.1 400"):
        return "400"
    return {b"": "refused", b"bytes\n": "bytes", b"bytes over TLS\n": "own TLS"}[answer]


@pytest.mark.parametrize(
    ("port", "kind", "strict", "permissive", "disable"),
    [
        (TCP, "plaintext", "refused", "bytes", "bytes"),
        (TCP, "tls", "refused", "own TLS", "own TLS"),
        (TCP, "mesh tcp", "bytes", "bytes", "own TLS"),
        (TCP, "mesh without protocols", "bytes", "own TLS", "own TLS"),
        (TCP, "no certificate", "refused", "refused", "own TLS"),
        (TCP, "other authority", "refused", "refused", "own TLS"),
        (TCP, "other trust domain", "refused", "refused", "own TLS"),
        (TLS, "plaintext", "refused", "bytes", "bytes"),
        (TLS, "tls", "refused", "own TLS", "own TLS"),
        (TLS, "mesh tcp", "bytes", "bytes", "own TLS"),
        (HTTP, "plaintext", "refused", "400", "400"),
        (HTTP, "tls", "refused", "refused", "refused"),
        (HTTP2, "tls", "refused", "refused", "refused"),
        (AUTO, "plaintext", "refused", "bytes", "bytes"),
        (AUTO, "tls", "refused", "own TLS", "own TLS"),
        (AUTO, "mesh tcp", "bytes", "bytes", "own TLS"),
        (AUTO, "other authority", "refused", "refused", "own TLS"),
        (UNDECLARED, "plaintext", "refused", "bytes", "bytes"),
        (UNDECLARED, "tls", "refused", "own TLS", "own TLS"),
        (UNDECLARED, "mesh tcp", "bytes", "bytes", "own TLS"),
    ],
)
def test_bytes_reach_a_port(
    walk: Walk, port: int, kind: str, strict: str, permissive: str, disable: str
) -> None:
    found = [connection(walk, name, port, kind) for name in MODES]

    assert found == [strict, permissive, disable]


@pytest.mark.parametrize(
    ("port", "kind", "strict", "permissive", "disable"),
    [
        (HTTP, "plaintext", "refused", "read", "read"),
        (HTTP, "tls", "refused", "refused", "refused"),
        (HTTP, "mesh http", "read", "read", "refused"),
        (HTTP, "mesh tcp", "read", "read", "refused"),
        (HTTP, "mesh without protocols", "read", "refused", "refused"),
        (HTTP, "no certificate", "refused", "refused", "refused"),
        (HTTP, "other authority", "refused", "refused", "refused"),
        (HTTP, "other trust domain", "refused", "refused", "refused"),
        (TCP, "plaintext", "refused", "bytes", "bytes"),
        (TCP, "tls", "refused", "own TLS", "own TLS"),
        (TCP, "mesh http", "bytes", "bytes", "own TLS"),
        (AUTO, "plaintext", "refused", "read", "read"),
        (AUTO, "tls", "refused", "own TLS", "own TLS"),
        (AUTO, "mesh http", "read", "read", "own TLS"),
        # Without a protocol of HTTP the receiver takes the connection for bytes.
        (AUTO, "mesh tcp", "bytes", "bytes", "own TLS"),
        (AUTO, "mesh without protocols", "bytes", "own TLS", "own TLS"),
        (AUTO, "other trust domain", "refused", "refused", "own TLS"),
        (UNDECLARED, "plaintext", "refused", "read", "read"),
        (UNDECLARED, "tls", "refused", "own TLS", "own TLS"),
        (UNDECLARED, "mesh http", "read", "read", "own TLS"),
    ],
)
def test_http_reaches_a_port(
    walk: Walk, port: int, kind: str, strict: str, permissive: str, disable: str
) -> None:
    found = [request(walk, name, port, kind) for name in MODES]

    assert found == [strict, permissive, disable]


@pytest.mark.parametrize(
    ("name", "plaintext", "mesh"),
    [("strict", "read", "own TLS"), ("permissive", "refused", "read"), ("disable", "refused", "read")],
)
def test_a_port_that_no_service_names_may_have_a_mode_of_its_own(
    walk: Walk, name: str, plaintext: str, mesh: str
) -> None:
    assert request(walk, name, 9085, "plaintext") == plaintext
    assert request(walk, name, 9085, "mesh http") == mesh


@pytest.mark.parametrize(
    ("port", "path", "expected"),
    [
        (HTTP, "/private", "403"),
        (HTTP, "/private#x", "403"),
        (HTTP, "/public", "read"),
        (AUTO, "/private", "read"),
        (JUDGED, "/private", "403"),
        (JUDGED, "/public", "read"),
    ],
)
def test_policies_decide_about_requests_at_every_port(
    walk: Walk, port: int, path: str, expected: str
) -> None:
    assert request(walk, "permissive", port, "plaintext", path) == expected


@pytest.mark.parametrize("port", [TCP, AUTO])
def test_policies_decide_about_connections(walk: Walk, port: int) -> None:
    assert connection(walk, "permissive", port, "blocked") == "refused"
    assert connection(walk, "permissive", port, "mesh tcp") == "bytes"


def test_a_deny_rule_on_a_path_denies_every_connection_that_is_not_http(walk: Walk) -> None:
    assert connection(walk, "permissive", JUDGED, "plaintext") == "refused"
    assert connection(walk, "disable", JUDGED, "plaintext") == "bytes"


def test_a_sidecar_adds_the_peer_to_what_its_proxy_said_before(walk: Walk) -> None:
    address = walk.at(WorkloadRef("strict", "app"), HTTP)
    forwarded = {"x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/c/sa/d"}

    reply = ask(address, tls=client(walk, "mesh http"), headers=forwarded)

    first, added = reply.seen["headers"]["x-forwarded-client-cert"].split(",")
    assert first == forwarded["x-forwarded-client-cert"]
    assert "URI=spiffe://cluster.local/ns/a/sa/b" in added
    assert "Cert=" not in added
