"""Real Envoy as a gateway: which connections each kind of server takes, and what becomes of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadRef, load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.istio.walks import REFUSED, ask, exchange, walking
from tests.lab.kube import app, gateway_app, mesh_of, namespace, service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio import Address

    from tests.lab.istio.walks import Walk

DOOR = WorkloadRef("edge", "door")

WORKLOADS = mesh_of(
    namespace("edge"),
    namespace("shop", ""),
    gateway_app("door", "edge"),
    app("cart", "shop"),
    service(
        "cart", "shop", "{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}"
    ),
)

GATEWAYS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 8080, name: plain, protocol: HTTP}
      hosts: ['shop.example', 'private.example']
    - port: {number: 8081, name: redirecting, protocol: HTTP2}
      hosts: [shop.example]
      tls: {httpsRedirect: true}
    - port: {number: 8081, name: beside, protocol: http}
      hosts: [open.example]
    - port: {number: 8443, name: simple, protocol: HTTPS}
      hosts: ['shop.example', '*.shop.example']
      tls: {mode: SIMPLE, credentialName: shop}
    - port: {number: 8443, name: other, protocol: HTTPS}
      hosts: [other.example]
      tls: {mode: SIMPLE, credentialName: other, minProtocolVersion: TLSV1_3}
    - port: {number: 8443, name: late, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: SIMPLE, credentialName: late}
    - port: {number: 8444, name: mutual, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: MUTUAL, credentialName: mutual}
    - port: {number: 8444, name: named, protocol: HTTPS}
      hosts: [named.example]
      tls: {mode: MUTUAL, credentialName: mutual, subjectAltNames: [partner.example, 'spiffe://partner/a']}
    - port: {number: 8444, name: files, protocol: HTTPS}
      hosts: [files.example]
      tls: {mode: MUTUAL, serverCertificate: /etc/c/tls.crt, privateKey: /etc/c/tls.key, caCertificates: /etc/c/ca.crt}
    - port: {number: 8444, name: listed, protocol: HTTPS}
      hosts: [listed.example]
      tls: {mode: MUTUAL, credentialNames: [listed], caCertCredentialName: other-cacert}
    - port: {number: 8445, name: optional, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: OPTIONAL_MUTUAL, credentialName: mutual}
    - port: {number: 8446, name: mesh, protocol: HTTPS}
      hosts: ['*']
      tls: {mode: ISTIO_MUTUAL}
    - port: {number: 8447, name: mesh-tcp, protocol: TLS}
      hosts: ['*']
      tls: {mode: ISTIO_MUTUAL}
    - port: {number: 8448, name: ended, protocol: TLS}
      hosts: [shop.example]
      tls: {mode: SIMPLE, credentialName: shop}
    - port: {number: 8449, name: passed, protocol: TLS}
      hosts: ['*.example']
      tls: {mode: PASSTHROUGH}
    - port: {number: 8451, name: both-tls, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: SIMPLE, credentialName: shop}
    - port: {number: 8451, name: both-plain, protocol: HTTP}
      hosts: [shop.example]
    - port: {number: 9000, name: bytes, protocol: TCP}
      hosts: ['*']
    - port: {number: 9000, name: conflict, protocol: HTTP}
      hosts: ['*']
    - port: {number: 9001, name: denied, protocol: TCP}
      hosts: ['*']
    - port: {number: 9002, name: nowhere, protocol: TCP}
      hosts: [nowhere.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: ['*.example']
  gateways: [edge/web]
  http:
    - route: [{destination: {host: cart, port: {number: 80}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes, namespace: shop}
spec:
  hosts: [any.invalid, shop.example]
  gateways: [edge/web]
  tcp:
    - route: [{destination: {host: cart, port: {number: 90}}}]
  tls:
    - match: [{sniHosts: [shop.example], port: 8449}]
      route: [{destination: {host: cart, port: {number: 90}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: private, namespace: edge}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: [/private], ports: ["8080"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: port, namespace: edge}
spec:
  action: DENY
  rules: [{to: [{operation: {ports: ["9001"]}}]}]
"""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    text = "---".join((WORKLOADS, GATEWAYS))
    mesh = load_mesh(parse_manifests(text, "test.yaml")).require_complete()
    with walking(mesh, [DOOR], tmp_path_factory.mktemp("pki")) as found:
        yield found


