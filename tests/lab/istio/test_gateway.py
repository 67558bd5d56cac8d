"""Gateway: the ports that open, the certificates behind them, and whose routes they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio import Credential, WorkloadPort

if TYPE_CHECKING:
    from tests.lab.istio.conftest import SmallMesh

HTTP = "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*/*']}"


def gateway(
    servers: str, *, selector: str = "{app: door}", namespace: str = "edge", name: str = "door"
) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {selector}, servers: [{servers}]}}
"""


def https(hosts: str, *, name: str = "https", credential: str = "door-tls", more: str = "") -> str:
    tls = f"{{mode: SIMPLE, credentialName: {credential}{more}}}"
    return f"{{port: {{number: 443, name: {name}, protocol: HTTPS}}, tls: {tls}, hosts: {hosts}}}"


def test_a_server_listens_on_the_target_of_its_services_port(small: SmallMesh) -> None:
    mesh = small.mesh()

    assert mesh.workload(small.gateway_ref).ports == (WorkloadPort(8443, "https"),)
    listener = small.gateway().listener(8443)
    assert listener["address"] == small.gateway().placement.proxies[small.gateway_ref, 8443].envoy


def test_the_certificate_is_the_named_credential_and_clients_need_none(small: SmallMesh) -> None:
    (chain,) = small.gateway().listener(8443)["filterChains"]
    context = chain["transportSocket"]["typedConfig"]

    assert context["requireClientCertificate"] is False
    (certificate,) = context["commonTlsContext"]["tlsCertificateSdsSecretConfigs"]
    assert certificate["name"] == "kubernetes://door-tls"
    assert context["commonTlsContext"]["tlsParams"]["tlsMinimumProtocolVersion"] == "TLSv1_2"
    assert "validationContext" not in context["commonTlsContext"]


def test_versions_and_ciphers_can_be_narrowed(small: SmallMesh) -> None:
    more = ", minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]"
    (chain,) = small.gateway(gateway(https("['*/cart.example']", more=more))).listener(8443)["filterChains"]

    assert chain["transportSocket"]["typedConfig"]["commonTlsContext"]["tlsParams"] == {
        "tlsMinimumProtocolVersion": "TLSv1_3",
        "tlsMaximumProtocolVersion": "TLSv1_3",
        "cipherSuites": ["ECDHE-ECDSA-AES256-GCM-SHA384"],
    }


def test_tls_servers_are_told_apart_by_the_name_that_the_client_asks_for(small: SmallMesh) -> None:
    second = https("['*/other.example', '*/*.other.example']", name="more", credential="other-tls")
    compiled = small.gateway(gateway(f"{https('[shop/cart.example]')}, {second}"))
    first_chain, second_chain = compiled.listener(8443)["filterChains"]

    assert first_chain["filterChainMatch"] == {"serverNames": ["cart.example"]}
    assert second_chain["filterChainMatch"] == {"serverNames": ["other.example", "*.other.example"]}
    # A name only has the routes of its own server.
    names = [
        [host["name"] for host in manager["routeConfig"]["virtualHosts"]]
        for manager in compiled.managers(8443)
    ]
    assert names == [["cart.example:443"], ["blackhole:443"]]


def test_a_server_for_every_host_takes_every_name(small: SmallMesh) -> None:
    (chain,) = small.gateway(gateway(https("['*']"))).listener(8443)["filterChains"]

    assert "filterChainMatch" not in chain


def test_plaintext_servers_of_one_port_share_their_routes(small: SmallMesh) -> None:
    other = gateway(
        "{port: {number: 80, name: more, protocol: HTTP}, hosts: [shop/cart.example]}", name="second"
    )
    compiled = small.gateway(gateway(HTTP), other)

    (chain,) = compiled.listener(8080)["filterChains"]
    assert "transportSocket" not in chain
    assert compiled.manager(8080)["routeConfig"]["name"] == "http.8080"
    assert set(compiled.virtual_hosts(8080)) == {"cart.example"}


def test_the_lab_learns_which_certificates_to_make(small: SmallMesh) -> None:
    assert small.mesh().credentials == (Credential("edge", "door-tls", ("cart.example",)),)


def test_a_gateway_in_another_namespace_may_select_the_workload(small: SmallMesh) -> None:
    elsewhere = gateway(https("['*/cart.example']"), namespace="shop")
    route = small.changed(small.base("VirtualService", "cart"), "spec.gateways", ["door"])
    compiled = small.gateway(elsewhere, route, without=("Gateway/door",))

    assert set(compiled.virtual_hosts(8443)) == {"cart.example"}


