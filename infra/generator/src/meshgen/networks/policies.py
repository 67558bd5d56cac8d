"""NetworkPolicies of the teams', the gateway's and the control plane's namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.networks import peers
from meshgen.networks.environment import ROOT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshgen.egress.gateway import Gateway
    from meshgen.generated import Object
    from meshgen.networks.environment import Environment, Team
    from meshgen.networks.key_servers import KeyServer

__all__ = ["control_plane_policies", "gateway_policies", "team_policies"]

_ISTIOD = {"app": "istiod"}


def team_policies(environment: Environment, team: Team, gateway: Gateway) -> list[Object]:
    """Return the policies of one team's namespace."""
    namespace = team.namespace
    return [
        _default_deny(namespace),
        *_proxy_egress(environment, namespace),
        *(_google(environment, namespace) if team.google_apis or environment.proxies_need_google else ()),
        _policy(
            namespace,
            "egress-gateway",
            "The way out: the gateway's listeners, by the ports that its pods listen on.",
            egress=[peers.egress_gateway(gateway)],
        ),
        _policy(
            namespace,
            "own-namespace",
            "Workloads of one team call each other, in both directions; the mesh's policies say which may.",
            ingress=[peers.rule([peers.pods()])],
            egress=[peers.rule([peers.pods()])],
        ),
    ]


def gateway_policies(environment: Environment, teams: Sequence[Team], gateway: Gateway) -> list[Object]:
    """Return the policies of the egress gateway's namespace."""
    policies = [
        _default_deny(gateway.namespace),
        *_proxy_egress(environment, gateway.namespace),
        *(_google(environment, gateway.namespace) if environment.proxies_need_google else ()),
    ]
    if ports := {port for team in teams for port in team.ports}:
        policies.append(
            _policy(
                gateway.namespace,
                "internet",
                "Only the gateway's pods leave the cluster, on the TLS ports of the teams' hosts, and to no private "
                "range: a request that the gateway lets pass must not reach something inside the VPC.",
                selector=gateway.labels,
                egress=[peers.internet(ports)],
            )
        )
    if teams:
        clients = peers.namespaces(team.namespace for team in teams)
        policies.append(
            _policy(
                gateway.namespace,
                "teams",
                "Only pods of the teams' namespaces reach the gateway, on its listeners. Namespaces are named by the "
                "label that the API server sets and keeps: a role that may label namespaces cannot change it.",
                selector=gateway.labels,
                ingress=[peers.rule([clients], tcp=peers.gateway_ports(gateway))],
            )
        )
    return policies


def control_plane_policies(
    environment: Environment, teams: Sequence[str], gateway: Gateway, servers: Sequence[KeyServer]
) -> list[Object]:
    """Return the policies of Istio's root namespace."""
    if environment.managed:
        return [_default_deny(ROOT_NAMESPACE)]
    return [
        _default_deny(ROOT_NAMESPACE),
        _dns(environment, ROOT_NAMESPACE),
        *(_google(environment, ROOT_NAMESPACE) if environment.proxies_need_google else ()),
        _policy(
            ROOT_NAMESPACE,
            "istiod",
            "Proxies ask istiod on 15012, which is TLS. 15010 answers the same questions in plaintext and stays shut. "
            "The API server calls its webhooks on 15017.",
            selector=_ISTIOD,
            ingress=[
                peers.proxies({*teams, gateway.namespace, *environment.namespaces}),
                peers.webhook_callers(environment),
            ],
        ),
        _policy(
            ROOT_NAMESPACE,
            "api-server",
            "Istiod, and the CNI agent where it is installed here, watch the API server.",
            egress=[peers.api_server(environment)],
        ),
        *_caller_keys(environment, servers),
    ]


def _caller_keys(environment: Environment, servers: Sequence[KeyServer]) -> list[Object]:
    """Return istiod's way to the keys of callers; none where all keys lie in the overlays."""
    if not servers:
        return []
    return [
        _policy(
            ROOT_NAMESPACE,
            "caller-keys",
            "Istiod fetches the keys of callers whose files name a jwksUri. While it cannot, every token of these "
            "callers is refused.",
            selector=_ISTIOD,
            egress=peers.key_servers(environment, servers),
        )
    ]


def _default_deny(namespace: str) -> Object:
    return _policy(
        namespace,
        "default-deny",
        "Nothing reaches or leaves a pod unless another policy allows it. Both directions are named: a policy without "
        "policyTypes would deny incoming connections alone.",
        ingress=[],
        egress=[],
    )


def _proxy_egress(environment: Environment, namespace: str) -> list[Object]:
    """Return what every proxy needs: names, configuration, certificates."""
    policies = [_dns(environment, namespace)]
    if not environment.managed:
        policies.append(
            _policy(
                namespace,
                "control-plane",
                "Configuration and certificates, on istiod's TLS port and no other.",
                egress=[peers.istiod()],
            )
        )
    return policies


def _dns(environment: Environment, namespace: str) -> Object:
    return _policy(
        namespace,
        "dns",
        "Queries go to the resolver of this cluster and not to all of kube-system. They can still carry data out: "
        "see docs/access.md.",
        egress=[peers.dns(environment)],
    )


def _google(environment: Environment, namespace: str) -> list[Object]:
    """Return what Google's APIs need: the APIs, and the tokens for them."""
    return [
        _policy(
            namespace,
            "google-apis",
            f"Google's APIs behind the {environment.google_apis} range, which DNS, routes and firewall use too; in TLS "
            "alone.",
            egress=[peers.google_apis(environment)],
        ),
        _policy(
            namespace,
            "metadata-server",
            f"Tokens of the pod's own account. Data plane {environment.data_plane} sees the server at this address.",
            egress=[peers.metadata_server(environment)],
        ),
    ]


def _policy(
    namespace: str,
    name: str,
    reason: str,
    *,
    selector: Mapping[str, str] | None = None,
    ingress: list[peers.Rule] | None = None,
    egress: list[peers.Rule] | None = None,
) -> Object:
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": dict(selector)} if selector else {},
        "policyTypes": [
            direction for direction, rules in (("Ingress", ingress), ("Egress", egress)) if rules is not None
        ],
    }
    if ingress:
        spec["ingress"] = [{"from": found["peers"], "ports": found["ports"]} for found in ingress]
    if egress:
        spec["egress"] = [{"to": found["peers"], "ports": found["ports"]} for found in egress]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {"kubernetes.io/description": reason},
        },
        "spec": spec,
    }
