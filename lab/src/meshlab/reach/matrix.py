"""Matrix of one target: callers by request classes. Callers that are treated alike are one row, requests one column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import FromOutside, FromWorkload
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.battery.battery import Question
    from meshlab.reach.outcome import Answer

__all__ = ["Block", "Matrix", "matrices"]

_PAST = "past their sidecars, to the pod itself"
_THROUGH = "through their own sidecars"


@dataclass(frozen=True)
class Block:
    """The requests to one target that enter the mesh in one way.

    Attributes:
        title: The way, such as `outside shop/gateway`.
        answers: The answers.
        rows: The callers, those that are treated alike together; those that get in first.
        columns: The requests, those that are treated alike together.
    """

    title: str
    answers: tuple[Answer, ...]
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[tuple[str, ...], ...]

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

    def everyone(self, row: Sequence[str]) -> tuple[str, ...]:
        """Return the callers of a row, and those that no condition distinguishes from one of them."""
        return _callers(answer for answer in self.answers if answer.question.caller in row)

    def short(self, caller: str) -> str:
        """Return the name of a caller without what the title says."""
        if self.title == _PAST:
            return caller.replace(" past its sidecar", "", 1)
        return caller.removeprefix(self.title).removeprefix(", ") or "no token"


@dataclass(frozen=True)
class Matrix:
    """What became of the requests to one target.

    Attributes:
        target: The workload or the host.
        answers: All answers.
        blocks: The same, by the way that the requests enter.
    """

    target: str
    answers: tuple[Answer, ...]
    blocks: tuple[Block, ...]

    @property
    def callers(self) -> tuple[str, ...]:
        """All callers, in order, with those that are like one of them."""
        return _callers(self.answers)

    @property
    def reached_by(self) -> tuple[str, ...]:
        """The callers of which a request got in at the target itself."""
        return _callers(
            answer for answer in self.answers if answer.access == "allowed" and not answer.elsewhere
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The callers that did not get in, and of which a request was not judged or could not be run."""
        doubtful = _callers(answer for answer in self.answers if answer.access in ("not judged", "error"))
        return tuple(name for name in doubtful if name not in self.reached_by)


def matrices(answers: Iterable[Answer]) -> tuple[Matrix, ...]:
    """Return a matrix for each target, in the order of the answers."""
    by_target: dict[str, list[Answer]] = {}
    for answer in answers:
        by_target.setdefault(answer.question.target, []).append(answer)
    return tuple(Matrix(target, tuple(found), tuple(_blocks(found))) for target, found in by_target.items())


def _callers(answers: Iterable[Answer]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for answer in answers:
        found |= dict.fromkeys(answer.question.callers)
    return tuple(found)


def _blocks(answers: Sequence[Answer]) -> Iterable[Block]:
    by_way: dict[str, list[Answer]] = {}
    for answer in answers:
        by_way.setdefault(_way(answer.question), []).append(answer)
    for title, found in by_way.items():
        cells: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
        for answer in found:
            key = (answer.question.caller, answer.question.request_class)
            cells.setdefault(key, []).append((answer.access, answer.word, answer.by))
        callers = list(dict.fromkeys(caller for caller, _ in cells))
        requests = list(dict.fromkeys(request for _, request in cells))
        rows = _alike(callers, {name: [cells.get((name, each)) for each in requests] for name in callers})
        let_in = {answer.question.caller for answer in found if answer.access == "allowed"}
        rows = tuple(sorted(rows, key=lambda row: not let_in.intersection(row)))
        columns = _alike(requests, {name: [cells.get((row[0], name)) for row in rows] for name in requests})
        yield Block(title, tuple(found), rows, columns)


def _way(question: Question) -> str:
    sender = question.case.sender
    if isinstance(sender, FromOutside):
        return f"outside {sender.gateway}"
    return _THROUGH if isinstance(sender, FromWorkload) else _PAST


def _alike(
    names: Sequence[str], cells: Mapping[str, Sequence[Sequence[tuple[str, str, str]] | None]]
) -> tuple[tuple[str, ...], ...]:
    found: dict[object, list[str]] = {}
    for name in names:
        found.setdefault(tuple(tuple(each) if each else None for each in cells[name]), []).append(name)
    return tuple(tuple(together) for together in found.values())
