"""What changes would let in beside the request that they were made for.

One battery for the mesh and all changes is sent to the mesh, and to each change; what was refused before and is let in
then is listed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.derive import derive
from meshlab.bench.protocol import BenchError
from meshlab.diff.compare_meshes import Baseline
from meshlab.diff.effect import Kind
from meshlab.errors import LabError
from meshlab.explain.explanation import Widening
from meshlab.explain.same_request import is_same_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.battery.battery import Battery
    from meshlab.bench.case import Case
    from meshlab.bench.local_bench import LocalBench, LocalMesh
    from meshlab.bench.protocol import Setup

__all__ = ["widenings_of"]


def widenings_of(
    bench: LocalBench, old: LocalMesh, changes: Sequence[tuple[LocalMesh, Case]], setup: Setup
) -> list[tuple[tuple[Widening, ...], str]]:
    """Return for each change the requests that get in with it and did not without, and what that does not say.

    The mesh without a change is asked once, for all of them.

    Args:
        bench: The bench.
        old: The mesh.
        changes: The mesh with each change, and the case that it lets in, which is left out.
        setup: What the explained cases need around them.
    """
    meshes = [mesh for mesh, _ in changes]
    if not meshes:
        return []
    battery = derive([old.mesh, *(mesh.mesh for mesh in meshes)])
    joined = replace(
        battery.setup,
        workloads={**battery.setup.workloads, **setup.workloads},
        apps=(*battery.setup.apps, *setup.apps),
        authorizers=setup.authorizers or battery.setup.authorizers,
        authorities=tuple(dict.fromkeys((*battery.setup.authorities, *setup.authorities))),
        addresses={**battery.setup.addresses, **setup.addresses},
    )
    baseline = Baseline(bench, old, battery.questions, joined, others=meshes)
    return [_widening_of(baseline, battery, mesh, case) for mesh, case in changes]


def _widening_of(
    baseline: Baseline, battery: Battery, new: LocalMesh, case: Case
) -> tuple[tuple[Widening, ...], str]:
    try:
        found = baseline.against(new).differences
    except (BenchError, LabError) as error:
        return (), f"what else it would let in is not known: {error}"
    opened = tuple(
        Widening(each.question.caller, each.question.target, each.question.request_class, each.new.summary)
        for each in found
        if each.change
        and each.change.kind is Kind.NOW_ALLOWED
        and not is_same_request(each.question.case, case, new.mesh)
    )
    note = f"compared: {len(battery.questions)} requests, each sent to the mesh with and without the change"
    if unknown := sum(each.change is None for each in found):
        note += f"; {unknown} of them have no verdict"
    if battery.not_covered:
        note += f"; not covered: {'; '.join(battery.not_covered)}"
    return opened, note
