"""What clients of cases find out before they connect: addresses of names, and ports of gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import FromOutside, FromWorkload
from meshlab.bench.planning.destination import destination_of
from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.case import Case
    from meshlab.bench.mesh_addresses import MeshAddresses
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Lookup", "answer", "lookup_of"]


@dataclass(frozen=True)
class Lookup:
    """A question to a client's DNS, or to a gateway's Service.

    Attributes:
        host: The host that is looked up.
        port: The port that the client asks for.
        namespace: The namespace of the client.
        gateway: The gateway whose Service has the port; `None` for a client in the mesh.
    """

    host: str
    port: int
    namespace: str = ""
    gateway: WorkloadRef | None = None


def lookup_of(case: Case) -> Lookup | None:
    """Return what the client of a case has to find out before it connects; `None` for nothing."""
    try:
        to = destination_of(case.request)
    except LabError:
        return None
    match case.sender:
        case FromOutside(gateway=gateway):
            return Lookup("", to.port, gateway=gateway)
        case FromWorkload(workload=workload):
            return Lookup(to.host, to.port, namespace=workload.namespace)
    return None


def answer(addresses: MeshAddresses, lookup: Lookup) -> object:
    """Return what is found, to compare it with what is found in another mesh.

    Args:
        addresses: Where everything of a mesh is.
        lookup: The question.
    """
    try:
        if lookup.gateway is not None:
            return addresses.target_port(lookup.gateway, lookup.port)
        found = addresses.resolve(lookup.host, lookup.port, lookup.namespace)
        return found and (found, addresses.without_proxy(*found))
    except (LookupError, ValueError) as error:
        return str(error)
