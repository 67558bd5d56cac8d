"""Ports of a workload whose Sidecar has `ingress`: these listeners count, and the ports of its Services no more.

Follows `pilot/pkg/networking/core/listener_inbound.go#buildInboundChainConfigs`. A port of a Service without a listener
is like one that no Service names: what comes on it is passed on as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.model.workload import WorkloadPort

if TYPE_CHECKING:
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.sidecar import Sidecar

__all__ = ["with_ingress"]


def with_ingress(workload: Workload, sidecar: Sidecar | None) -> Workload:
    """Return a workload with the ports that its Sidecar opens.

    Args:
        workload: The workload.
        sidecar: The Sidecar that counts for it.
    """
    if workload.proxy != "sidecar" or sidecar is None or not sidecar.ingress:
        return workload
    services = {port.number: port.service for port in workload.ports}
    ports = {port.number: WorkloadPort(port.number, "auto", declared=False) for port in workload.ports}
    for listener in sidecar.ingress:
        number, app = listener.port.number, listener.app_port
        if app is not None and app != number:
            ports.setdefault(app, WorkloadPort(app, "auto", declared=False))
    for listener in sidecar.ingress:
        if listener.port.protocol != "udp":
            number = listener.port.number
            ports[number] = WorkloadPort(
                number,
                listener.port.protocol,
                app_port=listener.app_port,
                service=services.get(number, ""),
                service_port=number,
            )
    return replace(workload, ports=tuple(ports[number] for number in sorted(ports)))
