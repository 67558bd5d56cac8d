"""Gateways of the Gateway API: the pods and ports behind them, and the TLS of their listeners."""

from __future__ import annotations

import pytest
from meshlab.istio import SecretSocket, WorkloadPort, WorkloadRef

from tests.lab.istio.conftest import JWKS
from tests.lab.istio.gateway_api import (
    BASE,
    DOOR,
    WEB,
    gateway,
    gateways,
    grant,
    load,
    notes,
    refusals,
    route,
)

HTTPS = "{{name: secure, port: 443, protocol: HTTPS, hostname: cart.example, tls: {tls}}}"
CERT = "certificateRefs: [{name: cert}]"


def https(tls: str = f"{{{CERT}}}", more: str = "") -> str:
    return gateway(HTTPS.format(tls=tls), more=more)


def test_istio_makes_a_deployment_and_a_service_for_a_gateway() -> None:
    mesh = load(gateway(WEB, HTTPS.format(tls=f"{{{CERT}}}")))
    door = mesh.workload(DOOR)

    assert (door.proxy, door.service_account, door.assumed) == ("gateway", "door-istio", False)
    assert door.labels["gateway.networking.k8s.io/gateway-name"] == "door"
    assert door.ports == (WorkloadPort(80, "http"), WorkloadPort(443, "https"))
    (service,) = mesh.services_of(door)
    assert (service.hostname, service.namespace) == ("door-istio.infra.svc.cluster.local", "infra")
    # The ports of the listeners, as they are, and the one for the health of the pod.
    assert {port.number: port.target for port in service.ports} == {15021: 15021, 80: 80, 443: 443}
    assert refusals(mesh) == ""
    assert notes(mesh) == ""


def test_names_can_be_chosen_by_annotations() -> None:
    annotations = "gateway.istio.io/name-override: front, gateway.istio.io/service-account: frontier"
    mesh = load(gateway(metadata=f", annotations: {{{annotations}}}"), route())
    front = mesh.workload(WorkloadRef("infra", "front"))

    assert front.service_account == "frontier"
    assert [service.name for service in mesh.services_of(front)] == ["front"]


@pytest.mark.parametrize(
    ("written", "label"),
    [
        (", labels: {tier: edge}", "edge"),
        (", labels: {tier: edge}|, infrastructure: {labels: {tier: other}}", "other"),
        (", labels: {tier: edge}|, infrastructure: {labels: {}}", None),
    ],
)
def test_the_pods_get_the_labels_of_the_infrastructure_or_else_of_the_gateway(
    written: str, label: str | None
) -> None:
    metadata, _, more = written.partition("|")
    mesh = load(gateway(metadata=metadata, more=more))

    assert mesh.workload(DOOR).labels.get("tier") == label


def test_a_deployment_that_is_exported_with_the_gateway_is_not_made_twice() -> None:
    exported = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: door-istio, namespace: infra}
spec:
  template:
    metadata: {labels: {gateway.networking.k8s.io/gateway-name: door, tier: real}}
    spec:
      serviceAccountName: door-istio
      containers: [{name: istio-proxy, args: [proxy, router]}]
"""
    mesh = load(gateway(), exported)

    assert mesh.workload(DOOR).labels["tier"] == "real"
    assert mesh.workload(DOOR).ports == (WorkloadPort(80, "http"),)


def test_parameters_for_the_deployment_are_refused_unless_they_are_known_to_be_harmless() -> None:
    more = ", infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: options}}"
    options = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: options, namespace: infra}\ndata: {%s: ''}"

    assert "parametersRef: what it changes of the gateway's Deployment" in refusals(load(gateway(more=more)))
    assert "parametersRef" in refusals(load(gateway(more=more), options % "deployment"))
    assert refusals(load(gateway(more=more), options % "horizontalPodAutoscaler")) == ""
    # Where Istio makes no Deployment there is nothing to change.
    assert refusals(load(gateway(more=f"{more}, addresses: [{{type: Hostname, value: front}}]"), OWN)) == ""


def test_defaults_of_a_class_are_refused_like_parameters() -> None:
    defaults = """
