"""Changes that let a refused request in: each is made in memory, and the request is sent again."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from meshlab.bench.protocol import BenchError
from meshlab.errors import LabError
from meshlab.explain.edits import edited
from meshlab.explain.explained_outcome import contexts, explain
from meshlab.explain.explanation import SuggestedChange
from meshlab.explain.manifest_places import safe
from meshlab.explain.proposals_by_step import proposals
from meshlab.explain.widening import widenings_of
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.local_bench import LocalBench, LocalMesh
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.explain.proposal import Proposal
    from meshlab.istio import Mesh

__all__ = ["suggested_changes"]

_TRIED = 4
_SHOWN = 2
_MAX_OBSTACLES = 4


def suggested_changes(
    bench: LocalBench,
    loaded: LocalMesh,
    setup: Setup,
    outcome: Outcome,
    mesh: Mesh,
    under_test: MeshUnderTest,
    *,
    with_widening: bool = True,
) -> tuple[SuggestedChange, ...]:
    """Return the smallest changes that let a refused request in, the smallest first.

    Where none of those that were tried is enough, the one that leads farthest is there with the next obstacle.

    Args:
        bench: The bench, with `condition_probes`. It is left with the last mesh that was tried.
        loaded: The mesh.
        setup: What the case needs around it.
        outcome: The outcome of the request.
        mesh: The mesh that it ran on, with the workloads that its case file declares.
        under_test: The configurations that it ran on.
        with_widening: Whether the battery is sent through both meshes, to say what else a change would let in.
    """
    refusal = safe(outcome.verdict.summary) if outcome.verdict else ""
    trial = _Trial(bench, loaded, setup)
    found: list[_Tried] = []
    short: list[SuggestedChange] = []
    for proposal in islice(_proposals(outcome, mesh, under_test), _TRIED):
        tried = trial.change(outcome, proposal, 1)
        if tried.change.verified:
            found.append(tried)
        elif not proposal.alone:
            short.append(tried.change)
        if len(found) == _SHOWN:
            break
    shown = _with_widenings(bench, loaded, setup, found) if with_widening else [each.change for each in found]
    return tuple(sorted(shown, key=lambda each: (len(each.parts), len(each.widens)))) or tuple(
        sorted(short, key=lambda each: (each.next_obstacle == refusal, len(each.parts)))[:1]
    )


@dataclass(frozen=True)
class _Tried:
    """A change that was tried.

    Attributes:
        change: The change.
        case: The request that was sent.
        mesh: The mesh with the change, where it lets the request in; `None` where the manifests stay.
    """

    change: SuggestedChange
    case: Case
    mesh: LocalMesh | None = None


def _with_widenings(
    bench: LocalBench, loaded: LocalMesh, setup: Setup, found: Sequence[_Tried]
) -> list[SuggestedChange]:
    """Return changes with what else they would let in."""
    meshes = [(each.mesh, each.case) for each in found if each.mesh is not None]
    known = iter(widenings_of(bench, loaded, meshes, setup))
    shown: list[SuggestedChange] = []
    for each in found:
        widens, note = next(known) if each.mesh is not None else ((), "")
        shown.append(replace(each.change, widens=widens, widening_note=note))
    return shown


def _proposals(outcome: Outcome, mesh: Mesh, under_test: MeshUnderTest) -> Iterator[Proposal]:
    verdict = outcome.verdict
    if verdict is None:
        return
    for context in contexts(outcome, mesh, under_test):
        if context.hop is verdict.decisive:
            yield from proposals(context)


class _Trial:
    def __init__(self, bench: LocalBench, loaded: LocalMesh, setup: Setup) -> None:
        self._bench = bench
        self._loaded = loaded
        self._setup = setup

    def change(self, outcome: Outcome, proposal: Proposal, number: int) -> _Tried:
        """Make a change and send the request again; go on with the next obstacle where there is one."""
        case = proposal.case or outcome.case
        try:
            changed = self._loaded.with_inputs(edited(self._loaded.inputs, proposal.edits))
            lost = [problem for problem in changed.refusals if problem not in self._loaded.refusals]
            if lost:
                return _Tried(SuggestedChange(proposal.all_parts, next_obstacle=lost[0]), case)
            with self._bench.running(changed, self._setup, [case], 1) as engine:
                again = next(iter(engine.run([case])))
                mesh, under_test = engine.mesh, engine.under_test
        except (LabError, BenchError, ManifestError, LookupError, ValueError) as error:
            return _Tried(SuggestedChange(proposal.all_parts, next_obstacle=str(error)), case)
        explained = explain(again, mesh, under_test)
        decision = explained.decision
        if decision and decision.allowed and not explained.doubts:
            return _Tried(
                SuggestedChange(proposal.all_parts, True), case, changed if proposal.edits else None
            )
        obstacle = decision.text if decision else "; ".join(explained.doubts)
        if number < _MAX_OBSTACLES and not proposal.alone and _is_other(outcome, again):
            # The steps behind an obstacle are known only when it is gone. Of what helps next, the smallest is taken.
            following = next(_proposals(again, mesh, under_test), None)
            if following and (farther := proposal.then(following)) != proposal:
                return self.change(again, farther, number + 1)
        return _Tried(SuggestedChange(proposal.all_parts, next_obstacle=obstacle), case)


def _is_other(before: Outcome, after: Outcome) -> bool:
    """Return whether a request ends elsewhere than before."""
    old, new = before.verdict, after.verdict
    return old is None or new is None or (old.proxy, old.reason) != (new.proxy, new.reason)
