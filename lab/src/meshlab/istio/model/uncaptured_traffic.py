"""Traffic that annotations lead past a sidecar: the bench sends it through, so it is not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.trust import Refusal, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.captured_traffic import PastSidecar
    from meshlab.istio.read.pods import Pod

__all__ = ["past_sidecars"]


def past_sidecars(mesh: Mesh, pods: Iterable[Pod]) -> Iterator[Refusal]:
    """Yield a refusal for each annotation that leads traffic of the mesh past a sidecar.

    One about ports that nothing of the mesh uses, such as those of metrics, changes no verdict.
    """
    by_ref = {pod.ref: pod for pod in pods}
    for workload in mesh.workloads:
        pod = by_ref.get(workload.ref)
        if pod is None or not workload.injected or workload.is_gateway:
            continue
        for past in pod.past_sidecar:
            scopes = tuple(
                _inbound(mesh, workload, past) if past.direction == "inbound" else _outbound(workload, past)
            )
            if scopes:
                what = "requests to these ports" if past.ports and not past.but_ports else "requests"
                problem = (
                    f"{past.value!r} leads {what} past the sidecar, and the bench sends them through it."
                )
                yield Refusal(past.where.error(problem).problems, scopes, is_right=True)


def _outbound(workload: Workload, past: PastSidecar) -> Iterator[Scope]:
    yield Scope(only=(str(workload.ref),), direction="outbound", ports=past.ports)


def _inbound(mesh: Mesh, workload: Workload, past: PastSidecar) -> Iterator[Scope]:
    """Yield the pod's own ports, and what clients ask for to come there: it does not end the mTLS of their sidecars."""
    behind = {
        (service.hostname, number, endpoint.port)
        for service in mesh.registry.services
        for number, endpoints in service.endpoints.items()
        for endpoint in endpoints
        if endpoint.workload == workload.ref
    }
    own = {port.number for port in workload.ports} | {target for _, _, target in behind}
    listed = set(past.ports or ())
    open_ports = own - listed if past.but_ports else own & listed
    if open_ports:
        yield Scope(only=(str(workload.ref),), direction="inbound", ports=tuple(sorted(open_ports)))
    for host, number, target in sorted(behind):
        if target in open_ports:
            yield Scope(direction="outbound", hosts=(host,), ports=(number,))