apiVersion: v1
kind: ConfigMap
metadata: {name: defaults, namespace: istio-system, labels: {gateway.istio.io/defaults-for-class: CLASS}}
data: {KEY: ''}
"""

    def refused(class_: str, key: str) -> str:
        return refusals(load(gateway(), defaults.replace("CLASS", class_).replace("KEY", key)))

    assert "ConfigMap istio-system/defaults: what it changes of the gateway's Deployment" in refused(
        "istio", "service"
    )
    assert refused("istio", "podDisruptionBudget") == ""
    assert refused("other", "service") == ""


OWN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: infra}
spec:
  template:
    metadata: {labels: {app: front}}
    spec: {serviceAccountName: front, containers: [{name: istio-proxy, args: [proxy, router]}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: front, namespace: infra}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: infra}
spec: {selector: {app: front}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""


@pytest.mark.parametrize("value", ["front", "front.infra.svc.cluster.local"])
def test_a_gateway_can_name_a_service_of_its_own(value: str) -> None:
    second = "{name: more, port: 81, protocol: HTTP}"
    mesh = load(gateway(WEB, second, more=f", addresses: [{{type: Hostname, value: {value}}}]"), OWN, route())

    front = mesh.workload(WorkloadRef("infra", "front"))
    assert front.ports == (WorkloadPort(8080, "http"),)
    assert [str(workload.ref) for workload in mesh.workloads if workload.is_gateway] == ["infra/front"]
    # Only the ports of the Service lead to its pods.
    assert "spec.listeners[1].port: Service front has no port 81, so the listener is not served." in notes(
        mesh
    )


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        ("[{type: Hostname, value: gone}]", "namespace infra has no Service gone.infra.svc.cluster.local"),
        (
            "[{type: Hostname, value: cart.shop.svc.cluster.local}]",
            "namespace infra has no Service cart.shop",
        ),
        ("[{type: NamedAddress, value: x}]", "Istio knows addresses of type Hostname alone."),
    ],
)
def test_a_gateway_that_names_no_service_of_its_namespace_is_not_served(addresses: str, said: str) -> None:
    mesh = load(gateway(more=f", addresses: {addresses}"), route())

    assert said in notes(mesh)
    assert [workload for workload in mesh.workloads if workload.is_gateway] == []


def test_an_ip_address_asks_for_a_load_balancer_and_changes_nothing_else() -> None:
    assert load(gateway(more=", addresses: [{value: 192.0.2.1}]")).workload(DOOR).is_gateway


def test_the_gateway_of_istios_installation_is_assumed_where_a_gateway_names_it() -> None:
    text = gateway(more=", addresses: [{type: Hostname, value: istio-ingressgateway}]").replace(
        "namespace: infra", "namespace: istio-system"
    )
    mesh = load(text)
    ref = WorkloadRef("istio-system", "istio-ingressgateway")

    assert mesh.workload(ref).assumed
    assert mesh.workload(ref).ports == (WorkloadPort(8080, "http"),)
    assert "spec.addresses: selects no workload of the manifests; the gateway" in notes(mesh)


def test_gateways_of_other_namespaces_do_not_get_at_the_pods_that_istio_makes() -> None:
    theirs = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: theirs, namespace: shop}
spec:
  selector: {gateway.networking.k8s.io/gateway-name: door}
  servers: [{port: {number: 8888, name: http, protocol: HTTP}, hosts: ['*']}]
"""
    mesh = load(gateway(), theirs)
    own = load(gateway(), theirs.replace("namespace: shop", "namespace: infra"))

    assert [port.number for port in mesh.workload(DOOR).ports] == [80]
    assert [port.number for port in own.workload(DOOR).ports] == [80, 8888]


def test_listeners_of_one_port_and_host_conflict() -> None:
    mesh = load(
        gateway(
            "{name: a, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: cert}]}}",
            "{name: b, port: 443, protocol: TLS, hostname: a.example, tls: {mode: Passthrough}}",
            "{name: c, port: 443, protocol: TLS, hostname: b.example, tls: {mode: Passthrough}}",
            "{name: d, port: 443, protocol: TCP}",
        )
    )

    assert list(gateways(mesh)) == ["a", "c"]
    assert "spec.listeners[1]: conflicts with listener a; Istio leaves it out." in notes(mesh)
    assert "spec.listeners[3]: conflicts with listener a; Istio leaves it out." in notes(mesh)


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        ("{name: web, port: 80, protocol: UDP}", "Istio does not serve protocol UDP."),
        (
            "{name: web, port: 80, protocol: http}",
            "does not serve protocol http; write it in capital letters.",
        ),
        ("{name: web, port: 80, protocol: HTTPS}", "tls: missing; Istio does not serve the listener."),
    ],
)
def test_a_listener_that_istio_cannot_serve_is_left_out(listener: str, said: str) -> None:
    mesh = load(gateway(listener))

    assert said in notes(mesh)
    assert mesh.gateways == ()


