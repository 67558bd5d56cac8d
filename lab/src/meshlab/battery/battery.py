"""A battery: requests that between them ask everything that manifests mention."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.bench.protocol import Setup
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.case import Case

__all__ = ["Battery", "Question"]


@dataclass(frozen=True)
class Question:
    """One request of a battery.

    Attributes:
        case: The request, without an expectation. Its name is unique in the battery.
        caller: Who sends it and with which token, as a row of a matrix, such as `shop/cart` or
            `outside edge/public, token of https://idp.example`.
        target: The workload (`NAMESPACE/NAME`) or the host that it is for.
        request_class: What is sent, as a column of a matrix, such as `GET /profile/1`.
        alike: Further workloads that no condition distinguishes from the caller, so that they are not asked.
        answerers: Who may answer in place of the target: the other servers behind the same route or host, of any of the
            meshes. It is for a matrix of one mesh; whether two meshes differ by more than chance is said by
            `bench.verdicts.chance` of both.
    """

    case: Case
    caller: str
    target: str
    request_class: str
    alike: tuple[str, ...] = ()
    answerers: tuple[str, ...] = ()

    @property
    def callers(self) -> tuple[str, ...]:
        """The caller, and each workload that is like it with the same token."""
        with_what = self.caller.removeprefix(self.caller.partition(", ")[0])
        return (self.caller, *(f"{workload}{with_what}" for workload in self.alike))


@dataclass(frozen=True)
class Battery:
    """Requests to a mesh, none of which is equivalent to another.

    Attributes:
        questions: The requests.
        setup: What they need around them.
        not_covered: What the battery does not ask, one sentence each.
    """

    questions: tuple[Question, ...] = ()
    setup: Setup = field(default_factory=Setup)
    not_covered: tuple[str, ...] = ()
