"""Result of comparing two inputs, as the reports show it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshlab.diff.effect import Kind
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.battery.battery import Question
    from meshlab.diff.ask import Asker
    from meshlab.diff.compare_meshes import Compared, Difference
    from meshlab.diff.object_changes import ObjectChange
    from meshlab.istio import Mesh

__all__ = ["Finding", "Result"]


@dataclass(frozen=True)
class Finding:
    """A request that ends otherwise.

    Attributes:
        difference: The request, and what became of it on both sides.
        because: The objects whose change is likely why, as numbers in the result's `objects`.
    """

    difference: Difference
    because: tuple[int, ...] = ()

    @property
    def kind(self) -> Kind:
        """The gravest of what changed."""
        change = self.difference.change
        assert change is not None, "a finding without a change"  # noqa: S101 - never so built
        return change.kind


@dataclass(frozen=True)
class Result:
    """What two inputs differ in.

    Attributes:
        old: What to call the old input.
        new: What to call the new one.
        findings: The requests that end otherwise, the gravest kind first.
        not_known: Those of which that is not known: not judged, or failed, on one side or both.
        objects: The objects that differ.
        is_same: Whether every proxy is configured alike on both sides, so that nothing was started.
        compared: How many requests were compared.
        sent_again: How many of them were sent to the new mesh; all others meet nothing that differs.
        nowhere: The requests that neither side has the sender or the target for.
        by_chance: The requests whose effects vary in the same way on both sides.
        not_covered: What was not asked, one sentence each.
        notes: What is to be known about the inputs.
        duration_s: Seconds that the comparison took.
        mesh: The new mesh, for a drawing; `None` where it is not known.
        comparisons: The comparisons that it is made of, each with what sent its requests, to send them once more.
    """

    old: str
    new: str
    findings: tuple[Finding, ...] = ()
    not_known: tuple[Difference, ...] = ()
    objects: tuple[ObjectChange, ...] = ()
    is_same: bool = False
    compared: int = 0
    sent_again: int = 0
    nowhere: tuple[Question, ...] = ()
    by_chance: tuple[Question, ...] = ()
    not_covered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    duration_s: float = 0.0
    mesh: Mesh | None = None
    comparisons: tuple[tuple[Compared, Asker], ...] = ()

    def of(self, kind: Kind) -> list[Finding]:
        """Return the requests whose gravest change is of a kind."""
        return [finding for finding in self.findings if finding.kind is kind]

    @property
    def counts(self) -> dict[Kind, int]:
        """How many requests there are of each kind that occurs, the gravest first."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in Kind if found[kind]}

    @property
    def failed(self) -> tuple[Difference, ...]:
        """The requests that could not be compared because the bench or a proxy failed."""
        return tuple(each for each in self.not_known if each.old.failed or each.new.failed)

    @property
    def not_judged(self) -> tuple[Difference, ...]:
        """The requests that cross a proxy with settings that the compiler does not know."""
        return tuple(each for each in self.not_known if not (each.old.failed or each.new.failed))
