"""The Deployments and Services that Istio makes for Gateways.

Follows `pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go` and the template `kube-gateway.yaml`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.model.assumed import INSTALLED, INSTALLED_TARGETS
from meshlab.istio.model.gateway_api.backends import service_host
from meshlab.istio.model.gateway_api.listeners import listener_sets
from meshlab.istio.model.gateway_api.objects import note
from meshlab.istio.read.attachment import GATEWAY_NAME
from meshlab.istio.read.pods import Pod
from meshlab.istio.read.protocols import service_protocol
from meshlab.istio.read.services import Service, ServicePort
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.model.gateway_api.objects import GatewayApi
    from meshlab.istio.read.gateway_api import KubernetesGateway
    from meshlab.istio.read.gateway_api.listener import Listener
    from meshlab.manifest import Problem

__all__ = ["Deployed", "deployed", "is_managed"]

_NAME_OVERRIDE = "gateway.istio.io/name-override"
_ACCOUNT_OVERRIDE = "gateway.istio.io/service-account"
_CLASS_NAME = "gateway.networking.k8s.io/gateway-class-name"
_PREFIX = "gateway.networking.k8s.io/"
_STATUS_PORT = 15021
_MAX_PORT_NAME = 63


@dataclass(frozen=True)
class Deployed:
    """What serves a Gateway.

    Attributes:
        services: The Services whose pods serve it.
        account: The service account of its pods; empty where the Gateway names Services of its own.
        made_services: Of these the Services that Istio makes.
        pods: The pods that Istio makes.
    """

    services: tuple[Service, ...]
    account: str
    made_services: tuple[Service, ...] = ()
    pods: tuple[Pod, ...] = ()


def deployed(gateway: KubernetesGateway, api: GatewayApi, notes: list[Problem]) -> Deployed:
    """Return what serves a Gateway of Istio's class.

    Args:
        gateway: The Gateway.
        api: All objects.
        notes: Receives addresses that lead nowhere.
    """
    if not is_managed(gateway):
        named = tuple(_named_services(gateway, api, notes))
        return Deployed(named, "", tuple(service for service in named if service not in api.services))
    default = f"{gateway.name}-{gateway.class_name}"
    name = gateway.annotations.get(_NAME_OVERRIDE) or default
    account = gateway.annotations.get(_ACCOUNT_OVERRIDE) or default
    written = next(
        (each for each in api.services if (each.namespace, each.name) == (gateway.namespace, name)), None
    )
    service = written or _service(gateway, name, _all_listeners(gateway, api))
    pod = _pod(gateway, name, account)
    there = (gateway.namespace, name) in api.workloads
    return Deployed((service,), account, () if written else (service,), () if there else (pod,))


def is_managed(gateway: KubernetesGateway) -> bool:
    """Return whether Istio makes the Deployment: not where the Gateway names Services."""
    if len(gateway.addresses) > 1:
        return False
    return not gateway.addresses or gateway.addresses[0].kind == "IPAddress"


def _named_services(gateway: KubernetesGateway, api: GatewayApi, notes: list[Problem]) -> Iterator[Service]:
    known = {service.hostname: service for service in api.services if service.namespace == gateway.namespace}
    for index, address in enumerate(gateway.addresses):
        where = gateway.where.key("addresses").item(index)
        if address.kind != "Hostname":
            notes.append(note(where, f"Istio ignores addresses of type {address.kind} beside others."))
            continue
        host = address.value
        if "." not in host:
            host = service_host(host, gateway.namespace)
        service = known.get(host) or _installed(host, gateway, api)
        if service is None:
            place = f"namespace {gateway.namespace} has no Service {host}"
            notes.append(note(where, f"{place}, so that nothing serves the Gateway there."))
            continue
        ports = {port.number for port in service.ports}
        for listener in _all_listeners(gateway, api):
            if listener.port not in ports:
                problem = (
                    f"Service {service.name} has no port {listener.port}, so the listener is not served."
                )
                notes.append(note(listener.where.key("port"), problem))
        yield service


def _installed(host: str, gateway: KubernetesGateway, api: GatewayApi) -> Service | None:
    """Return the Service of a gateway of Istio's own installation, which manifests name and seldom hold."""
    for (label, value), ref in INSTALLED.items():
        if ref.namespace == gateway.namespace and host == service_host(ref.name, ref.namespace):
            ports = {
                listener.port: ServicePort(
                    listener.port,
                    listener.name,
                    INSTALLED_TARGETS.get(listener.port, listener.port),
                    service_protocol(listener.port, listener.name, "TCP", listener.protocol.lower()),
                    listener.where,
                )
                for listener in _all_listeners(gateway, api)
            }
            selector = {label: value}
            return replace(_service(gateway, ref.name, ()), selector=selector, ports=tuple(ports.values()))
    return None


def _all_listeners(gateway: KubernetesGateway, api: GatewayApi) -> list[Listener]:
    return [
        *gateway.listeners,
        *(each for listeners in listener_sets(gateway, api) for each in listeners.listeners),
    ]


def _service(gateway: KubernetesGateway, name: str, listeners: Sequence[Listener]) -> Service:
    used = {"status-port"}
    ports = [ServicePort(_STATUS_PORT, "status-port", _STATUS_PORT, "tcp", gateway.where)]
    for listener in listeners:
        if listener.port not in {port.number for port in ports[1:]}:
            ports.append(_service_port(listener, used))
    return Service(
        namespace=gateway.namespace,
        name=name,
        selector={GATEWAY_NAME: gateway.name},
        ports=tuple(ports),
        kind="cluster",
        external_name="",
        addresses=(),
        export_to=(),
        accounts=(),
        limits_sources=False,
        translates_ports=True,
        where=gateway.where,
    )


def _service_port(listener: Listener, used: set[str]) -> ServicePort:
    name = listener.name.replace(".", "-")[:_MAX_PORT_NAME]
    suffix, candidate = f"-{listener.port}", name
    while candidate in used:
        candidate = name[: _MAX_PORT_NAME - len(suffix)] + suffix
        suffix += "x"
    used.add(candidate)
    protocol = service_protocol(listener.port, candidate, "TCP", listener.protocol.lower())
    return ServicePort(listener.port, candidate, listener.port, protocol, listener.where)


def _pod(gateway: KubernetesGateway, name: str, account: str) -> Pod:
    own = {GATEWAY_NAME: gateway.name, _CLASS_NAME: gateway.class_name}
    labels = {
        "sidecar.istio.io/inject": "false",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": "latest",
        "istio.io/dataplane-mode": "none",
        **_infrastructure_labels(gateway),
        **own,
        "gateway.istio.io/managed": "istio.io-gateway-controller",
    }
    return Pod(
        ref=WorkloadRef(gateway.namespace, name),
        kind="Deployment",
        labels=labels,
        service_account=account,
        inject=False,
        webhook_label=False,
        template="gateway",
        own_proxy="gateway",
        host_network=False,
        ports=(),
        # Istio's template for these gateways opens low ports to every user.
        unprivileged=False,
        topology=gateway.topology,
        where=gateway.where,
    )


def _infrastructure_labels(gateway: KubernetesGateway) -> Mapping[str, str]:
    """Return the labels that the pods get: those of `infrastructure`, or else those of the Gateway itself."""
    written = gateway.infrastructure.labels
    if written is None:
        return gateway.labels
    return {key: value for key, value in written.items() if not key.startswith(_PREFIX)}
