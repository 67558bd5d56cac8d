"""The Gateway API as Istio's own objects: what istiod makes of Gateways and routes before it configures a proxy.

Follows `pilot/pkg/config/kube/gateway`. What a cluster would report as a condition that is not met is a note here.

| module | what it holds |
|---|---|
| `objects` | what goes in and what comes out |
| `classes`, `deployments` | which Gateways Istio serves, and with which pods |
| `listeners`, `certificates` | listeners as Gateways of Istio's API |
| `attachment` | which routes a listener or a service takes |
| `routes`, `http_rules`, `filter_actions`, `backends`, `merging` | routes as VirtualServices |
| `tls_policies` | BackendTLSPolicies as DestinationRules |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.gateway_api.attachment import HolderKey, Parents
from meshlab.istio.model.gateway_api.classes import class_use
from meshlab.istio.model.gateway_api.converted_routes import route_services
from meshlab.istio.model.gateway_api.deployments import Deployed, deployed, is_managed
from meshlab.istio.model.gateway_api.listener_tls import GATEWAY, LISTENER_SET, kind_of
from meshlab.istio.model.gateway_api.listeners import ServedListener, listener_sets, served_listeners
from meshlab.istio.model.gateway_api.objects import Converted, GatewayApi, note
from meshlab.istio.model.gateway_api.tls_policies import tls_rules

if TYPE_CHECKING:
    from meshlab.istio.read.gateway_api import KubernetesGateway, Route
    from meshlab.manifest import Manifest, Problem

__all__ = ["Converted", "GatewayApi", "convert"]

_FOREIGN = {
    "foreign": "is of class {name}, which is not Istio's",
    "unknown": "is of class {name}, for which there is no GatewayClass",
    "remote": "is of class {name}, which Istio leaves alone",
    "waypoint": "is a waypoint, and ambient mode is not supported",
}


def convert(api: GatewayApi) -> Converted:
    """Return what istiod makes of the objects of the Gateway API.

    Args:
        api: The objects, and what they refer to.
    """
    notes: list[Problem] = []
    refused: list[tuple[Manifest, Problem]] = []
    passed_over: list[Manifest] = []
    foreign: dict[HolderKey, str] = {}
    found: list[Deployed] = []
    listeners: dict[HolderKey, list[ServedListener]] = {}
    for gateway in api.gateways:
        key = (GATEWAY.name, gateway.namespace, gateway.name)
        use = class_use(gateway.class_name, api.classes)
        if use != "served":
            foreign[key] = _FOREIGN[use].format(name=gateway.class_name)
            manifest = gateway.where.manifest
            if use == "waypoint":
                problem = note(gateway.where.key("gatewayClassName"), _WAYPOINT)
                refused.append((manifest, problem))
            else:
                passed_over.append(manifest)
            continue
        if not is_managed(gateway) and not any(each.kind == "Hostname" for each in gateway.addresses):
            foreign[key] = "has no address that Istio knows"
            notes.append(
                note(gateway.where.key("addresses"), "Istio knows addresses of type Hostname alone.")
            )
            continue
        serving = deployed(gateway, api, notes)
        refused += _refused(gateway, api)
        notes += [note(*each) for each in gateway.not_implemented]
        found.append(serving)
        listeners[key] = []
        for each in listener_sets(gateway, api):
            listeners[LISTENER_SET.name, each.namespace, each.name] = []
        for served in served_listeners(gateway, api, serving.services, serving.account, notes):
            holder = served.holder
            listeners[kind_of(holder).name, holder.namespace, holder.name].append(served)
    _pass_over_sets(api, listeners, foreign, notes)
    services = tuple(service for each in found for service in each.made_services)
    return Converted(
        gateways=tuple(each.gateway for served in listeners.values() for each in served if each.valid),
        virtual_services=tuple(route_services(api, Parents(api, listeners, foreign), notes)),
        destination_rules=tuple(tls_rules(api, notes)),
        services=services,
        pods=tuple(pod for each in found for pod in each.pods),
        refused=tuple(refused),
        passed_over=tuple(passed_over),
        notes=tuple(dict.fromkeys((*notes, *_on_routes(api)))),
    )


def _pass_over_sets(
    api: GatewayApi,
    listeners: dict[HolderKey, list[ServedListener]],
    foreign: dict[HolderKey, str],
    notes: list[Problem],
) -> None:
    """Say which ListenerSets no Gateway takes, and why."""
    for each in api.listener_sets:
        key = (LISTENER_SET.name, each.namespace, each.name)
        if key in listeners:
            continue
        parent = (GATEWAY.name, each.parent.namespace, each.parent.name)
        reason = "does not allow it" if parent in listeners else foreign.get(parent, "is not there")
        foreign[key] = f"is not served, as {each.parent} {reason}"
        where = each.where.key("parentRef")
        notes.append(note(where, f"{each.parent} {reason}; the listeners are not served."))


def _refused(gateway: KubernetesGateway, api: GatewayApi) -> list[tuple[Manifest, Problem]]:
    """Return what may change the pods of a Gateway in a way that is not known."""
    if not is_managed(gateway):
        return []
    places = []
    if parameters := gateway.infrastructure.parameters:
        places.append((parameters.where, api.config_maps.get((gateway.namespace, parameters.name))))
    if defaults := api.class_defaults.get(gateway.class_name):
        places.append(defaults)
    problem = "what it changes of the gateway's Deployment and Service is not compiled; remove it."
    return [
        (gateway.where.manifest, note(where, problem))
        for where, keys in places
        if keys is None or not keys <= _HARMLESS_PARAMETERS
    ]


def _on_routes(api: GatewayApi) -> list[Problem]:
    routes: tuple[Route, ...] = (*api.http_routes, *api.grpc_routes, *api.tls_routes, *api.tcp_routes)
    return [note(*each) for route in routes for each in route.not_implemented]


_HARMLESS_PARAMETERS = frozenset({"horizontalPodAutoscaler", "podDisruptionBudget"})
_WAYPOINT = "waypoints belong to ambient mode, which is not supported; use sidecars."
