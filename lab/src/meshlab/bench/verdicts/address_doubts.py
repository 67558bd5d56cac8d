"""Verdicts that depend on IP addresses which are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload
from meshlab.bench.evidence.address_probes import depends_on_addresses
from meshlab.istio.model.addresses import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.model.address_conditions import AddressKind
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["address_doubts"]

_CANNOT = f"this machine cannot connect from {SOURCES[1]}, which would stand for an address; run it on Linux"
_GIVE = "give the pod's address under `addresses` of a case file, or with --address"


def address_doubts(case: Case, hops: Sequence[Hop], mesh: MeshUnderTest) -> Iterator[str]:
    """Yield why a verdict depends on an address that is not known: the policy, and what to do.

    Args:
        case: The case.
        hops: The proxies that the request met.
        mesh: Says which addresses are stated, and which policies ask for some.
    """
    names_policy = case.expect is not None and case.expect.policy is not None
    for index, hop in enumerate(hops):
        # A TCP proxy logs the beginning of a connection before its policies decide.
        undecided = hop.line.scope == "tcp" and hop.line.connected
        depends = undecided or depends_on_addresses(hop.line.rbac, names_policy=names_policy)
        if hop.direction == "outbound" or not depends:
            continue
        for condition in mesh.address_conditions(hop.workload):
            if missing := _missing(condition.kind, case, hops[: index + 1], mesh):
                yield condition.problem(f"depends on {condition.kind}, and {missing}.")


def _missing(kind: AddressKind, case: Case, hops: Sequence[Hop], mesh: MeshUnderTest) -> str:
    """Return which address is missing at the last of the hops, and what to do; empty where it is known."""
    here = hops[-1]
    match kind:
        case "destination.ip":
            stated = here.workload in mesh.stated
            return "" if stated else f"the address of {here.workload} is not stated; {_GIVE}"
        case "source.ip":
            return _missing_peer(case, hops, mesh)
        case "remote.ip":
            if here.line.source == here.line.client:
                return _missing_peer(case, hops, mesh)
            # The address was sent in X-Forwarded-For: by the client, or by the last gateway on the way.
            for index in range(len(hops) - 2, -1, -1):
                if hops[index].direction == "gateway" and hops[index].line.scope == "http":
                    return _missing_peer(case, hops[: index + 1], mesh)
            written = _host(here.line.source)
            taken = written in mesh.sources.values()
            return (
                f"{written} stands for another address here; write another in the case's headers"
                if taken
                else ""
            )


def _missing_peer(case: Case, hops: Sequence[Hop], mesh: MeshUnderTest) -> str:
    """Return why the address of what connected to the last of the hops is not known; empty where it is."""
    if _host(hops[-1].line.client) in mesh.sources.values():
        return ""
    peer: WorkloadRef | None = None
    match case.sender:
        case _ if len(hops) > 1:
            peer = hops[-2].workload
        case FromOutside(address=address):
            if address is not None:
                return _CANNOT
            return "the client's address is not stated; give it as `address` of the caller"
        case FromBypass(workload=None, address=address) | FromForeignMesh(address=address):
            if address is not None:
                return _CANNOT
            return "the client's address is not stated; give it as `address` of the caller"
        case FromWorkload(workload=workload) | FromBypass(workload=workload):
            peer = workload
    if peer is None:
        return ""
    return _CANNOT if peer in mesh.stated else f"the address of {peer} is not stated; {_GIVE}"


def _host(address: str) -> str:
    return address.rpartition(":")[0]
