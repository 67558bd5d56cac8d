"""Rows of the second and the fourth document, an egress gateway for teams, that concern manifests of its mesh."""

from __future__ import annotations

from functools import partial

from tests.infra import test_egress_manifests
from tests.infra.defects.checks import egress, network_policies, newest_versions
from tests.infra.defects.model import Body, Defect, Objects
from tests.infra.networks import test_network_policies
from tests.infra.networks.world import APP_X, APP_Y, GATEWAY, ISTIOD

__all__ = ["DEFECTS"]

_GATEWAY = "Gateway istio-egress/egress"
_POLICY_X = "AuthorizationPolicy istio-egress/egress-team-x"
_DEPLOYMENT = "Deployment istio-egress/istio-egressgateway"
_POD = ("spec", "template", "spec")
_ORIGINATED, _PASSED_THROUGH = 0, 1
"""Servers of the Gateway, and rules of team-x's policy."""

_HTTP = "example.com: GET / is allowed, and leaves as TLS"
_HIGHLY_AVAILABLE = egress(test_egress_manifests.test_the_gateway_is_highly_available, "pod", "objects")
_OWN_NODES = egress(test_egress_manifests.test_the_gateway_runs_on_its_own_nodes_alone, "pod")
_KINDS = egress(test_egress_manifests.test_no_kind_is_used_that_managed_control_planes_lack, "manifests")
_EXPORTS = egress(test_egress_manifests.test_every_object_that_may_be_exported_says_to_whom)
_LEAVES, _ENTERS = (
    partial(network_policies, test_network_policies.test_a_pod_reaches_this_and_nothing_else),
    partial(network_policies, test_network_policies.test_a_pod_is_reached_by_this_and_nothing_else),
)


