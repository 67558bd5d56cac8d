"""Objects whose change is likely why a request ends otherwise.

Each changed object is set back alone: the workloads whose configuration is another one then are those that its change
concerns. Where several objects change the same, setting back one has no effect; then each is put into the old manifests
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.diff.effect import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.diff.compare import Difference
    from meshlab.diff.objects import ObjectChange
    from meshlab.diff.side import Side
    from meshlab.istio.read.names import WorkloadRef
    from meshlab.manifest import Manifest

__all__ = ["MOST_OBJECTS", "Concern", "concerns", "responsible"]

MOST_OBJECTS = 40
"""How many changed objects are set back one by one; each costs a reading of the manifests."""


@dataclass(frozen=True)
class Concern:
    """A changed object, and the workloads that its change concerns.

    Attributes:
        change: The object.
        workloads: The workloads whose configuration it changes, as far as requests met them.
    """

    change: ObjectChange
    workloads: frozenset[WorkloadRef]


def concerns(
    old: Side, new: Side, changes: Sequence[ObjectChange], met: Iterable[WorkloadRef]
) -> list[Concern]:
    """Return which workloads each changed object concerns.

    Args:
        old: The mesh before.
        new: The mesh now.
        changes: The objects that differ.
        met: The workloads that the requests met which end otherwise.
    """
    refs = frozenset(met)
    without_traffic = {manifest.subject for side in (old, new) for manifest in side.mesh.passed_over}
    found: list[Concern] = []
    for change in changes:
        if change.subject in without_traffic or len(found) == MOST_OBJECTS:
            continue
        concerned = _differing(new, _swapped(new, change.new, change.old), refs)
        concerned = concerned or _differing(old, _swapped(old, change.old, change.new), refs)
        found.append(Concern(change, concerned))
    return found


def responsible(difference: Difference, found: Sequence[Concern]) -> tuple[ObjectChange, ...]:
    """Return the objects whose change is likely why a request ends otherwise, without those that concern others only.

    Args:
        difference: The request.
        found: The changed objects.
    """
    old, new, change = difference.old, difference.new, difference.change
    way = {*old.way, *new.way}
    # What refuses on the one side says most: what let the request pass there has not refused it here.
    deciding = new.answerer if change and change.kind is Kind.NOW_REFUSED else old.answerer
    at_way = [concern for concern in found if concern.workloads & way]
    at_decision = [concern for concern in at_way if deciding in map(str, concern.workloads)]
    chosen = at_decision or at_way
    if not chosen and len(found) <= _FEW:
        chosen = list(found)  # a name's address, or a pod without a proxy
    return tuple(concern.change for concern in chosen)


_FEW = 3


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


def _differing(one: Side, other: Side, refs: frozenset[WorkloadRef]) -> frozenset[WorkloadRef]:
    return frozenset(ref for ref in refs if one.text(ref) != other.text(ref))
