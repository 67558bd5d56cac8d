"""One comparison of two inputs: what differs in the objects, and which requests show it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from meshlab.battery.derive import derive
from meshlab.battery.wrong_servers import impostors, not_covered_with_impostors
from meshlab.bench.case_file.read_address_options import check_addresses
from meshlab.bench.local_bench import LocalMesh
from meshlab.diff.causes import attributed
from meshlab.diff.compare_meshes import Baseline
from meshlab.diff.effect import Kind
from meshlab.diff.object_changes import object_changes
from meshlab.diff.questions import Group, check_names, groups_of
from meshlab.diff.result import Finding, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.bench.local_bench import LocalBench
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.ask import Asker
    from meshlab.diff.compare_meshes import Compared
    from meshlab.diff.compared_input import ComparedInput
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["compare"]


def compare(
    bench: LocalBench,
    old: ComparedInput,
    new: ComparedInput,
    case_files: Sequence[CaseFile] = (),
    *,
    addresses: Mapping[WorkloadRef, str] = MappingProxyType({}),
    jobs: int = 0,
    began: Callable[[int], None] = lambda _count: None,
    happened: Callable[[Outcome], None] = lambda _outcome: None,
) -> Result:
    """Compare two inputs: send the same requests to both, and find what ends otherwise and why.

    Args:
        bench: Runs both meshes, one after the other.
        old: The input before.
        new: The input now.
        case_files: Case files whose requests are sent, too. Their expectations do not count.
        addresses: IP addresses of pods, for policies that ask for them. Those that case files agree on count, too.
        jobs: How many requests may be under way at once; 0 for a default.
        began: Called with the number of requests, before the first, and again where more are to be sent: those to
            servers that show a wrong certificate.
        happened: Called with each outcome, as soon as it is known.

    Raises:
        CaseFileError: A case file names what neither input has.
        BenchError: The bench itself failed.
    """
    began_at = time.monotonic()
    before = LocalMesh(bench, old.inputs, old.settings)
    after = LocalMesh(bench, new.inputs, new.settings)
    check_names(case_files, before.names, after.names)
    changes = tuple(object_changes(old.inputs.manifests, new.inputs.manifests))
    notes = tuple(dict.fromkeys((*old.notes, *new.notes)))
    result = Result(old.name, new.name, objects=changes, notes=notes, mesh=after.mesh)
    if not changes and before.mesh.settings == after.mesh.settings:
        return replace(result, is_same=True, duration_s=time.monotonic() - began_at)
    meshes = (before.mesh, after.mesh)
    battery = derive(meshes, addresses={**_agreed_addresses(case_files), **addresses})
    known = [workload.ref for mesh in meshes for workload in mesh.workloads]
    check_addresses(addresses, (*known, *battery.setup.workloads))
    waiting = groups_of(battery, case_files) or [Group(battery.setup, ())]
    count = sum(len(group.questions) for group in waiting)
    began(count)
    comparisons: list[tuple[Compared, Asker]] = []
    findings: list[Finding] = []
    while waiting:
        group = waiting.pop(0)
        baseline = Baseline(
            bench, before, group.questions, group.setup, others=(after,), jobs=jobs, happened=happened
        )
        if not baseline.can_differ(after):
            continue
        compared = baseline.against(after)
        comparisons.append((compared, baseline.asker))
        findings += attributed(compared, changes, baseline.asker)
        if group.setup == battery.setup:
            answered = replace(battery, questions=compared.answered)
            more = [Group(each.setup, each.questions) for each in impostors(meshes, answered)]
            count += sum(len(each.questions) for each in more)
            began(count)
            waiting += more
    found = [compared for compared, _ in comparisons]
    return replace(
        result,
        is_same=not found,
        compared=count,
        not_covered=not_covered_with_impostors(battery),
        findings=_sorted(findings),
        not_known=tuple(each for compared in found for each in compared.differences if each.change is None),
        sent_again=sum(compared.sent_again for compared in found),
        nowhere=tuple(question for compared in found for question in compared.nowhere),
        by_chance=tuple(question for compared in found for question in compared.by_chance),
        duration_s=time.monotonic() - began_at,
        comparisons=tuple(comparisons),
    )


def _agreed_addresses(case_files: Iterable[CaseFile]) -> dict[WorkloadRef, str]:
    """Return the addresses of pods that case files state, without those that they disagree on."""
    found: dict[WorkloadRef, set[str]] = {}
    for file in case_files:
        for ref, address in file.addresses.items():
            found.setdefault(ref, set()).add(address)
    owners = Counter(address for addresses in found.values() for address in addresses)
    return {ref: address for ref, (address, *others) in found.items() if not others and owners[address] == 1}


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the gravest kind first, those of one kind as they were."""
    order = list(Kind)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.kind)))
