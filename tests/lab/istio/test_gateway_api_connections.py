"""TLSRoutes, TCPRoutes and BackendTLSPolicies: where connections go, and under which TLS."""

from __future__ import annotations

import pytest

from tests.lab.istio.gateway_api import ALL, gateway, grant, load, notes, refusals, route

TCP = f"{{name: tcp, port: 90, protocol: TCP, {ALL}}}"
TO_CART = "[{backendRefs: [{name: cart, port: 90}]}]"


def passed(hostname: str = "") -> str:
    host = f", hostname: {hostname}" if hostname else ""
    return f"{{name: passed, port: 443, protocol: TLS, tls: {{mode: Passthrough}}, {ALL}{host}}}"


def tls_route(rules: str = TO_CART, *, hosts: str = "[cart.example]", version: str = "v1") -> str:
    return route(rules, kind="TLSRoute", hosts=hosts, version=version)


def tcp_route(rules: str = TO_CART) -> str:
    return route(rules, kind="TCPRoute", hosts="")


def test_a_tls_route_chooses_by_the_name_that_clients_ask_for() -> None:
    mesh = load(gateway(passed()), tls_route(hosts="[cart.example, '*.cart.example']"))

    assert [service.hosts for service in mesh.virtual_services] == [("cart.example",), ("*.cart.example",)]
    for service in mesh.virtual_services:
        (rule,) = service.tls
        assert rule.matches[0].sni_hosts == ("cart.example", "*.cart.example")
        assert rule.destinations[0].destination.host == "cart.shop.svc.cluster.local"


def test_a_tls_route_is_narrowed_to_the_host_of_the_listener() -> None:
    mesh = load(gateway(passed("'*.cart.example'")), tls_route(hosts="['*.example', other.test]"))
    (service,) = mesh.virtual_services

    assert service.hosts == ("*.cart.example",)
    assert service.tls[0].matches[0].sni_hosts == ("*.cart.example",)


def test_an_older_tls_route_may_name_no_host() -> None:
    mesh = load(gateway(passed()), tls_route(hosts="", version="v1alpha2"))
    current = load(gateway(passed()), tls_route(hosts=""))

    assert mesh.virtual_services[0].hosts == ("*",)
    assert "spec.hostnames: missing; name the servers that clients ask for." in refusals(current)


def test_a_tls_listener_that_ends_tls_takes_tcp_routes_too() -> None:
    ended = f"{{name: ended, port: 443, protocol: TLS, tls: {{certificateRefs: [{{name: cert}}]}}, {ALL}}}"

    assert len(load(gateway(ended), tcp_route()).virtual_services) == 1
    assert len(load(gateway(passed()), tcp_route()).virtual_services) == 0


def test_a_tcp_route_takes_every_connection_of_its_listener() -> None:
    (service,) = load(gateway(TCP), tcp_route()).virtual_services

    assert (service.hosts, service.tcp[0].matches) == (("*",), ())
    assert service.tcp[0].destinations[0].destination.port == 90


@pytest.mark.parametrize(("kind", "listener"), [("TCPRoute", TCP), ("TLSRoute", passed())])
def test_connections_without_a_backend_that_can_be_used_are_closed(kind: str, listener: str) -> None:
    hosts = "[cart.example]" if kind == "TLSRoute" else ""
    other = "[{backendRefs: [{name: items, namespace: stock, port: 80}]}]"
    mesh = load(gateway(listener), route(other, kind=kind, hosts=hosts))
    granted = load(gateway(listener), route(other, kind=kind, hosts=hosts), grant(source=kind))
    nothing = load(
        gateway(listener),
        route("[{backendRefs: [{name: cart, port: 90, weight: 0}]}]", kind=kind, hosts=hosts),
    )

    def host(found: object) -> str:
        (service,) = found.virtual_services  # type: ignore[attr-defined]
        (rule,) = service.tls or service.tcp
        name: str = rule.destinations[0].destination.host
        return name

    assert f"lets {kind}s of shop use it; its connections are closed." in notes(mesh)
    assert (host(mesh), host(granted), host(nothing)) == (
        "",
        "items.stock.svc.cluster.local",
        "internal.cluster.local",
    )


POLICY = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: %s, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: cart%s}]
  validation: {hostname: cart.internal, %s}
