"""Services whose annotation exports them to `~`, and that proxies know nevertheless.

A route leads to a Service of its own namespace whatever that exports, and `*` beside `~` counts. Istiod then skips the
Service's EndpointSlices (`pilot/pkg/serviceregistry/kube/controller/endpointslice.go#serviceNeedsPush`), but takes what
it has of them whenever it handles the Service itself. So the order of its events decides whether it knows the pods, and
the same objects give one answer after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.trust import Refusal, Scope
from meshlab.istio.model.visibility import Visibility
from meshlab.istio.read.export_to import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh

__all__ = ["hidden_services"]

_PROBLEM = (
    "{!r} lets the order of istiod's events decide whether proxies learn the pods behind it, and routes or exports "
    "lead proxies there; write . or *, or take it out of the routes."
)


def hidden_services(mesh: Mesh) -> Iterator[Refusal]:
    """Yield a refusal for each Service that is hidden, has pods, and is known to proxies all the same."""
    hidden = [
        service
        for service in mesh.services
        if NOWHERE in service.export_to
        and any(service.selects(pod.ref.namespace, pod.labels) for pod in mesh.workloads)
    ]
    if not hidden:
        return
    visibility = Visibility(mesh)
    known = {
        str(workload.ref): visibility.scope_of(workload).by_hostname
        for workload in mesh.workloads
        if workload.injected
    }
    for service in hidden:
        proxies = tuple(ref for ref, hosts in known.items() if service.hostname in hosts)
        if proxies:
            problem = service.where.manifest.problem(
                ("metadata", "annotations", "networking.istio.io/exportTo"),
                _PROBLEM.format(",".join(service.export_to)),
            )
            yield Refusal((problem,), (Scope(only=proxies, direction="outbound", hosts=(service.hostname,)),))