@pytest.mark.parametrize(
    ("tls", "mode", "credentials"),
    [
        (f"{{{CERT}}}", "SIMPLE", ("kubernetes-gateway://infra/cert",)),
        (
            "{certificateRefs: [{name: cert}, {name: more}]}",
            "SIMPLE",
            ("kubernetes-gateway://infra/cert", "kubernetes-gateway://infra/more"),
        ),
        (
            f"{{{CERT}, options: {{gateway.istio.io/tls-terminate-mode: MUTUAL}}}}",
            "MUTUAL",
            ("kubernetes-gateway://infra/cert",),
        ),
        (
            f"{{{CERT}, options: {{gateway.istio.io/tls-terminate-mode: OPTIONAL_MUTUAL}}}}",
            "OPTIONAL_MUTUAL",
            ("kubernetes-gateway://infra/cert",),
        ),
        ("{options: {gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL}}", "ISTIO_MUTUAL", ()),
        ("{options: {gateway.istio.io/tls-terminate-mode: ISTIO_SIMPLE}}", "SIMPLE", ("builtin://",)),
    ],
)
def test_the_certificate_of_a_listener_is_a_secret_or_the_workloads_own(
    tls: str, mode: str, credentials: tuple[str, ...]
) -> None:
    (server,) = gateways(load(https(tls)))["secure"].servers

    assert server.tls is not None
    assert (server.tls.mode, server.tls.credentials) == (mode, credentials)


def test_the_workloads_own_certificate_needs_no_secret() -> None:
    mesh = load(https("{options: {gateway.istio.io/tls-terminate-mode: ISTIO_SIMPLE}}"))

    assert mesh.credentials == ()


def test_the_credential_is_good_for_the_host_of_the_listener() -> None:
    (credential,) = load(https()).credentials

    assert (credential.namespace, credential.name, credential.hosts) == ("infra", "cert", ("cart.example",))


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ("{certificateRefs: [{kind: Blob, group: a.example, name: b}]}", "a.example/Blob is no Secret."),
        ("{certificateRefs: [{name: a}, {name: b}, {name: c}]}", "Istio takes 2 certificates at most."),
        (
            "{certificateRefs: [{name: cert, namespace: shop}]}",
            "no ReferenceGrant in shop lets Gateways of infra use it.",
        ),
        ("{options: {gateway.istio.io/tls-terminate-mode: MUTUAL}}", "there is no certificate."),
    ],
)
def test_a_certificate_that_cannot_be_used_costs_the_listener(tls: str, said: str) -> None:
    mesh = load(https(tls), route())

    assert f"{said} Istio does not serve the listener." in notes(mesh)
    assert mesh.gateways == ()
    assert mesh.workload(DOOR).ports == ()


def test_a_certificate_of_another_namespace_needs_a_grant() -> None:
    allowed = grant(source="Gateway", source_namespace="infra", namespace="shop", target="kind: Secret")
    (server,) = gateways(load(https("{certificateRefs: [{name: cert, namespace: shop}]}"), allowed))[
        "secure"
    ].servers

    assert server.tls is not None
    assert server.tls.credentials == ("kubernetes-gateway://shop/cert",)


def test_of_two_certificates_the_one_that_can_be_used_counts() -> None:
    mesh = load(https("{certificateRefs: [{name: cert, namespace: shop}, {name: cert}]}"))
    (server,) = gateways(mesh)["secure"].servers

    assert server.tls is not None
    assert server.tls.credentials == ("kubernetes-gateway://infra/cert",)
    assert "use it. Istio leaves it out." in notes(mesh)


FRONTEND = ", tls: {frontend: {default: {validation: {caCertificateRefs: [%s]%s}}%s}}"
CA = "{group: '', kind: ConfigMap, name: ca}"


@pytest.mark.parametrize(
    ("frontend", "mode", "authority", "skip"),
    [
        (FRONTEND % (CA, "", ""), "MUTUAL", "configmap://infra/ca-cacert", False),
        (
            FRONTEND % ("{group: '', kind: Secret, name: ca}", "", ""),
            "MUTUAL",
            "kubernetes-gateway://infra/ca-cacert",
            False,
        ),
        (
            FRONTEND % (CA, ", mode: AllowInsecureFallback", ""),
            "OPTIONAL_MUTUAL",
            "configmap://infra/ca-cacert",
            True,
        ),
        (FRONTEND % (CA, "", ", perPort: [{port: 443, tls: {}}]"), "SIMPLE", "", False),
        (
            FRONTEND % (CA, "", ", perPort: [{port: 444, tls: {}}]"),
            "MUTUAL",
            "configmap://infra/ca-cacert",
            False,
        ),
        (", tls: {frontend: {default: {}}}", "SIMPLE", "", False),
    ],
)
def test_a_gateway_can_ask_its_clients_for_certificates(
    frontend: str, mode: str, authority: str, skip: bool
) -> None:
    (server,) = gateways(load(https(more=frontend)))["secure"].servers

    assert server.tls is not None
    assert (server.tls.mode, server.tls.ca_credential, server.tls.skip_verify) == (mode, authority, skip)