def at(walk: Walk, port: int) -> Address:
    return walk.at(DOOR, port)


def test_plaintext_reaches_the_hosts_of_its_server_alone(walk: Walk) -> None:
    assert ask(at(walk, 8080)).status == 200
    assert ask(at(walk, 8080), host="SHOP.example:8080").status == 200
    assert ask(at(walk, 8080), host="unknown.example").status == 404
    assert ask(at(walk, 8080), tls=walk.pki.client()) == REFUSED


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/private", 403),
        ("/private?x=1", 403),
        ("/private#x", 403),
        ("/./private", 403),
        ("/a/../private", 403),
        ("//private", 200),
        ("/private/", 200),
        ("/public#/private", 200),
    ],
)
def test_a_path_is_judged_without_its_fragment_and_its_dots(walk: Walk, path: str, status: int) -> None:
    assert ask(at(walk, 8080), path).status == status


def test_what_follows_a_hash_reaches_no_application(walk: Walk) -> None:
    assert ask(at(walk, 8080), "/a?b=c#d").seen["request"] == "GET /a?b=c HTTP/1.1"


def test_a_redirecting_server_redirects_its_own_hosts_alone(walk: Walk) -> None:
    redirected = ask(at(walk, 8081), "/a?b=c")

    assert (redirected.status, redirected.headers["location"]) == (301, "https://shop.example/a?b=c")
    # A client of a load balancer that has ended TLS already.
    assert ask(at(walk, 8081), headers={"x-forwarded-proto": "https"}).status == 301
    assert ask(at(walk, 8081), host="open.example").status == 200
    assert ask(at(walk, 8081), host="unknown.example").status == 404


def test_simple_tls_asks_for_no_certificate_and_chooses_by_the_name(walk: Walk) -> None:
    client = walk.pki.client()

    assert ask(at(walk, 8443), tls=client).status == 200
    assert ask(at(walk, 8443), host="a.shop.example", tls=client).status == 200
    assert ask(at(walk, 8443), host="other.example", tls=client).status == 200
    assert ask(at(walk, 8443), tls=client, sni="unknown.example") == REFUSED
    assert ask(at(walk, 8443), tls=client, sni="") == REFUSED
    assert ask(at(walk, 8443)) == REFUSED  # plaintext


def test_a_name_reaches_the_routes_of_its_own_server_alone(walk: Walk) -> None:
    client = walk.pki.client()

    assert ask(at(walk, 8443), tls=client, sni="shop.example", host="other.example").status == 404
    assert ask(at(walk, 8443), tls=client, sni="other.example", host="shop.example").status == 404


def test_a_second_server_for_a_name_is_dropped(walk: Walk) -> None:
    client = walk.pki.client()
    client.check_hostname = True

    assert ask(at(walk, 8443), tls=client).status == 200
    assert any("Istio drops this one" in str(note) and "servers[5]" in str(note) for note in walk.mesh.notes)


@pytest.mark.parametrize("host", ["shop.example", "files.example", "listed.example"])
def test_mutual_tls_takes_clients_of_the_right_authority_alone(walk: Walk, host: str) -> None:
    partner = walk.pki.identity("clients", dns_names=["partner.example"])
    stranger = walk.pki.identity("strangers", dns_names=["partner.example"])

    reply = ask(at(walk, 8444), host=host, tls=walk.pki.client(partner))

    assert reply.status == 200
    assert "DNS=partner.example" in reply.seen["headers"]["x-forwarded-client-cert"]
    assert ask(at(walk, 8444), host=host, tls=walk.pki.client(stranger)) == REFUSED
    assert ask(at(walk, 8444), host=host, tls=walk.pki.client()) == REFUSED
    assert ask(at(walk, 8444), host=host) == REFUSED


