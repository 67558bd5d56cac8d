"""Gateway workloads that the manifests select and do not hold.

Istio's installation brings `istio-ingressgateway` and `istio-egressgateway`, so most manifests only name them. Where a
Gateway's selector finds no workload, a gateway with exactly those labels is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.workload import Workload, WorkloadPort
from meshlab.istio.read.names import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.read.gateway import Gateway

__all__ = ["assumed_gateways"]

_INSTALLED = {
    ("istio", "ingressgateway"): WorkloadRef("istio-system", "istio-ingressgateway"),
    ("istio", "egressgateway"): WorkloadRef("istio-system", "istio-egressgateway"),
}
"""The gateways of Istio's own installation (`manifests/charts/gateways`)."""

_TARGETS = {80: 8080, 443: 8443}
"""The targetPorts of their Services."""


def assumed_gateways(gateways: Iterable[Gateway], workloads: Iterable[Workload]) -> list[Workload]:
    """Return a gateway workload for each selector that finds none.

    Args:
        gateways: All Gateways.
        workloads: The workloads of the manifests.
    """
    known = [workload.labels for workload in workloads if workload.is_gateway]
    wanted: dict[WorkloadRef, Mapping[str, str]] = {}
    every = list(gateways)
    for gateway in every:
        if any(gateway.selector.items() <= labels.items() for labels in known):
            continue
        ref, labels = _named(gateway)
        wanted[ref] = {**wanted.get(ref, {}), **labels}
    return [_gateway(ref, labels, every) for ref, labels in wanted.items()]


def _named(gateway: Gateway) -> tuple[WorkloadRef, Mapping[str, str]]:
    selector = gateway.selector or {"istio": "ingressgateway"}
    for label, ref in _INSTALLED.items():
        if label in selector.items():
            return ref, {"app": ref.name, **selector}
    name = selector.get("istio") or selector.get("app") or next(iter(selector.values()))
    return WorkloadRef(gateway.namespace, name), selector


def _gateway(ref: WorkloadRef, labels: Mapping[str, str], gateways: Iterable[Gateway]) -> Workload:
    translated = ref in _INSTALLED.values()
    ports: dict[int, str] = {}
    for gateway in gateways:
        if gateway.selector.items() <= labels.items():
            for server in gateway.servers:
                number = _TARGETS.get(server.port, server.port) if translated else server.port
                ports.setdefault(number, "https" if server.tls else "http")
    return Workload(
        ref=ref,
        labels=labels,
        service_account=f"{ref.name}-service-account" if translated else ref.name,
        proxy="gateway",
        ports=tuple(WorkloadPort(number, ports[number]) for number in sorted(ports)),
        named_ports={},
        assumed=True,
    )
