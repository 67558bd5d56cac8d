"""Names of what listens at the addresses of this machine: proxies, applications, external hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.mesh_addresses import Direction, MeshAddresses
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["AddressIndex", "Place"]


@dataclass(frozen=True)
class Place:
    """What listens at an address.

    Attributes:
        kind: A proxy, an application, an external host, or the server for all other external hosts.
        name: `NAMESPACE/NAME` or the external host; empty for `internet`.
        workload: The workload of a proxy or application.
        port: The targetPort.
        direction: Which side of a proxy.
    """

    kind: Literal["proxy", "app", "external", "internet"]
    name: str = ""
    workload: WorkloadRef | None = None
    port: int = 0
    direction: Direction = "inbound"


class AddressIndex:
    """The places of a mesh by address.

    Args:
        addresses: Where everything of the mesh is.
    """

    def __init__(self, addresses: MeshAddresses) -> None:
        applications = {ref for ref, _ in addresses.apps}
        found = {str(addresses.internet): Place("internet")}
        for (host, port), address in addresses.external.items():
            found[str(address)] = Place("external", host, None, port)
        for (ref, port), address in addresses.apps.items():
            found[str(address)] = Place("app", str(ref), ref, port)
        for (ref, port), address in addresses.ports.items():
            side: Direction = "inbound" if ref in applications else "gateway"
            found[str(address)] = Place("proxy", str(ref), ref, port, side)
        for ref, address in addresses.outbound.items():
            found[str(address)] = Place("proxy", str(ref), ref, 0, "outbound")
        self._found = found

    def at(self, address: str) -> Place | None:
        """Return what listens at `HOST:PORT`; `None` for what the mesh does not know."""
        return self._found.get(address)

    def describe(self, line: EvidenceLine) -> str:
        """Return what a proxy connected to, such as `the application of orders/orders`; empty for nothing."""
        place = self.at(line.upstream)
        if place is None:
            return line.upstream
        kinds = {"proxy": f"the proxy of {place.name}", "app": f"the application of {place.name}"}
        return kinds.get(place.kind) or external_host(place, line)


def external_host(place: Place, line: EvidenceLine) -> str:
    """Return the name of the external host that a proxy connected to.

    Args:
        place: The place of an external host.
        line: What the proxy logged.
    """
    if place.name:
        return place.name
    # Istio's names: outbound|PORT|SUBSET|HOST. A cluster for all unknown hosts names none.
    parts = line.cluster.split("|")
    if len(parts) == 4 and parts[0] == "outbound" and parts[3]:
        return parts[3]
    return line.authority.partition(":")[0] or line.sni or line.destination.rpartition(":")[0]


def subset_of(line: EvidenceLine) -> str:
    """Return the subset in the name of the cluster that a proxy chose; empty for none."""
    parts = line.cluster.split("|")
    return parts[2] if len(parts) == 4 and parts[0] == "outbound" else ""
