"""Objects whose change is why a request ends otherwise.

Each changed object is set back alone. Where that leaves a workload's configuration as it is, the object does not
concern it. Where several objects concern the way of a request, the request is sent again with each of them set back:
those count without which the change is gone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.diff.effect import change_of
from meshlab.diff.result import Finding
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshlab.diff.ask import Asker
    from meshlab.diff.compare_meshes import Compared, Difference
    from meshlab.diff.object_changes import ObjectChange
    from meshlab.diff.side import Side
    from meshlab.istio.read.workload_ref import WorkloadRef
    from meshlab.manifest import Manifest

__all__ = ["attributed"]

_MOST_OBJECTS = 20
"""How many changed objects are set back in the configurations; each costs a reading of the manifests."""
_MOST_SENT = 6
"""How many are set back on the running mesh; each costs a change of it."""
_FEW = 3


@dataclass(frozen=True)
class _Concern:
    """A changed object, the mesh with it set back, and the workloads whose configuration that changes."""

    number: int
    set_back: Side
    workloads: frozenset[WorkloadRef]


def attributed(compared: Compared, changes: Sequence[ObjectChange], asker: Asker) -> list[Finding]:
    """Return the requests that end otherwise, each with the objects whose change is why.

    Args:
        compared: The comparison.
        changes: The objects that differ.
        asker: Sends requests again.

    Raises:
        BenchError: Something did not start.
    """
    changed = [each for each in compared.differences if each.change is not None]
    if not changed:
        return []
    met = frozenset(ref for each in changed for ref in (*each.old.way, *each.new.way))
    concerns = list(_concerns(*compared.sides, changes, met))
    findings = [Finding(each, _on_the_way(each, concerns)) for each in changed]
    return _narrowed(findings, {concern.number: concern.set_back for concern in concerns}, asker)


def _concerns(
    old: Side, new: Side, changes: Sequence[ObjectChange], met: frozenset[WorkloadRef]
) -> Iterator[_Concern]:
    """Yield which workloads each changed object concerns. Several may change the same, and one alone nothing."""
    without_traffic = {manifest.subject for side in (old, new) for manifest in side.mesh.passed_over}
    numbers = [number for number, change in enumerate(changes) if change.subject not in without_traffic]
    for number in numbers[:_MOST_OBJECTS]:
        change = changes[number]
        set_back = _swapped(new, change.new, change.old)
        found = _differing(new, set_back, met)
        if not found:
            found = _differing(old, _swapped(old, change.old, change.new), met)
        yield _Concern(number, set_back, found)


def _on_the_way(difference: Difference, concerns: Sequence[_Concern]) -> tuple[int, ...]:
    """Return the objects that concern the proxy which refuses, else those that concern any on the way."""
    old, new = difference.old, difference.new
    way = {*old.way, *new.way}
    # What refuses says most. What answers decides nothing: a gateway may have sent the request elsewhere.
    refusing = {effect.answerer for effect in (old, new) if not effect.allowed}
    found = [concern for concern in concerns if concern.workloads & way]
    chosen = [concern for concern in found if not refusing.isdisjoint(map(str, concern.workloads))] or found
    if not chosen and len(concerns) <= _FEW:
        chosen = list(concerns)  # the address of a name, or a pod without a proxy
    return tuple(concern.number for concern in chosen)


def _narrowed(findings: Sequence[Finding], set_back: dict[int, Side], asker: Asker) -> list[Finding]:
    """Return findings with those of several objects without which the change is gone."""
    groups: dict[object, list[int]] = defaultdict(list)
    for index, finding in enumerate(findings):
        if len(finding.because) > 1:
            old, new, caller = (
                finding.difference.old,
                finding.difference.new,
                finding.difference.question.caller,
            )
            alike = (finding.because, finding.kind, caller, old.answerer, old.reason, new.answerer)
            groups[alike].append(index)
    first = [indices[0] for indices in groups.values()]
    numbers = sorted({number for index in first for number in findings[index].because})
    if not numbers or len(numbers) > _MOST_SENT:
        return list(findings)
    decisive: dict[int, list[int]] = defaultdict(list)
    for number in numbers:
        asked = [index for index in first if number in findings[index].because]
        questions = [findings[index].difference.question for index in asked]
        for index, effect in zip(asked, asker.ask(set_back[number], questions), strict=True):
            left = change_of(findings[index].difference.old, effect)
            # What is refused once more counts, be it refused in another way than before.
            if not effect.unknown and (left is None or left.kind is not findings[index].kind):
                decisive[index].append(number)
    result = list(findings)
    for indices in groups.values():
        for index in indices if decisive[indices[0]] else ():
            result[index] = replace(findings[index], because=tuple(decisive[indices[0]]))
    return result


def _swapped(side: Side, taken: Manifest | None, put: Manifest | None) -> Side:
    """Return a side with another object in place of one of its own."""
    manifests: list[Manifest] = []
    for manifest in side.loaded.inputs.manifests:
        if taken is None or manifest.subject != taken.subject or manifest.group != taken.group:
            manifests.append(manifest)
        elif put is not None:
            manifests.append(put)
    if taken is None and put is not None:
        manifests.append(put)
    return side.with_manifests(manifests)


def _differing(one: Side, other: Side, refs: Iterable[WorkloadRef]) -> frozenset[WorkloadRef]:
    return frozenset(ref for ref in refs if one.text(ref) != other.text(ref))