@pytest.mark.parametrize(
    ("uris", "dns_names", "taken"),
    [
        ((), ("partner.example",), True),
        (("spiffe://partner/a",), (), True),
        (("spiffe://partner/a",), ("other.example",), True),
        ((), ("other.example",), False),
        (("spiffe://partner/b",), (), False),
    ],
)
def test_a_named_client_is_taken_by_any_kind_of_name(
    walk: Walk, uris: tuple[str, ...], dns_names: tuple[str, ...], taken: bool
) -> None:
    client = walk.pki.client(walk.pki.identity("clients", uris=uris, dns_names=dns_names))

    assert (ask(at(walk, 8444), host="named.example", tls=client) != REFUSED) is taken


def test_a_client_cannot_write_the_certificate_that_it_does_not_have(walk: Walk) -> None:
    forged = {"x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/a/sa/b"}

    assert "x-forwarded-client-cert" not in ask(at(walk, 8080), headers=forged).seen["headers"]


def test_an_optional_certificate_may_be_missing_and_not_wrong(walk: Walk) -> None:
    partner = walk.pki.identity("clients", dns_names=["partner.example"])
    stranger = walk.pki.identity("strangers", dns_names=["partner.example"])

    assert ask(at(walk, 8445), tls=walk.pki.client(partner)).status == 200
    assert ask(at(walk, 8445), tls=walk.pki.client()).status == 200
    assert ask(at(walk, 8445), tls=walk.pki.client(stranger)) == REFUSED


@pytest.mark.parametrize("domain", ["cluster.local", "other.example"])
def test_istio_mutual_takes_every_client_that_the_meshs_authority_signed(walk: Walk, domain: str) -> None:
    mesh = walk.pki.identity("mesh", uris=[f"spiffe://{domain}/ns/a/sa/b"])
    stranger = walk.pki.identity("strangers", uris=[f"spiffe://{domain}/ns/a/sa/b"])

    assert ask(at(walk, 8446), tls=walk.pki.client(mesh, trust="mesh")).status == 200
    assert ask(at(walk, 8446), tls=walk.pki.client(stranger, trust="mesh")) == REFUSED
    assert ask(at(walk, 8446), tls=walk.pki.client(trust="mesh")) == REFUSED
    assert exchange(at(walk, 8447), tls=walk.pki.client(mesh, trust="mesh")) == b"bytes\n"
    assert exchange(at(walk, 8447), tls=walk.pki.client(stranger, trust="mesh")) == b""
    assert exchange(at(walk, 8447)) == b""


def test_tls_that_is_ended_carries_bytes(walk: Walk) -> None:
    assert exchange(at(walk, 8448), tls=walk.pki.client()) == b"bytes\n"
    assert exchange(at(walk, 8448), tls=walk.pki.client(), sni="other.example") == b""
    assert exchange(at(walk, 8448)) == b""


def test_tls_that_is_passed_through_is_the_applications_own(walk: Walk) -> None:
    assert exchange(at(walk, 8449), tls=walk.pki.client(trust="apps")) == b"bytes over TLS\n"
    assert exchange(at(walk, 8449), tls=walk.pki.client()) == b""  # it is not the gateway's certificate
    assert exchange(at(walk, 8449), tls=walk.pki.client(trust="apps"), sni="other.example") == b""
    assert exchange(at(walk, 8449)) == b""


def test_plaintext_beside_tls_on_one_port_is_what_istio_makes_of_it(walk: Walk) -> None:
    assert ask(at(walk, 8451), tls=walk.pki.client()).status == 200
    assert ask(at(walk, 8451)).status == 200


def test_bytes_are_passed_on_and_policies_see_the_port(walk: Walk) -> None:
    assert exchange(at(walk, 9000)) == b"bytes\n"
    assert exchange(at(walk, 9001)) == b""


def test_the_first_of_two_protocols_has_the_port(walk: Walk) -> None:
    assert (
        ask(at(walk, 9000), host="unknown.example").status == 200
    )  # the application answers, not the gateway
    assert any("9000 speaks TCP" in str(note) for note in walk.mesh.notes)


def test_a_port_without_a_route_is_not_opened(walk: Walk) -> None:
    assert exchange(at(walk, 9002)) == b""
    assert any("does not open the port" in str(note) for note in walk.mesh.notes)
