"""Questions of `meshlab init`, for two meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.battery import Battery
from meshlab.bench.first_cases import draft_of, questions
from meshlab.bench.mesh_survey import survey_of
from meshlab.diff.questions import question_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio import Mesh

__all__ = ["derive"]


def derive(meshes: Sequence[Mesh]) -> Battery:
    """Return the first questions to each of the meshes."""
    drafts = [draft_of(survey_of(mesh)) for mesh in meshes]
    found = [
        question_of(case)
        for number, draft in enumerate(drafts)
        if not draft.empty
        for case in questions(draft, f"battery {number}").cases
    ]
    return Battery(
        tuple(found), not_covered=tuple(dict.fromkeys(text for draft in drafts for text in draft.left_out))
    )