def _object(kind: str, group: str, spec: Body) -> Body:
    metadata = {"name": "defect", "namespace": "istio-egress"}
    return {"apiVersion": f"{group}/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _open_routes(objects: Objects) -> None:
    for kind in ("ServiceEntry", "VirtualService"):
        objects.remove(f"{kind} team-y/httpbin.org", "spec", "exportTo")
    objects.set("Sidecar team-x/default", "spec", "egress", value=[{"hosts": ["*/*"]}])


def _plaintext_leaves(objects: Objects) -> None:
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    objects.set("ServiceEntry istio-egress/httpbin.org", "spec", "ports", value=[port])
    route = ("spec", "http", 0, "route", 0, "destination", "port")
    objects.set("VirtualService istio-egress/httpbin.org", *route, value={"number": 80})
    objects.drop("DestinationRule istio-egress/httpbin.org")


def _plain_passthrough(objects: Objects) -> None:
    host = "www.wikipedia.org"
    objects.set(_GATEWAY, "spec", "servers", _PASSED_THROUGH, "tls", value={"mode": "PASSTHROUGH"})
    any_source = {"to": [{"operation": {"ports": ["8443"]}}]}
    objects.set(_POLICY_X, "spec", "rules", _PASSED_THROUGH, value=any_source)
    service = f"VirtualService istio-egress/{host}"
    route = objects.get(service)["spec"]["tcp"][0]["route"]
    objects.remove(service, "spec", "tcp")
    match = [{"port": 443, "sniHosts": [host]}]
    objects.set(service, "spec", "tls", value=[{"match": match, "route": route}])


def _no_default_deny(objects: Objects) -> None:
    objects.drop(
        "AuthorizationPolicy istio-system/allow-nothing", "AuthorizationPolicy istio-egress/allow-nothing",
        _POLICY_X, "AuthorizationPolicy istio-egress/egress-team-y",
    )  # fmt: skip


def _any_host(objects: Objects) -> None:
    objects.set(_GATEWAY, "spec", "servers", _PASSED_THROUGH, "hosts", value=["*"])
    objects.remove(_POLICY_X, "spec", "rules", _PASSED_THROUGH, "when")


def _ports_by_protocol(objects: Objects) -> None:
    objects.set("Service istio-egress/istio-egressgateway", "spec", "ports", 0, "name", value="https")


def _rule_of(objects: Objects, name: str, direction: str) -> tuple[str, str, str, int]:
    """Return the only rule of a NetworkPolicy."""
    assert len(objects.get(name)["spec"][direction]) == 1
    return name, "spec", direction, 0


def _both_ranges(objects: Objects) -> None:
    rule = _rule_of(objects, "NetworkPolicy team-x/google-apis", "egress")
    objects.append(*rule, "to", value={"ipBlock": {"cidr": "199.36.153.4/30"}})


def _google_on_every_port(objects: Objects) -> None:
    objects.set(
        *_rule_of(objects, "NetworkPolicy team-x/google-apis", "egress"), "ports", value=[{"protocol": "TCP"}]
    )


def _metadata_of_two_eras(objects: Objects) -> None:
    other = {"ipBlock": {"cidr": "169.254.169.252/32"}}
    rule = {"to": [other], "ports": [{"protocol": "TCP", "port": 988}]}
    objects.append("NetworkPolicy team-x/metadata-server", "spec", "egress", value=rule)


def _metadata_without_ports(objects: Objects) -> None:
    objects.remove(*_rule_of(objects, "NetworkPolicy team-x/metadata-server", "egress"), "ports")


def _dns_to_all_of_kube_system(objects: Objects) -> None:
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    rule = _rule_of(objects, "NetworkPolicy team-x/dns", "egress")
    objects.append(*rule, "to", value={"namespaceSelector": namespace})


def _no_link_local_dns(objects: Objects) -> None:
    rule = _rule_of(objects, "NetworkPolicy team-x/dns", "egress")
    peers = objects.get(rule[0])["spec"]["egress"][0]["to"]
    objects.set(*rule, "to", value=[peer for peer in peers if "ipBlock" not in peer])


def _ingress_by_mistake(objects: Objects) -> None:
    name = "NetworkPolicy team-x/own-namespace"
    objects.remove(name, "spec", "policyTypes")


def _without_network_policies(namespace: str, objects: Objects) -> None:
    objects.drop(*(name for name in objects.names("NetworkPolicy") if f" {namespace}/" in name))


def _control_plane_without_ports(objects: Objects) -> None:
    name = "NetworkPolicy istio-system/istiod"
    objects.remove(name, "spec", "ingress", 0, "ports")


def _gateway_by_service_ports(objects: Objects) -> None:
    rule = _rule_of(objects, "NetworkPolicy istio-egress/teams", "ingress")
    ports = [{"protocol": "TCP", "port": port} for port in (80, 443)]
    objects.set(*rule, "ports", value=ports)


def _pool_by_gkes_label(objects: Objects) -> None:
    terms = (
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    )
    place = (*_POD, *terms, 0, "matchExpressions", 0, "key")
    objects.set(_DEPLOYMENT, *place, value="cloud.google.com/gke-nodepool")


def _toleration_of_everything(objects: Objects) -> None:
    objects.set(_DEPLOYMENT, *_POD, "tolerations", value=[{"operator": "Exists"}])


def _google_for_every_team(objects: Objects) -> None:
    for name in ("google-apis", "metadata-server"):
        objects.remove(f"ServiceEntry team-x/{name}", "spec", "exportTo")
    objects.append("Sidecar team-y/default", "spec", "egress", 0, "hosts", value="team-x/*")


def _old_versions(objects: Objects) -> None:
    objects.set(_GATEWAY, "apiVersion", value="networking.istio.io/v1beta1")
    objects.set("Sidecar team-x/default", "apiVersion", value="networking.istio.io/v1alpha3")


def _old_health_checks(objects: Objects) -> None:
    rule = {"from": [{"ipBlock": {"cidr": "93.184.0.0/16"}}], "ports": [{"protocol": "TCP", "port": 8443}]}
    objects.append("NetworkPolicy istio-egress/teams", "spec", "ingress", value=rule)


def _wildcard_at_the_gateway(objects: Objects) -> None:
    host = "*.example"
    objects.set("ServiceEntry istio-egress/example.com", "spec", "hosts", value=["example.com", host])
    objects.append(_GATEWAY, "spec", "servers", _ORIGINATED, "hosts", value="istio-egress/*")


def _exported_to_all(name: str, objects: Objects) -> None:
    objects.remove(name, "spec", "exportTo")


DEFECTS = [
    Defect(
        "2.1", "An IstioOperator installs the gateway",
        "egress", lambda objects: objects.add(_object("IstioOperator", "install.istio.io", {"profile": "empty"})),
        checks=(_KINDS,),
    ),
    Defect(
        "2.1", "The gateway's pod is not injected as a gateway",
        "egress",
        lambda objects: objects.remove(
            _DEPLOYMENT, "spec", "template", "metadata", "annotations", "inject.istio.io/templates"
        ),
        {_HTTP: "200 by the application of istio-egress/istio-egressgateway"},
        (egress(test_egress_manifests.test_the_gateway_is_injected_as_a_gateway_and_by_label, "pod"),),
    ),
    Defect(
        "2.2", "A policy names the Service's port, and the pod listens on another",
        "egress",
        lambda objects: objects.set(
            _POLICY_X, "spec", "rules", _ORIGINATED, "to", 0, "operation", "ports", value=["80"]
        ),
        {_HTTP: "403 by the proxy of istio-egress/istio-egressgateway: no ALLOW policy matched"},
        (egress(test_egress_manifests.test_target_ports_are_written_in_the_service_alone),),
    ),
    Defect(
        "2.3", "A route without exportTo, and a Sidecar that sees every namespace",
        "egress", _open_routes,
        {"httpbin.org: team-x is refused by its own sidecar": "503 by the proxy of team-x/"},
        (_EXPORTS,),
    ),
    Defect(
        "2.4", "`sni` without `subjectAltNames`",
        "egress",
        lambda objects: objects.remove(
            "DestinationRule istio-egress/example.com", "spec", "trafficPolicy", "tls", "subjectAltNames"
        ),
        {"team-x to example.com: the gateway refuses the host's certificate": "200 by the application"},
    ),
    Defect(
        "2.5", "httpbin.org in plaintext",
        "egress", _plaintext_leaves,
        {"httpbin.org: GET /status/418 is allowed, and leaves as TLS": "by the application of httpbin.org"},
    ),
    Defect(
        "2.6", "Passthrough for every client of the port, without identity",
        "egress", _plain_passthrough,
        {"www.wikipedia.org: TLS without a certificate to the gateway": "by the application of www.wikipedia.org"},
    ),
    Defect(
        "2.7", "No default deny",
        "egress", _no_default_deny,
        {
            "example.com: a workload of no team, at the gateway": "200 by the application of example.com",
            "httpbin.org: GET / (another path)": "200 by the application of httpbin.org",
            "a workload of no team, at a pod of the team": "200 by the application of team-x/",
        },
        (egress(
            test_egress_manifests
            .test_nothing_is_allowed_in_the_root_nor_at_the_gateway_and_every_policy_selects_it
        ),),
    ),
    Defect(
        "2.7", "A policy without selector, for every pod of the gateway's namespace",
        "egress", lambda objects: objects.remove(_POLICY_X, "spec", "selector"),
        checks=(egress(
            test_egress_manifests
            .test_nothing_is_allowed_in_the_root_nor_at_the_gateway_and_every_policy_selects_it
        ),),
    ),
    Defect(
        "2.8", "The gateway takes every host",
        "egress", _any_host,
        {"www.wikipedia.org: another server name at the gateway": "by the application of www.wikipedia.org"},
    ),
    Defect(
        "2.8", "A port is named by another protocol than its role",
        "egress", _ports_by_protocol,
        checks=(egress(test_egress_manifests.test_nothing_outside_the_cluster_reaches_the_gateway),),
    ),
    Defect("2.10", "Both ranges of Google's APIs are open", "egress", _both_ranges, checks=(_LEAVES(APP_X),)),
    Defect(
        "2.11", "Google's APIs on every port",
        "egress", _google_on_every_port, checks=(_LEAVES(APP_X),),
    ),
    Defect(
        "2.12", "The metadata server as another data plane sees it",
        "egress", _metadata_of_two_eras, checks=(_LEAVES(APP_X),),
    ),
    Defect(
        "2.12", "The metadata server on every port",
        "egress", _metadata_without_ports,
        checks=(_LEAVES(APP_X), network_policies(test_network_policies.test_every_rule_names_peers_and_ports)),
    ),
    Defect(
        "2.13", "Port 53 of all of kube-system",
        "egress", _dns_to_all_of_kube_system, checks=(_LEAVES(APP_X),),
    ),
    Defect(
        "2.13", "DNS without the node's own cache",
        "egress", _no_link_local_dns, checks=(_LEAVES(APP_X),),
    ),
    Defect(
        "2.14", "A policy without policyTypes",
        "egress", _ingress_by_mistake,
        checks=(network_policies(test_network_policies.test_every_policy_names_its_directions_and_its_reason),),
    ),
    Defect(
        "2.14", "One team has no policies",
        "egress", partial(_without_network_policies, "team-y"), checks=(_LEAVES(APP_Y), _ENTERS(APP_Y)),
    ),
    Defect(
        "2.14", "The gateway has no policies",
        "egress", partial(_without_network_policies, "istio-egress"), checks=(_LEAVES(GATEWAY), _ENTERS(GATEWAY)),
    ),
    Defect(
        "2.14", "The control plane has no policies",
        "egress", partial(_without_network_policies, "istio-system"), checks=(_LEAVES(ISTIOD), _ENTERS(ISTIOD)),
    ),
    Defect(
        "2.15", "The control plane on every port",
        "egress", _control_plane_without_ports,
        checks=(_ENTERS(ISTIOD), network_policies(test_network_policies.test_every_rule_names_peers_and_ports)),
    ),
    Defect(
        "2.15", "The gateway by the Service's ports",
        "egress", _gateway_by_service_ports, checks=(_ENTERS(GATEWAY),),
    ),
    Defect(
        "2.19", "One gateway",
        "egress",
        lambda objects: objects.set(
            "HorizontalPodAutoscaler istio-egress/istio-egressgateway", "spec", "minReplicas", value=1
        ),
        checks=(_HIGHLY_AVAILABLE,),
    ),
    Defect(
        "2.19", "No autoscaler",
        "egress", lambda objects: objects.drop("HorizontalPodAutoscaler istio-egress/istio-egressgateway"),
        checks=(_HIGHLY_AVAILABLE,),
    ),
    Defect(
        "2.19", "No disruption budget",
        "egress", lambda objects: objects.drop("PodDisruptionBudget istio-egress/istio-egressgateway"),
        checks=(_HIGHLY_AVAILABLE,),
    ),
    Defect(
        "2.20", "The gateway's nodes are known by a label that a kubelet can set",
        "egress", _pool_by_gkes_label, checks=(_OWN_NODES,),
    ),
    Defect(
        "2.20", "The gateway tolerates every taint",
        "egress", _toleration_of_everything, checks=(_OWN_NODES,),
    ),
    Defect(
        "2.22", "Entries for Google that one team wrote serve another",
        "egress", _google_for_every_team,
        {
            "Google's APIs: not for this team": "by the application of",
            "the metadata server: not for this team": "200 by the application of metadata.google.internal",
        },
        (_EXPORTS,),
    ),
    Defect(
        "2.22", "A team that calls Google's APIs has no entry for the metadata server",
        "egress", lambda objects: objects.drop("ServiceEntry team-x/metadata-server"),
        {"the metadata server": "502 by the proxy of team-x/"},
    ),
    Defect(
        "2.22", "An entry for one API in place of all of them",
        "egress",
        lambda objects: objects.set(
            "ServiceEntry team-x/google-apis", "spec", "hosts", value=["private.googleapis.com"]
        ),
        {"Google's APIs are reached by their private addresses": "refused"},
    ),
    Defect(
        "2.23", "Access logs depend on the installation",
        "egress", lambda objects: objects.drop("Telemetry istio-egress/egress-gateway"),
        checks=(egress(test_egress_manifests.test_the_gateway_logs_every_connection),),
    ),
    Defect(
        "2.24", "Versions of the API that are no longer the newest",
        "egress", _old_versions, checks=(newest_versions,),
    ),
    Defect(
        "2.24", "The ranges of a load balancer that is not there reach the gateway",
        "egress", _old_health_checks, checks=(_ENTERS(GATEWAY),),
    ),
    Defect(
        "2.25", "An EnvoyFilter",
        "egress", lambda objects: objects.add(_object("EnvoyFilter", "networking.istio.io", {"configPatches": []})),
        checks=(_KINDS,),
    ),
    Defect(
        "4.4", "A wildcard host at the gateway",
        "egress", _wildcard_at_the_gateway,
        checks=(egress(test_egress_manifests.test_no_host_of_the_gateway_is_a_wildcard),),
    ),
    Defect(
        "4.5", "Passthrough to the gateway without mutual TLS around it",
        "egress", _plain_passthrough,
        {"www.wikipedia.org: TLS without a certificate to the gateway": "by the application of www.wikipedia.org"},
    ),
    *(
        Defect(
            "4.8", f"A {kind} without exportTo, which every namespace then sees",
            "egress", partial(_exported_to_all, name),
            cases, (_EXPORTS,),
        )
        for kind, name, cases in (
            (
                "ServiceEntry", "ServiceEntry istio-egress/example.com",
                {"example.com: a workload of no team, by its own sidecar over TLS": "answered by the application"},
            ),
            (
                "VirtualService", "VirtualService team-x/example.com",
                {"example.com: a workload of no team, by its own sidecar": "503 by the proxy of outsiders/"},
            ),
            ("DestinationRule", "DestinationRule team-x/egress-gateway", {}),
        )
    ),
    Defect(
        "4.9", "Only namespaces refuse hosts that are not registered",
        "egress",
        lambda objects: objects.set(
            "MeshConfig istio-system/mesh", "spec", "outboundTrafficPolicy", "mode", value="ALLOW_ANY"
        ),
        {"example.com: a workload of no team, by its own sidecar": "by the application of example.com"},
        (egress(test_egress_manifests.test_the_mesh_sends_to_registered_hosts_alone_and_so_does_every_team),),
    ),
    Defect(
        "4.9", "Only the mesh refuses hosts that are not registered",
        "egress",
        lambda objects: objects.set(
            "Sidecar team-x/default", "spec", "outboundTrafficPolicy", "mode", value="ALLOW_ANY"
        ),
        {"a host that is not registered": "200 by"},
        (egress(test_egress_manifests.test_the_mesh_sends_to_registered_hosts_alone_and_so_does_every_team),),
    ),
]  # fmt: skip
