"""Matrix of one target: callers by request classes. Callers that are treated alike are one row, requests one column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.reach.answer import Answer

__all__ = ["Matrix", "matrices"]


@dataclass(frozen=True)
class Matrix:
    """What became of the requests to one target.

    Attributes:
        target: The workload or the host.
        answers: All answers.
        rows: The callers, those that are treated alike together.
        columns: The requests, those that are treated alike together.
    """

    target: str
    answers: tuple[Answer, ...]
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[tuple[str, ...], ...]

    @property
    def callers(self) -> tuple[str, ...]:
        """All callers, in order."""
        return tuple(dict.fromkeys(answer.question.caller for answer in self.answers))

    @property
    def reached_by(self) -> tuple[str, ...]:
        """The callers of which a request got in at the target itself."""
        found = (
            answer.question.caller
            for answer in self.answers
            if answer.access == "allowed" and not answer.elsewhere
        )
        return tuple(dict.fromkeys(found))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The callers that did not get in, and of which a request was not judged or could not be run."""
        doubtful = (
            answer.question.caller for answer in self.answers if answer.access in ("not judged", "error")
        )
        return tuple(name for name in dict.fromkeys(doubtful) if name not in self.reached_by)

    def at(self, row: Sequence[str], column: Sequence[str]) -> Answer | None:
        """Return the answer in a cell; `None` where nothing was asked."""
        return next(
            (
                answer
                for answer in self.answers
                if answer.question.caller in row and answer.question.request_class in column
            ),
            None,
        )


def matrices(answers: Iterable[Answer]) -> tuple[Matrix, ...]:
    """Return a matrix for each target, in the order of the answers; workloads and hosts that none is for are last."""
    by_target: dict[str, list[Answer]] = {}
    for answer in answers:
        by_target.setdefault(answer.question.target, []).append(answer)
    return tuple(_matrix(target, found) for target, found in by_target.items())


def _matrix(target: str, answers: Sequence[Answer]) -> Matrix:
    cells = {
        (answer.question.caller, answer.question.request_class): (answer.access, answer.word, answer.by)
        for answer in answers
    }
    callers = list(dict.fromkeys(caller for caller, _ in cells))
    requests = list(dict.fromkeys(request for _, request in cells))
    rows = _alike(callers, {name: [cells.get((name, request)) for request in requests] for name in callers})
    columns = _alike(requests, {name: [cells.get((row[0], name)) for row in rows] for name in requests})
    return Matrix(target, tuple(answers), rows, columns)


def _alike(names: Sequence[str], cells: Mapping[str, Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    found: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        found.setdefault(tuple(cells[name]), []).append(name)
    return tuple(tuple(together) for together in found.values())
