"""Where the VirtualServices of a mesh lead from its gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.delegates import merge_delegates
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.virtual_service import HttpRoute, TcpRoute, TlsRoute, VirtualService

__all__ = ["Route", "routes_of"]


@dataclass(frozen=True)
class Route:
    """A way that a route leads.

    Attributes:
        source: The gateway workload, as `NAMESPACE/NAME`.
        target: A workload, or a host outside of the mesh.
        external: Whether the target is a host outside.
    """

    source: str
    target: str
    external: bool


def routes_of(mesh: Mesh) -> Iterator[Route]:
    """Yield the ways from gateways to workloads and hosts, as VirtualServices write them.

    Matches do not count, but for the gateways that they name. What a sidecar does with a route is not drawn: each of
    them has every route of the mesh.
    """
    pods = _gateway_pods(mesh)
    for service in merge_delegates(mesh.virtual_services, mesh.settings.virtual_service_export_to):
        for gateway, host in _destinations(service):
            for source in pods.get(gateway, ()):
                for target, external in _behind(mesh, host):
                    yield Route(source, target, external)


def _gateway_pods(mesh: Mesh) -> dict[str, list[str]]:
    """Return each Gateway with the workloads that it selects."""
    found: dict[str, list[str]] = {}
    for workload in mesh.workloads:
        for gateway, _ in mesh.servers(workload) if workload.is_gateway else ():
            name = f"{gateway.namespace}/{gateway.name}"
            if str(workload.ref) not in found.setdefault(name, []):
                found[name].append(str(workload.ref))
    return found


def _destinations(service: VirtualService) -> Iterator[tuple[str, str]]:
    """Yield pairs of a Gateway and a host."""
    routes: tuple[HttpRoute | TlsRoute | TcpRoute, ...] = (*service.http, *service.tls, *service.tcp)
    for route in routes:
        named = {gateway for match in route.matches for gateway in match.gateways}
        for gateway in sorted(named or service.gateways):
            for share in route.destinations:
                yield gateway, share.destination.host


def _behind(mesh: Mesh, host: str) -> Iterator[tuple[str, bool]]:
    """Yield the workloads behind a host; the host itself where it is outside of the mesh."""
    for service in mesh.registry.named(host):
        workloads = {
            str(endpoint.workload)
            for endpoints in service.endpoints.values()
            for endpoint in endpoints
            if endpoint.workload
        }
        if service.external and not workloads:
            yield service.hostname, True
        yield from ((workload, False) for workload in sorted(workloads))