@pytest.mark.parametrize(
    ("authorities", "said"),
    [
        (f"{CA}, {CA.replace('ca}', 'more}')}", "Istio takes one CA."),
        ("{group: '', kind: Service, name: ca}", "Service is neither ConfigMap nor Secret."),
        (CA.replace("}", ", namespace: shop}"), "no ReferenceGrant in shop lets Gateways of infra use it."),
    ],
)
def test_a_ca_that_cannot_be_used_costs_the_listener(authorities: str, said: str) -> None:
    mesh = load(https(more=FRONTEND % (authorities, "", "")))

    assert f"{said} Istio does not serve the listener." in notes(mesh)
    assert mesh.gateways == ()


@pytest.mark.parametrize(("name", "served"), [("", True), (", name: ca-cacert", True), (", name: ca", False)])
def test_istio_looks_for_the_grant_of_a_ca_under_another_name(name: str, served: bool) -> None:
    allowed = grant(
        source="Gateway", source_namespace="infra", namespace="shop", target=f"kind: ConfigMap{name}"
    )
    mesh = load(https(more=FRONTEND % (CA.replace("}", ", namespace: shop}"), "", "")), allowed)

    assert bool(mesh.gateways) is served


def test_ciphers_that_istio_does_not_have_are_dropped() -> None:
    mesh = load(https(f"{{{CERT}, options: {{gateway.istio.io/tls-cipher-suites: 'AES128-SHA, NO-SUCH'}}}}"))
    (server,) = gateways(mesh)["secure"].servers

    assert server.tls is not None
    assert server.tls.ciphers == ("AES128-SHA",)
    assert "'NO-SUCH' is no cipher suite; Istio drops it." in notes(mesh)


def test_connections_of_other_networks_come_in_by_label_or_option() -> None:
    passing = "{{name: cross, port: {port}, protocol: TLS, tls: {{mode: Passthrough{options}}}}}"
    label = ", labels: {topology.istio.io/network: one}"
    option = ", options: {gateway.istio.io/listener-protocol: auto-passthrough}"

    def mode(port: int, options: str = "", metadata: str = "") -> str:
        text = gateway(passing.format(port=port, options=options), metadata=metadata)
        (server,) = gateways(load(text))["cross"].servers
        assert server.tls is not None
        return server.tls.mode

    assert mode(15443) == "PASSTHROUGH"
    assert mode(15443, metadata=label) == "AUTO_PASSTHROUGH"
    assert mode(8443, metadata=label) == "PASSTHROUGH"
    assert mode(8443, options=option) == "AUTO_PASSTHROUGH"


def test_a_policy_attaches_to_the_pods_of_a_gateway() -> None:
    policy = f"""
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens, namespace: infra}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: NAME}}]
  jwtRules: [{{issuer: "https://idp.example", jwks: '{JWKS}'}}]
"""
    mesh = load(gateway(), gateway(name="side"), policy.replace("NAME", "door"))

    def reached(name: str) -> int:
        return len(mesh.attached_to(mesh.workload(WorkloadRef("infra", name)), mesh.request_authentications))

    assert (reached("door-istio"), reached("side-istio")) == (1, 0)


def test_a_certificate_towards_backends_is_not_used_and_that_is_said() -> None:
    mesh = load(gateway(more=", tls: {backend: {clientCertificateRef: {name: own}}}"))

    assert "spec.tls.backend: Istio checks it and does not use it" in notes(mesh)


def test_the_base_of_these_tests_has_nothing_to_say() -> None:
    mesh = load(base=BASE)

    assert (refusals(mesh), notes(mesh)) == ("", "")
    assert SecretSocket().path


MADE = """
apiVersion: v1
kind: Service
metadata:
  name: door-istio
  namespace: infra
  labels: {gateway.istio.io/managed: istio.io-gateway-controller, gateway.networking.k8s.io/gateway-name: door}
  annotations: {networking.istio.io/traffic-distribution: PreferClose}
spec:
  selector: {gateway.networking.k8s.io/gateway-name: door}
  ports: [{name: web, port: 80, appProtocol: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: door-istio, namespace: infra, annotations: {gateway.istio.io/controller-version: "5"}}
spec:
  template:
    metadata:
      labels:
        gateway.istio.io/managed: istio.io-gateway-controller
        gateway.networking.k8s.io/gateway-name: door
        istio.io/dataplane-mode: none
        sidecar.istio.io/inject: "false"
    spec:
      serviceAccountName: door-istio
      containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router]}]
"""


def test_what_istiod_made_for_a_gateway_is_read_where_a_cluster_exports_it() -> None:
    made, exported = load(gateway(), route()), load(gateway(), route(), MADE)

    assert exported.refusals == ()
    for mesh in (made, exported):
        door = mesh.workload(DOOR)
        assert (door.is_gateway, door.service_account) == (True, "door-istio")
        assert [port.number for port in mesh.gateway_ports(door).ports] == [80]
