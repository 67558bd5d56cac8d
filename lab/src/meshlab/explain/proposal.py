"""A change that could let a refused request past the step that refused it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.case import Case
    from meshlab.explain.edits import Edit
    from meshlab.explain.explanation import ChangePart

__all__ = ["Proposal"]


@dataclass(frozen=True)
class Proposal:
    """A change of manifests, of the request, or of both.

    Attributes:
        edits: What to change in manifests.
        case: The request with what the caller has to do otherwise; `None` for the same request.
        parts: What to do otherwise, in words.
        alone: Whether it is of use only where it is enough.
    """

    edits: tuple[Edit, ...] = ()
    case: Case | None = None
    parts: tuple[ChangePart, ...] = ()
    alone: bool = False

    def then(self, other: Proposal) -> Proposal:
        """Return both changes as one."""
        edits = (*self.edits, *(edit for edit in other.edits if edit not in self.edits))
        return Proposal(edits, other.case or self.case, (*self.parts, *other.parts))

    @property
    def all_parts(self) -> tuple[ChangePart, ...]:
        """All of it, for an explanation."""
        return (*(edit.part for edit in self.edits), *self.parts)
