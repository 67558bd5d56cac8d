"""Gateway workloads that the manifests select and do not hold.

Istio's installation brings `istio-ingressgateway` and `istio-egressgateway`, so most manifests only name them. Where a
Gateway's selector finds no workload, a gateway with exactly those labels is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.gateway_servers import GatewayPods
from meshlab.istio.model.workload import Workload, gateway_ports, port_targets
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.read.gateway import Gateway
    from meshlab.istio.read.services import Service

__all__ = ["INSTALLED", "INSTALLED_TARGETS", "assumed_gateways"]

INSTALLED = {
    ("istio", "ingressgateway"): WorkloadRef("istio-system", "istio-ingressgateway"),
    ("istio", "egressgateway"): WorkloadRef("istio-system", "istio-egressgateway"),
}
"""The gateways of Istio's own installation (`manifests/charts/gateways`)."""

INSTALLED_TARGETS = {80: 8080, 443: 8443}
"""The targetPorts of their Services."""


def assumed_gateways(
    gateways: Iterable[Gateway], workloads: Iterable[Workload], services: Iterable[Service] = ()
) -> list[Workload]:
    """Return a gateway workload for each selector that finds none.

    Args:
        gateways: All Gateways.
        workloads: The workloads of the manifests.
        services: All Services.
    """
    known = [(workload.ref.namespace, workload.labels) for workload in workloads if workload.is_gateway]
    wanted: dict[WorkloadRef, Mapping[str, str]] = {}
    every = list(gateways)
    for gateway in every:
        if gateway.services == () or any(gateway.selects(*pods) for pods in known):
            continue
        ref, labels = _named(gateway)
        wanted[ref] = {**wanted.get(ref, {}), **labels}
    fronts = list(services)
    return [_gateway(ref, labels, every, fronts) for ref, labels in wanted.items()]


def _named(gateway: Gateway) -> tuple[WorkloadRef, Mapping[str, str]]:
    selector = gateway.services[0].selector if gateway.services else gateway.selector
    selector = selector or {"istio": "ingressgateway"}
    for label, ref in INSTALLED.items():
        if label in selector.items():
            return ref, {"app": ref.name, **selector}
    name = selector.get("istio") or selector.get("app") or next(iter(selector.values()))
    return WorkloadRef(gateway.namespace, name), selector


def _gateway(
    ref: WorkloadRef, labels: Mapping[str, str], gateways: Iterable[Gateway], services: Iterable[Service]
) -> Workload:
    installed = ref in INSTALLED.values()
    written = port_targets((service for service in services if service.selects(ref.namespace, labels)), {})
    targets = written or (INSTALLED_TARGETS if installed else {})
    return Workload(
        ref=ref,
        labels=labels,
        service_account=f"{ref.name}-service-account" if installed else ref.name,
        proxy="gateway",
        ports=gateway_ports(GatewayPods(ref.namespace, labels, {}, targets), gateways),
        named_ports={},
        assumed=True,
        port_targets=targets,
    )
