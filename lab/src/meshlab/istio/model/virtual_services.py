"""Which VirtualServices count at a proxy, and in which order.

Follows `pilot/pkg/model/{push_context,virtualservice,sidecar}.go`: what is exported to the proxy's own namespace
alone comes first, then what is exported to it by name, then what every namespace sees. Where two VirtualServices have
one host the order decides: a sidecar takes the first, a gateway tries their routes one after the other. Routes of the
Gateway API that are in the proxy's own namespace go before the others, so that a consumer can replace a producer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.delegates import exports, merge_delegates
from meshlab.istio.read.hosts import hosts_overlap, is_subset
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["MESH", "for_gateway", "for_sidecar", "visible_to", "wildcard_owners"]

MESH = "mesh"
"""The name by which a VirtualService means all sidecars."""

_ANY = "*"
_NONE = "~"


def for_gateway(
    mesh: Mesh, workload: Workload, gateway: str, *, default_export_to: Sequence[str] = (_ANY,)
) -> list[VirtualService]:
    """Return the VirtualServices on a Gateway that a gateway workload sees, with their delegates merged.

    Args:
        mesh: The mesh.
        workload: The gateway workload.
        gateway: The Gateway, as `namespace/name`.
        default_export_to: What counts where a VirtualService has no `exportTo`.
    """
    merged = merge_delegates(mesh.virtual_services, default_export_to)
    return visible_to(merged, workload.ref.namespace, gateway, default_export_to)


def for_sidecar(
    mesh: Mesh,
    workload: Workload,
    egress_hosts: Iterable[str] = ("*/*",),
    *,
    default_export_to: Sequence[str] = (_ANY,),
) -> list[VirtualService]:
    """Return the VirtualServices that a workload's sidecar sees, with their delegates merged.

    Args:
        mesh: The mesh.
        workload: The workload.
        egress_hosts: `hosts` of the Sidecar's egress listener, as written; all hosts where there is no Sidecar.
        default_export_to: What counts where a VirtualService has no `exportTo`.
    """
    merged = merge_delegates(mesh.virtual_services, default_export_to)
    seen = visible_to(merged, workload.ref.namespace, MESH, default_export_to)
    imports = _Imports.read(egress_hosts, workload.ref.namespace)
    return [service for service in seen if imports.select(service)]


def visible_to(
    virtual_services: Iterable[VirtualService],
    namespace: str,
    gateway: str,
    default_export_to: Sequence[str] = (_ANY,),
) -> list[VirtualService]:
    """Return those of the merged VirtualServices that are for a gateway (or `mesh`) and exported to a namespace."""
    private: list[VirtualService] = []
    exported: list[VirtualService] = []
    public: list[VirtualService] = []
    for service in virtual_services:
        scopes = exports(service, default_export_to)
        if gateway not in service.gateways:
            continue
        if _ANY in scopes:
            public.append(service)
        elif namespace in scopes and _NONE not in scopes:
            (private if service.namespace == namespace else exported).append(service)
    if gateway == MESH:
        exported = _own_first(exported, namespace)
    return [*private, *exported, *_own_first(public, namespace)]


def _own_first(services: list[VirtualService], namespace: str) -> list[VirtualService]:
    return sorted(services, key=lambda service: not (service.gateway_api and service.namespace == namespace))


def wildcard_owners(
    virtual_services: Sequence[VirtualService], hostnames: Iterable[str]
) -> Mapping[str, VirtualService]:
    """Return for each service the VirtualService whose host fits it most closely.

    A wildcard host of a VirtualService takes only the services that it owns by this measure
    (`pilot/pkg/model/sidecar.go#computeWildcardHostVirtualServiceIndex`).
    """
    first: dict[str, VirtualService] = {}
    for service in virtual_services:
        for host in service.hosts:
            first.setdefault(host, service)
    owners = {}
    for hostname in hostnames:
        if hostname in first:
            owners[hostname] = first[hostname]
            continue
        name = hostname.removeprefix("*")
        fitting = [host for host in first if host.startswith("*") and name.endswith(host[1:])]
        if fitting:
            owners[hostname] = first[min(fitting, key=lambda host: (-len(host), host))]
    return owners


@dataclass(frozen=True)
class _Imports:
    """The hosts that a Sidecar imports by namespace, and those that it leaves out with `~`."""

    included: Mapping[str, tuple[str, ...]]
    excluded: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, egress_hosts: Iterable[str], own_namespace: str) -> _Imports:
        included: dict[str, tuple[str, ...]] = {}
        excluded: dict[str, tuple[str, ...]] = {}
        for text in egress_hosts:
            namespace, _, host = text.partition("/")
            target = included
            if namespace.startswith(_NONE):
                namespace, target = namespace[1:] or _ANY, excluded
            namespace = own_namespace if namespace == "." else namespace
            target[namespace] = (*target.get(namespace, ()), host)
        return cls(included, excluded)

    def select(self, service: VirtualService) -> bool:
        left_out = (*self.excluded.get(service.namespace, ()), *self.excluded.get(_ANY, ()))
        imported = (*self.included.get(service.namespace, ()), *self.included.get(_ANY, ()))
        # A host of the Gateway API has to lie within what is imported, as a service has to.
        fits = is_subset if service.gateway_api else hosts_overlap
        return any(
            any(fits(host, wanted) for wanted in imported)
            and not any(is_subset(host, unwanted) for unwanted in left_out)
            for host in service.hosts
        )