def test_the_caller_of_a_gateway_is_the_connection_and_its_word_on_certificates_does_not_count(
    small: SmallMesh,
) -> None:
    at_gateway: dict[str, Any] = small.gateway().manager(8443)
    at_sidecar: dict[str, Any] = small.app().manager(8080)

    assert (at_gateway["useRemoteAddress"], at_gateway["forwardClientCertDetails"]) == (True, "SANITIZE_SET")
    assert (at_sidecar["useRemoteAddress"], at_sidecar["forwardClientCertDetails"]) == (
        False,
        "APPEND_FORWARD",
    )
    for manager in (at_gateway, at_sidecar):
        assert manager["serverName"] == "istio-envoy"
        # Istio's BASE normalization: dots are resolved, slashes are left alone.
        assert manager["normalizePath"] is True
        assert "mergeSlashes" not in manager
        assert manager["pathWithEscapedSlashesAction"] == "KEEP_UNCHANGED"


@pytest.mark.parametrize(
    ("servers", "says"),
    [
        ("", "servers: an empty list"),
        ("{port: {number: 443, name: x, protocol: TLS}, hosts: ['*']}", "protocol: 'TLS'"),
        ("{port: {number: 443, name: x, protocol: HTTPS}, hosts: ['*']}", "tls: missing"),
        (
            "{port: {number: 80, name: x, protocol: HTTP}, tls: {mode: SIMPLE}, hosts: ['*']}",
            "credentialName: missing",
        ),
        (
            "{port: {number: 80, name: x, protocol: HTTP}, tls: {mode: SIMPLE, credentialName: c}, hosts: ['*']}",
            "no effect on a server of protocol HTTP",
        ),
        (
            "{port: {number: 80, name: x, protocol: HTTP}, tls: {httpsRedirect: true}, hosts: ['*']}",
            "redirects",
        ),
        (
            "{port: {number: 443, name: x, protocol: HTTPS}, tls: {credentialName: c}, hosts: ['*']}",
            "'PASSTHROUGH'",
        ),
        (https("['*']").replace("SIMPLE", "MUTUAL"), "'MUTUAL' is not supported"),
        (https("['*']").replace("SIMPLE", "ISTIO_MUTUAL"), "'ISTIO_MUTUAL' is not supported"),
        (https("['*']", credential="kubernetes-gateway://ns/name"), "bare name of a Secret"),
        (https("['*']", more=", minProtocolVersion: TLSV1_0"), "'TLSV1_0' is not supported"),
        (https("['*']", more=", cipherSuites: [RC4-MD5]"), "cipherSuites[0]: 'RC4-MD5'"),
        (https("['*']", more=", serverCertificate: /a"), "files of the pod"),
        (https("['*']", more=", caCertificates: /a"), "mode SIMPLE"),
        (https("['*']", more=", subjectAltNames: [a]"), "mode SIMPLE"),
        (https("['*']", more=", credentialNames: [a]"), "one certificate per server"),
        (https("['*']", more=", verifyCertificateHash: [a]"), "this field is not known"),
        ("{port: {number: 80, name: x, protocol: HTTP}}", "hosts: missing"),
        ("{port: {number: 80, name: x, protocol: HTTP}, hosts: []}", "hosts: an empty list"),
        ("{port: {number: 80, name: x, protocol: HTTP}, hosts: [a.*]}", "hosts[0]: 'a.*' is not a host"),
        ("{port: {number: 80, name: x, protocol: HTTP}, hosts: [/a]}", "write namespace/host"),
        ("{port: {number: 80, name: x, protocol: HTTP}, hosts: ['*'], bind: 0.0.0.0}", "bind"),
        (
            "{port: {number: 80, name: x, protocol: HTTP}, hosts: ['*'], defaultEndpoint: x}",
            "defaultEndpoint",
        ),
        (
            "{port: {number: 80, name: x, protocol: HTTP, targetPort: 1}, hosts: ['*']}",
            "Service's targetPort",
        ),
        ("{port: {number: 0, name: x, protocol: HTTP}, hosts: ['*']}", "from 1 to 65535"),
        (
            "{port: {number: 81, name: x, protocol: HTTP}, hosts: ['*']}",
            "no Service of edge/door has port 81",
        ),
        (
            f"{https('[shop/cart.example]')}, {https('[shop/cart.example]', name='b')}",
            "Istio would drop this one",
        ),
    ],
)
def test_a_server_that_the_lab_cannot_open_as_written_is_refused(
    small: SmallMesh, servers: str, says: str
) -> None:
    assert says in small.refusal(gateway(servers))


def test_one_port_cannot_be_both_plaintext_and_tls(small: SmallMesh) -> None:
    plain = "{port: {number: 443, name: http, protocol: HTTP}, hosts: ['*']}"

    assert "both HTTP and HTTPS" in small.refusal(gateway(f"{https('[shop/cart.example]')}, {plain}"))


def test_a_selector_that_finds_no_gateway_is_refused(small: SmallMesh) -> None:
    assert "selects no gateway workload" in small.refusal(gateway(https("['*']"), selector="{app: cart}"))
