"""Judgement of a case: whether its verdict can be trusted, and whether it is the expected one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.verdicts.address_doubts import address_doubts
from meshlab.bench.verdicts.compare_expected import compare
from meshlab.bench.verdicts.request_hosts import hosts_of, spellings
from meshlab.bench.verdicts.verdict import Outcome
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.bench.case import Case
    from meshlab.bench.mesh_addresses import Direction, MeshUnderTest
    from meshlab.bench.verdicts.addresses import AddressIndex, Place
    from meshlab.bench.verdicts.verdict import Verdict
    from meshlab.istio.read.workload_ref import WorkloadRef

    Met = tuple[WorkloadRef, Direction, str, int]

__all__ = ["distrust_of_entry", "judge"]


def judge(
    case: Case,
    entry: Place | None,
    verdict: Verdict,
    *,
    mesh: MeshUnderTest,
    places: AddressIndex,
    failure: Callable[[WorkloadRef], str],
    ended: Callable[[Place], str] = lambda _: "",
) -> Outcome:
    """Judge one case.

    Args:
        case: The case.
        entry: What the client connected to.
        verdict: The outcome of the request.
        mesh: Says which proxies are untrusted.
        places: What listens where.
        failure: Why a workload's proxy cannot run; empty where it can.
        ended: Why what listened at a place does no longer; empty where it does.
    """
    met = _met(case, entry, verdict, places, mesh)
    reasons = [reason for proxy in met for reason in mesh.untrusted(*proxy)]
    reasons += address_doubts(case, verdict.hops, mesh)
    mismatches = (
        tuple(compare(case.expect, verdict, destination_of(case.request).host)) if case.expect else ()
    )
    # A proxy that does not run is a fault of the mesh or of the bench. It must not pass as a case that is not judged.
    failures = [
        reason for workload in dict.fromkeys(proxy[0] for proxy in met) if (reason := failure(workload))
    ]
    if failures:
        return Outcome(case, "error", verdict, mismatches, tuple(dict.fromkeys((*failures, *reasons))))
    if reasons:
        return Outcome(case, "not judged", verdict, mismatches, tuple(dict.fromkeys(reasons)))
    if dead := _dead(entry, verdict, places, ended):
        return Outcome(case, "error", verdict, mismatches, dead)
    if verdict.missing:
        return Outcome(case, "error", verdict, mismatches, (verdict.missing,))
    if case.expect is None:
        return Outcome(case, "seen", verdict)
    return Outcome(case, "failed" if mismatches else "passed", verdict, mismatches)


def _dead(
    entry: Place | None, verdict: Verdict, places: AddressIndex, ended: Callable[[Place], str]
) -> tuple[str, ...]:
    """Return why the request could not reach its destination. Such a refusal is of no policy, so it proves nothing."""
    tried = (places.at(hop.line.upstream) for hop in verdict.hops)
    reasons = [reason for place in (entry, *tried) if place and (reason := ended(place))]
    if not reasons and not verdict.reply.client_address:
        where = f" to {entry.name}" if entry and entry.name else ""
        reasons = [f"the client's connection{where} failed: {verdict.reply.failure}"]
    return tuple(dict.fromkeys(reasons))


def distrust_of_entry(case: Case, mesh: MeshUnderTest) -> tuple[str, ...]:
    """Return the reasons why the first proxy of a case is untrusted, for a case that could not be sent.

    Args:
        case: The case.
        mesh: Says which proxies are untrusted.
    """
    try:
        to = destination_of(case.request)
    except LabError:
        return ()
    match case.sender:
        case FromOutside(gateway=gateway):
            target = mesh.addresses.target_port(gateway, to.port)
            return tuple(mesh.untrusted(gateway, "gateway", to.host, target or to.port))
        case FromWorkload(workload=workload):
            hosts = spellings(to.host, workload.namespace)
            found = (mesh.untrusted(workload, "outbound", host, to.port) for host in hosts)
            return tuple(dict.fromkeys(reason for reasons in found for reason in reasons))
        case FromBypass(to=target_ref, port=port) | FromForeignMesh(to=target_ref, port=port):
            return tuple(mesh.untrusted(target_ref, "inbound", to.host, port or to.port))


def _met(
    case: Case, entry: Place | None, verdict: Verdict, places: AddressIndex, mesh: MeshUnderTest
) -> list[Met]:
    """Return the proxies that the request met, and those that it was sent to without their taking it; for each host."""
    hops = [
        (hop.workload, hop.direction, host, hop.port)
        for hop in verdict.hops
        for host in hosts_of(
            hop.line, hop.host, hop.workload.namespace, mesh.bootstraps.get(hop.workload, {})
        )
    ]
    to = destination_of(case.request)
    tried = [(entry, to.host), *((places.at(hop.line.upstream), hop.host) for hop in verdict.hops)]
    reached = [
        (place.workload, place.direction, name, place.port or to.port)
        for place, host in tried
        if place and place.kind == "proxy" and place.workload
        for name in spellings(host, place.workload.namespace)
    ]
    return list(dict.fromkeys((*hops, *reached)))
