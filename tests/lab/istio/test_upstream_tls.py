"""TLS of clusters: who is expected at the other end, which name is asked for, and what is shown."""

from __future__ import annotations

import pytest
from meshlab.istio.read.mesh_config import MeshSettings

from tests.lab.istio.outbound_side import OutboundSide
from tests.lab.istio.sidecar_walks import namespace, service, workload
from tests.lab.istio.test_visibility import cluster, entry, rule

CART = "spiffe://cluster.local/ns/shop/sa/cart"
BASE = (
    namespace("shop"),
    workload("shop/client"),
    workload("shop/cart", {"version": "v1"}),
    service("shop/cart", "http:80:8080"),
)
ROUTER = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def tls(setting: str, host: str = "cart", more: str = "") -> str:
    return rule("it", f"{{host: {host}, trafficPolicy: {{tls: {setting}}}{more}}}")


def mode(setting: str, namespace: str = "shop", selector: str = "") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: {namespace}}}
spec: {{mtls: {{mode: {setting}}}{selector}}}
"""


def marks(side: OutboundSide, name: str) -> list[bool]:
    """Whether each server of a cluster is marked as one that takes mutual TLS."""
    (locality,) = side.clusters[name]["loadAssignment"]["endpoints"]
    return ["metadata" in endpoint for endpoint in locality["lbEndpoints"]]


def automatic(side: OutboundSide, name: str) -> dict[str, bool]:
    """What of the server name is taken from each request."""
    options = side.clusters[name]["typedExtensionProtocolOptions"][ROUTER]
    found: dict[str, bool] = options.get("upstreamHttpProtocolOptions", {})
    return found


def test_mutual_tls_is_chosen_by_server_and_expects_the_accounts_of_the_service() -> None:
    side = OutboundSide(*BASE)
    found = side.clusters[cluster("cart")]
    assert [match["match"] for match in found["transportSocketMatches"]] == [{"tlsMode": "istio"}, {}]
    assert marks(side, cluster("cart")) == [True]
    assert side.names(cluster("cart")) == {CART}
    assert side.socket(cluster("cart"))["sni"] == "outbound_.80_._.cart.shop.svc.cluster.local"


def test_no_mutual_tls_is_chosen_where_the_mesh_turns_it_off() -> None:
    side = OutboundSide(*BASE, settings=MeshSettings(enable_auto_mtls=False))
    assert side.socket(cluster("cart")) == {}


def test_a_server_whose_port_takes_plaintext_alone_gets_plaintext() -> None:
    side = OutboundSide(*BASE, mode("DISABLE", selector=", selector: {matchLabels: {app: cart}}"))
    assert marks(side, cluster("cart")) == [False]
    assert side.socket(cluster("cart")) != {}


def test_no_mutual_tls_is_chosen_for_a_namespace_that_turns_it_off() -> None:
    assert OutboundSide(*BASE, mode("DISABLE")).socket(cluster("cart")) == {}
    assert OutboundSide(*BASE, mode("DISABLE", "istio-system")).socket(cluster("cart")) == {}
    wide = OutboundSide(*BASE, mode("DISABLE", "istio-system"), mode("STRICT"))
    assert wide.socket(cluster("cart")) != {}


@pytest.mark.parametrize("setting", ["STRICT", "PERMISSIVE"])
def test_it_is_chosen_wherever_it_is_taken(setting: str) -> None:
    assert marks(OutboundSide(*BASE, mode(setting)), cluster("cart")) == [True]


def test_a_rule_that_disables_tls_sends_plaintext() -> None:
    assert OutboundSide(*BASE, tls("{mode: DISABLE}")).socket(cluster("cart")) == {}


def test_a_rule_that_asks_for_mutual_tls_sends_it_to_every_server() -> None:
    side = OutboundSide(*BASE, tls("{mode: ISTIO_MUTUAL}"))
    assert "transportSocketMatches" not in side.clusters[cluster("cart")]
    assert side.names(cluster("cart")) == {CART}
    assert side.socket(cluster("cart"))["sni"] == "outbound_.80_._.cart.shop.svc.cluster.local"


def test_names_and_server_name_of_such_a_rule_replace_those_of_the_service() -> None:
    side = OutboundSide(*BASE, tls("{mode: ISTIO_MUTUAL, sni: other, subjectAltNames: [spiffe://x]}"))
    assert side.names(cluster("cart")) == {"spiffe://x"}
    assert side.socket(cluster("cart"))["sni"] == "other"


def test_a_subset_has_its_own_servers_server_name_and_policy() -> None:
    more = (
        ", subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}},"
        " {name: plain, trafficPolicy: {tls: {mode: DISABLE}}}]"
    )
    side = OutboundSide(*BASE, tls("{mode: ISTIO_MUTUAL}", more=more))
    assert marks(side, cluster("cart", subset="v1")) == [True]
    assert marks(side, cluster("cart", subset="v2")) == []
    assert side.socket(cluster("cart", subset="v1"))["sni"] == "outbound_.80_.v1_.cart.shop.svc.cluster.local"
    assert side.socket(cluster("cart", subset="plain")) == {}


def test_settings_of_a_port_replace_those_of_the_host_as_a_whole() -> None:
    texts = (*BASE, service("shop/two", "http:80:8080", "http-b:81:8080", app="cart"))
    ruled = rule(
        "two",
        "{host: two, trafficPolicy: {tls: {mode: DISABLE}, portLevelSettings:"
        " [{port: {number: 81}, tls: {mode: ISTIO_MUTUAL}}]}}",
    )
    side = OutboundSide(*texts, ruled)
    assert side.socket(cluster("two", 80)) == {}
    assert side.socket(cluster("two", 81)) != {}


def test_a_port_without_tls_settings_is_chosen_for_and_its_servers_are_those_of_the_host() -> None:
    # Istio's clusters and endpoints disagree here: the cluster chooses, and no server is marked.
    ruled = rule(
        "cart",
        "{host: cart, trafficPolicy: {tls: {mode: DISABLE}, portLevelSettings:"
        " [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}",
    )
    side = OutboundSide(*BASE, ruled)
    assert "transportSocketMatches" in side.clusters[cluster("cart")]
    assert marks(side, cluster("cart")) == [False]


OUTSIDE = "{hosts: [a.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}"
A = "outbound|80||a.example"


def test_no_mutual_tls_is_chosen_for_a_host_outside_of_the_mesh() -> None:
    assert OutboundSide(*BASE, entry("a", OUTSIDE)).socket(A) == {}


def test_a_host_of_the_mesh_beside_kubernetes_gets_it_where_its_server_has_an_account() -> None:
    spec = (
        "{hosts: [a.example], location: MESH_INTERNAL, resolution: STATIC,"
        " ports: [{number: 80, name: http, protocol: HTTP}],"
        " endpoints: [{address: 203.0.113.1, serviceAccount: vm}, {address: 203.0.113.2}]}"
    )
    side = OutboundSide(*BASE, entry("a", spec))
    assert marks(side, A) == [True, False]
    assert side.names(A) == {"spiffe://cluster.local/ns/shop/sa/vm"}


@pytest.mark.parametrize(
    ("setting", "sni", "names", "taken"),
    [
        ("{mode: SIMPLE}", None, set(), {"autoSni": True, "autoSanValidation": True}),
        ("{mode: SIMPLE, sni: b.example}", "b.example", set(), {}),
        ("{mode: SIMPLE, subjectAltNames: [c]}", None, {"c"}, {"autoSni": True}),
        ("{mode: SIMPLE, sni: b, subjectAltNames: [c]}", "b", {"c"}, {}),
        ("{mode: SIMPLE, insecureSkipVerify: true}", None, set(), {"autoSni": True}),
    ],
)
def test_the_name_is_that_of_the_request_and_is_checked_unless_the_rule_says_otherwise(
    setting: str, sni: str | None, names: set[str], taken: dict[str, bool]
) -> None:
    side = OutboundSide(*BASE, entry("a", OUTSIDE), tls(setting, "a.example"))
    assert side.socket(A).get("sni") == sni
    assert side.names(A) == names
    assert automatic(side, A) == taken


def test_a_server_is_checked_with_public_cas_or_a_file_or_a_secret_or_not_at_all() -> None:
    def authority(setting: str, selector: str = "") -> str | None:
        ruled = rule("it", f"{{host: a.example, trafficPolicy: {{tls: {setting}}}{selector}}}")
        context = OutboundSide(*BASE, entry("a", OUTSIDE), ruled).socket(A)
        checks = context["commonTlsContext"].get("combinedValidationContext")
        return str(checks["validationContextSdsSecretConfig"]["name"]) if checks else None

    chosen = ", workloadSelector: {matchLabels: {app: client}}"
    assert authority("{mode: SIMPLE}") == "file-root:system"
    assert authority("{mode: SIMPLE, caCertificates: /etc/ca.pem}") == "file-root:/etc/ca.pem"
    assert authority("{mode: SIMPLE, credentialName: it}", chosen) == "kubernetes://it-cacert"
    assert authority("{mode: SIMPLE, insecureSkipVerify: true}") is None


def test_a_client_shows_the_certificate_of_a_file_or_a_secret() -> None:
    def shown(setting: str, selector: str = "") -> str:
        ruled = rule("it", f"{{host: a.example, trafficPolicy: {{tls: {setting}}}{selector}}}")
        context = OutboundSide(*BASE, entry("a", OUTSIDE), ruled).socket(A)
        (found,) = context["commonTlsContext"]["tlsCertificateSdsSecretConfigs"]
        return str(found["name"])

    files = "{mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem}"
    assert shown(files) == "file-cert:/c.pem~/k.pem"
    chosen = ", workloadSelector: {matchLabels: {app: client}}"
    assert shown("{mode: MUTUAL, credentialName: it}", chosen) == "kubernetes://it"


@pytest.mark.parametrize("setting", ["SIMPLE", "MUTUAL"])
def test_a_secret_for_all_sidecars_of_a_namespace_means_no_tls_at_all(setting: str) -> None:
    # Istio leaves the whole setting out, so that no sidecar waits for a Secret that it may not read.
    side = OutboundSide(
        *BASE, entry("a", OUTSIDE), tls(f"{{mode: {setting}, credentialName: it}}", "a.example")
    )
    assert side.socket(A) == {}


def test_names_of_a_service_entry_are_expected_where_the_rule_has_none() -> None:
    named = OUTSIDE.replace("hosts:", "subjectAltNames: [b.example], hosts:")
    side = OutboundSide(*BASE, entry("a", named), tls("{mode: SIMPLE}", "a.example"))
    assert side.names(A) == {"b.example"}
    assert automatic(side, A) == {"autoSni": True, "autoSanValidation": True}


def test_connections_to_a_headless_service_are_mutual_tls_where_every_pod_takes_it() -> None:
    def socket_of(*texts: str) -> object:
        base = (namespace("shop"), workload("shop/client"), service("shop/db", "tcp:90", clusterIP="None"))
        return OutboundSide(*base, *texts).socket(cluster("db", 90))

    one, other = workload("shop/db-a", {"app": "db"}), workload("shop/db-b", {"app": "db"})
    bare = workload("shop/db-b", {"app": "db"}, sidecar=False)
    assert socket_of(one)
    assert socket_of(one, other)
    assert socket_of(one, bare) == {}
    assert socket_of() == {}


@pytest.mark.parametrize(
    ("port", "setting", "expected"),
    [
        ("http:80", "", "explicitHttpConfig.httpProtocolOptions"),
        ("grpc:80", "", "explicitHttpConfig.http2ProtocolOptions"),
        ("odd:80", "", "useDownstreamProtocolConfig"),
        ("http:80", "h2UpgradePolicy: UPGRADE", "explicitHttpConfig.http2ProtocolOptions"),
        ("tcp:80", "h2UpgradePolicy: UPGRADE", "explicitHttpConfig.http2ProtocolOptions"),
        ("http:80", "useClientProtocol: true", "useDownstreamProtocolConfig"),
        ("http:80", "useClientProtocol: true, h2UpgradePolicy: UPGRADE", "useDownstreamProtocolConfig"),
    ],
)
def test_the_version_of_http_follows_the_port_and_the_rule(port: str, setting: str, expected: str) -> None:
    ruled = rule("it", f"{{host: x, trafficPolicy: {{connectionPool: {{http: {{{setting}}}}}}}}}")
    side = OutboundSide(*BASE, service("shop/x", port, app="cart"), ruled)
    options = side.clusters[cluster("x")]["typedExtensionProtocolOptions"][ROUTER]
    for key in expected.split("."):
        assert key in options
        options = options[key]


def test_the_mesh_upgrades_http_alone_and_a_rule_may_refuse() -> None:
    settings = MeshSettings(h2_upgrade_policy="UPGRADE")
    texts = (*BASE, service("shop/raw", "tcp:80", app="cart"))

    def is_http2(name: str, *more: str) -> bool:
        side = OutboundSide(*texts, *more, settings=settings)
        options = side.clusters[cluster(name)]["typedExtensionProtocolOptions"][ROUTER]
        return "http2ProtocolOptions" in options["explicitHttpConfig"]

    assert is_http2("cart")
    assert not is_http2("raw")
    stays = "{host: cart, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}}"
    assert not is_http2("cart", rule("it", stays))


def test_a_load_balancer_that_passes_through_sends_connections_where_the_client_wanted() -> None:
    side = OutboundSide(
        *BASE, rule("it", "{host: cart, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}")
    )
    (locality,) = side.clusters[cluster("cart")]["loadAssignment"]["endpoints"]
    address = locality["lbEndpoints"][0]["endpoint"]["address"]
    assert address == side.placement.relay.envoy
    assert side.socket(cluster("cart")) != {}
