"""Gateway: the ports that open, the certificates behind them, whose routes they carry, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio import Credential, WorkloadPort
from meshlab.istio.read.mesh_config import MeshSettings

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
    assert "tlsParams" not in context["commonTlsContext"]  # Envoy's defaults count
    assert "validationContext" not in context["commonTlsContext"]


def test_versions_and_ciphers_can_be_narrowed(small: SmallMesh) -> None:
    more = ", minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]"
    (chain,) = small.gateway(gateway(https("['*/cart.example']", more=more))).listener(8443)["filterChains"]

    assert chain["transportSocket"]["typedConfig"]["commonTlsContext"]["tlsParams"] == {
        "tlsMinimumProtocolVersion": "TLSv1_3",
        "tlsMaximumProtocolVersion": "TLSv1_3",
        "cipherSuites": ["ECDHE-ECDSA-AES256-GCM-SHA384"],
    }


def test_tls_servers_are_distinguished_by_the_name_that_the_client_asks_for(small: SmallMesh) -> None:
    second = https("['*/other.example', '*/*.other.example']", name="more", credential="other-tls")
    compiled = small.gateway(gateway(f"{https('[shop/cart.example]')}, {second}"))
    first_chain, second_chain = compiled.listener(8443)["filterChains"]

    assert first_chain["filterChainMatch"] == {"serverNames": ["cart.example"]}
    assert second_chain["filterChainMatch"] == {"serverNames": ["*.other.example", "other.example"]}
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


def server(protocol: str = "HTTP", *, port: int = 80, more: str = "", hosts: str = "['*']") -> str:
    return f"{{port: {{number: {port}, name: x, protocol: {protocol}}}, hosts: {hosts}{more}}}"


@pytest.mark.parametrize(
    ("servers", "says"),
    [
        ("", "servers: an empty list"),
        (server("SMTP"), "protocol: 'smtp' is not known"),
        (server("HTTPS"), "tls: missing"),
        (server("TLS"), "tls: missing"),
        (server("HTTP", more=", tls: {mode: SIMPLE, credentialName: c}"), "only httpsRedirect"),
        (server("TCP", more=", tls: {mode: SIMPLE, credentialName: c}"), "beside protocol TCP; write TLS"),
        (server("HTTPS", more=", tls: {mode: SIMPLE}"), "credentialName: missing"),
        (
            server("HTTPS", more=", tls: {mode: MUTUAL, serverCertificate: /a, privateKey: /b}"),
            "CA of the clients",
        ),
        (server("HTTPS", more=", tls: {mode: SIMPLE, serverCertificate: /a}"), "privateKey"),
        (
            server("HTTPS", more=", tls: {mode: SIMPLE, serverCertificate: /a, privateKey: /b, caCrl: /c}"),
            "caCrl: has no use",
        ),
        (
            server(
                "HTTPS",
                more=", tls: {mode: SIMPLE, credentialName: c, serverCertificate: /a, privateKey: /b}",
            ),
            "in two ways",
        ),
        (https("['*']", more=", credentialNames: [a]"), "credentialName is here, too"),
        (server("HTTPS", more=", tls: {mode: SIMPLE, credentialNames: [a, b, c]}"), "two at most"),
        (
            server("HTTPS", more=", tls: {mode: ISTIO_MUTUAL, credentialName: c}"),
            "uses the certificate of the mesh",
        ),
        (server("HTTPS", more=", tls: {mode: SOMETIMES}"), "'SOMETIMES' is not supported"),
        (https("['*']", more=", subjectAltNames: [a]"), "Envoy refuses the whole port"),
        (https("['*']", credential="sds://x"), "only the Secrets of a cluster"),
        (https("['*']", credential="other/door-tls"), "write the bare name"),
        (
            https("['*']", more=", caCertCredentialName: clients").replace("SIMPLE", "MUTUAL"),
            "ends with -cacert",
        ),
        (https("['*']", more=", minProtocolVersion: TLSV2"), "'TLSV2' is not supported"),
        (https("['*']", more=", shiny: true"), "this field is not known"),
        ("{port: {number: 80, name: x, protocol: HTTP}}", "hosts: missing"),
        (server(hosts="[]"), "hosts: an empty list"),
        (server(hosts="[a.*]"), "hosts[0]: 'a.*' is not a host"),
        (server(hosts="['*a.example']"), "is not a host"),
        (server(hosts="[cart]"), "'cart' is a short name"),
        (server(hosts="[/a.example]"), "write namespace/host"),
        (server(hosts="[a.b/a.example]"), "write namespace/host"),
        (server(hosts="['*/*', ./a.example]"), "hosts[1]: istiod crashes on it"),
        (server(more=", bind: 127.0.0.1"), "bind: '127.0.0.1'"),
        (f"{server()}, {server(port=81)}", "another port is called 'x'"),
        (
            "{port: {number: 80, name: x, protocol: HTTP, targetPort: 1}, hosts: ['*']}",
            "Service's targetPort",
        ),
        (server(port=0), "from 1 to 65535"),
        ("{port: {number: 80, protocol: HTTP}, hosts: ['*']}", "name: missing"),
    ],
)
def test_a_server_that_istio_refuses_or_that_cannot_be_played_is_refused(
    small: SmallMesh, servers: str, says: str
) -> None:
    assert says in small.refusal(gateway(servers))


def test_a_gateway_is_named_by_one_label(small: SmallMesh) -> None:
    assert "metadata.name: Istio takes" in small.refusal(gateway(HTTP, name="a.b"))


@pytest.mark.parametrize(
    ("servers", "says"),
    [
        (server(port=81), "no Service of edge/door has port 81"),
        (server(more=", defaultEndpoint: x"), "Istio does not implement it"),
        (https("['*']", more=", cipherSuites: [RC4-MD5]"), "'RC4-MD5' is no cipher suite; Istio drops it"),
        (https("['*']", more=", caCrl: /a").replace("SIMPLE", "MUTUAL"), "from the Secret alone"),
        (https("['*']").replace("SIMPLE", "PASSTHROUGH"), "mode PASSTHROUGH ignores it"),
        (https("['*']", more=", httpsRedirect: true"), "only a server of protocol HTTP redirects"),
        (
            server(
                "HTTPS",
                more=", tls: {mode: MUTUAL, serverCertificate: /a, privateKey: /b, caCertificates: /c, "
                "verifyCertificateHash: [d]}",
            ),
            "verifyCertificateHash: Istio ignores it",
        ),
        (
            f"{https('[shop/cart.example]')}, {https('[shop/cart.example]', name='b')}",
            "another server of port 8443 has shop/cart.example; Istio drops this one",
        ),
        (
            f"{HTTP}, {server('TCP')}",
            "port 8080 speaks HTTP for Gateway edge/door; Istio drops this one",
        ),
        (server("TCP"), "Istio does not open the port"),
    ],
)
def test_what_istio_accepts_and_does_not_do_is_noted(small: SmallMesh, servers: str, says: str) -> None:
    mesh = small.mesh(gateway(servers))

    assert not mesh.refusals
    assert any(says in str(note) for note in mesh.notes)


def test_a_cipher_that_istio_drops_is_not_given_to_envoy(small: SmallMesh) -> None:
    more = ", cipherSuites: [RC4-MD5, ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256]"
    (chain,) = small.gateway(gateway(https("['*']", more=more))).listener(8443)["filterChains"]

    parameters = chain["transportSocket"]["typedConfig"]["commonTlsContext"]["tlsParams"]
    assert parameters == {"cipherSuites": ["ECDHE-RSA-AES128-GCM-SHA256"]}


def test_the_lab_learns_which_clients_a_server_checks(small: SmallMesh) -> None:
    mutual = https("['*/cart.example']", more=", caCertCredentialName: partners-cacert")
    files = "{mode: OPTIONAL_MUTUAL, serverCertificate: /c/tls.crt, privateKey: /c/key, caCertificates: /c/ca.crt}"
    servers = ", ".join(
        (
            mutual.replace("SIMPLE", "MUTUAL"),
            https("['*/a.example']", name="a", credential="both").replace("SIMPLE", "MUTUAL"),
            server("HTTPS", port=443, more=f", tls: {files}", hosts="[b.example]"),
            server("HTTPS", port=444, more=", tls: {mode: ISTIO_MUTUAL}").replace("name: x", "name: w"),
        )
    )

    assert small.mesh(gateway(servers)).credentials == (
        Credential("edge", "door-tls", ("cart.example",)),
        Credential("edge", "partners", (), certificate=False, client_ca=True),
        Credential("edge", "both", ("a.example",), client_ca=True),
        Credential("edge", "/c/tls.crt", ("b.example",)),
        Credential("edge", "/c/ca.crt", (), certificate=False, client_ca=True),
    )


def test_a_number_of_trusted_proxies_counts_at_gateways_alone(small: SmallMesh) -> None:
    mesh = small.mesh(
        settings=MeshSettings(num_trusted_proxies=2, path_normalization="DECODE_AND_MERGE_SLASHES")
    )
    at_gateway = small.compiled(small.gateway_ref, mesh).manager(8443)
    at_sidecar = small.compiled(small.app_ref, mesh).manager(8080)

    assert at_gateway["xffNumTrustedHops"] == 2
    assert "xffNumTrustedHops" not in at_sidecar
    for manager in (at_gateway, at_sidecar):
        assert (manager["normalizePath"], manager["mergeSlashes"]) == (True, True)
        assert manager["pathWithEscapedSlashesAction"] == "UNESCAPE_AND_FORWARD"


BEHIND = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: door, namespace: edge}
spec:
  template:
    metadata:
      labels: {app: door}
      annotations:
        inject.istio.io/templates: gateway
        proxy.istio.io/config: CONFIG
    spec: {serviceAccountName: door, containers: [{name: istio-proxy, image: auto}]}
"""


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("gatewayTopology: {numTrustedProxies: 1}", (1, "ALWAYS_FORWARD_ONLY", {})),
        ("gatewayTopology: {numTrustedProxies: 0}", (None, "ALWAYS_FORWARD_ONLY", {})),
        (
            "gatewayTopology: {forwardClientCertDetails: APPEND_FORWARD}",
            (2, "APPEND_FORWARD", {"subject": True, "uri": True, "dns": True, "cert": True}),
        ),
        ("concurrency: 1", (2, "ALWAYS_FORWARD_ONLY", {})),
    ],
)
def test_the_annotation_of_a_gateway_counts_before_the_settings_of_the_mesh(
    small: SmallMesh, config: str, expected: tuple[int | None, str, dict[str, bool]]
) -> None:
    settings = MeshSettings(num_trusted_proxies=2, forwarded_certificate="ALWAYS_FORWARD_ONLY")
    mesh = small.mesh(BEHIND.replace("CONFIG", f'"{config}"'), settings=settings)
    manager = small.compiled(small.gateway_ref, mesh).manager(8443)

    found = (
        manager.get("xffNumTrustedHops"),
        manager["forwardClientCertDetails"],
        manager["setCurrentClientCertDetails"],
    )
    assert found == expected


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("gatewayTopology: {numTrustedProxies: -1}", "a whole number from 0 to 4294967295, found -1"),
        ("gatewayTopology: {proxyProtocol: {}}", "the PROXY protocol at gateways is not built"),
        ("gatewayTopology: {forwardClientCertDetails: NEVER}", "'NEVER' is not supported"),
        ("proxyMetadata: {ISTIO_META_HTTP10: '1'}", "does not know what this changes"),
        ("runtimeValues: {a: b}", "Envoy's runtime is not built"),
        ("shiny: true", "this field is not known"),
    ],
)
def test_an_annotation_that_changes_what_is_not_known_is_refused(
    small: SmallMesh, config: str, says: str
) -> None:
    assert says in small.refusal(BEHIND.replace("CONFIG", f'"{config}"'))