"""
SYSTEM = "wellKnownCACertificates: System"
NAMES = ", subjectAltNames: [{type: Hostname, hostname: a.internal}, {type: URI, uri: 'spiffe://b/c'}]"
CA = "caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca, namespace: shop}\ndata: {%s: x}"


def test_a_policy_towards_a_backend_is_tls_with_a_name_and_a_ca() -> None:
    mesh = load(POLICY % ("tls", "", CA + NAMES), CONFIG_MAP % "ca.crt")
    (rule,) = mesh.destination_rules

    assert (rule.host, rule.namespace) == ("cart.shop.svc.cluster.local", "shop")
    assert rule.policy is not None
    tls = rule.policy.tls
    assert tls is not None
    assert (tls.mode, tls.sni, tls.credential_name) == ("SIMPLE", "cart.internal", "configmap://shop/ca")
    assert tls.subject_alt_names == ("a.internal", "spiffe://b/c")
    assert notes(mesh) == ""


def test_istio_does_not_compare_the_certificate_with_the_hostname_and_that_is_said() -> None:
    mesh = load(POLICY % ("tls", "", SYSTEM))
    (rule,) = mesh.destination_rules

    assert rule.policy is not None
    assert rule.policy.tls is not None
    assert (rule.policy.tls.credential_name, rule.policy.tls.subject_alt_names) == ("", ())
    assert "spec.validation.hostname: Istio asks for this name and does not compare" in notes(mesh)


def test_a_policy_can_be_for_one_port() -> None:
    mesh = load(POLICY % ("tls", ", sectionName: tcp", SYSTEM))
    (rule,) = mesh.destination_rules
    gone = load(POLICY % ("tls", ", sectionName: gone", SYSTEM))

    assert rule.policy is not None
    assert rule.policy.tls is None
    assert list(rule.policy.ports) == [90]
    assert gone.destination_rules == ()
    assert (
        "sectionName: Service shop/cart has no port of that name; the policy has no effect there."
        in notes(gone)
    )


@pytest.mark.parametrize(
    ("ca", "config_map", "said"),
    [
        (
            CA,
            CONFIG_MAP % "other.crt",
            "ConfigMap shop/ca has no ca.crt; gateways send nothing to the backend",
        ),
        (
            CA.replace("ConfigMap", "Secret"),
            "",
            "Secret is no ConfigMap; gateways send nothing to the backend",
        ),
    ],
)
def test_without_its_ca_nothing_is_sent_to_a_backend(ca: str, config_map: str, said: str) -> None:
    mesh = load(*filter(None, [POLICY % ("tls", "", ca), config_map]))
    (rule,) = mesh.destination_rules

    assert rule.policy is not None
    assert rule.policy.tls is not None
    assert rule.policy.tls.credential_name == "invalid://"
    assert said in notes(mesh)


def test_of_two_policies_for_a_backend_the_first_by_name_counts() -> None:
    mesh = load(POLICY % ("b", "", CA), POLICY % ("a", "", SYSTEM))
    (rule,) = mesh.destination_rules

    assert rule.policy is not None
    assert rule.policy.tls is not None
    assert rule.policy.tls.credential_name == ""
    assert (
        "BackendTLSPolicy shop/b: spec.targetRefs[0]: an older BackendTLSPolicy is for Service shop/cart"
        in notes(mesh)
    )


def test_a_policy_for_nothing_and_one_that_istio_ignores_are_noted() -> None:
    ignored = (POLICY % ("tls", "", SYSTEM)).replace(
        "namespace: shop}", "namespace: shop, annotations: {istio.io/ignore-policy-attachment: 'true'}}"
    )
    mesh = load((POLICY % ("tls", "", SYSTEM)).replace("name: cart", "name: gone"))

    assert "there is no Service shop/gone; the policy has no effect there." in notes(mesh)
    assert "an annotation makes Istio ignore it." in notes(load(ignored))
    assert load(ignored).destination_rules == ()


def test_a_policy_for_a_service_entry_is_for_all_of_its_hosts() -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [a.test, b.test], ports: [{number: 443, name: https, protocol: HTTPS}], resolution: DNS}
"""
    policy = (POLICY % ("tls", "", SYSTEM)).replace(
        "group: '', kind: Service, name: cart", "group: networking.istio.io, kind: ServiceEntry, name: api"
    )

    assert [rule.host for rule in load(policy, entry).destination_rules] == ["a.test", "b.test"]
