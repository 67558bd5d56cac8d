"""Services whose annotation exports them to `~`, and that proxies know nevertheless.

A route leads to a Service of its own namespace whatever that exports, and `*` beside `~` counts. Istiod then skips the
Service's EndpointSlices (`pilot/pkg/serviceregistry/kube/controller/endpointslice.go#serviceNeedsPush`), but takes what
it has of them whenever it handles the Service itself. So the order of its events decides whether it knows the pods, and
the same objects give one answer after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.trust import Refusal, Scope
from meshlab.istio.model.virtual_services import destinations_of
from meshlab.istio.read.export_to import EVERYWHERE, NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh

__all__ = ["hidden_services"]

_PROBLEM = (
    "{written!r} lets the order of istiod's events decide whether proxies learn the pods behind it, and {reason}; "
    "write . or *, or take it out of the routes."
)


def hidden_services(mesh: Mesh) -> Iterator[Refusal]:
    """Yield a refusal for each Service that is hidden, has pods, and may be reached through proxies all the same."""
    routed = {each.host for service in mesh.virtual_services for each in destinations_of(service)}
    imported = {host for sidecar in mesh.sidecars for each in sidecar.egress for _, host in each.hosts}
    for service in mesh.services:
        has_pods = any(service.selects(pod.ref.namespace, pod.labels) for pod in mesh.workloads)
        if NOWHERE not in service.export_to or not has_pods:
            continue
        everywhere = EVERYWHERE in service.export_to
        if everywhere:
            reason = "* exports it to them"
        elif service.hostname in routed:
            reason = "a VirtualService leads to it"
        elif service.hostname in imported and set(service.export_to) != {NOWHERE}:
            reason = "a Sidecar imports it by its name"
        else:
            continue
        where = service.where.manifest
        problem = where.problem(
            ("metadata", "annotations", "networking.istio.io/exportTo"),
            _PROBLEM.format(written=",".join(service.export_to), reason=reason),
        )
        namespaces = None if everywhere else (service.namespace, *service.export_to)
        yield Refusal((problem,), (Scope(namespaces, direction="outbound", hosts=(service.hostname,)),))
