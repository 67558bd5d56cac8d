"""`-k`: which cases to run, by words of their names."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshlab.bench.case import Case

__all__ = ["SelectionError", "select", "selector"]

_SHOWN = 3
_LONGEST = 80
_OPERATORS = ("and", "or", "not", "(", ")")


class SelectionError(LabError):
    """An expression cannot be read, or selects nothing."""


def select(cases: Sequence[Case], expression: str, *, option: str = "-k") -> list[Case]:
    """Return the cases that an expression selects.

    Args:
        cases: The cases.
        expression: The expression.
        option: The option that it is written with, for messages.

    Raises:
        SelectionError: The expression cannot be read, or selects no case.
    """
    matches = selector(expression, option=option)
    found = [case for case in cases if matches(f"{case.place.file} {case.name}")]
    if not found:
        raise SelectionError(
            f"{option} {expression!r} selects none of the {len(cases)} cases;"
            f" {_names_for(expression, [case.name for case in cases])}"
        )
    return found


def _names_for(expression: str, names: Sequence[str]) -> str:
    """Return what to write in place of an expression that selects nothing."""
    words = [word.lower() for word in expression.replace("(", " ").replace(")", " ").split()]
    words = [word for word in words if word not in _OPERATORS]
    close = [name for name in names if any(word in name.lower() for word in words)]
    close = close or difflib.get_close_matches(" ".join(words), names, n=_SHOWN, cutoff=0.4)
    shown = (close or list(names))[:_SHOWN]
    quoted = ", ".join(repr(" ".join(name.split())[:_LONGEST]) for name in shown)
    return f"use words of their names, such as those of {quoted}" if quoted else "there is no case"


def selector(expression: str, *, option: str = "-k") -> Callable[[str], bool]:
    """Return what an expression asks of a name.

    Words next to each other are one text that the name must hold, in any case of letters. `and`, `or`, `not` and
    parentheses join them; `not` binds tighter than `and`, `and` tighter than `or`.

    Raises:
        SelectionError: The expression cannot be read.
    """
    tokens = expression.replace("(", " ( ").replace(")", " ) ").split()
    if not tokens:
        raise SelectionError(f"{option} is empty; write words of the names of cases")
    parser = _Parser(tokens, f"{option} {expression!r}")
    found = parser.alternatives()
    if parser.rest:
        raise parser.error(f"{parser.rest[0]!r} does not belong here")
    return found


class _Parser:
    def __init__(self, tokens: list[str], written: str) -> None:
        self.rest = tokens
        self._written = written

    def error(self, problem: str) -> SelectionError:
        return SelectionError(f"{self._written}: {problem}; write words with and, or, not")

    def alternatives(self) -> Callable[[str], bool]:
        found = [self._conjunction()]
        while self._takes("or"):
            found.append(self._conjunction())
        return lambda name: any(matches(name) for matches in found)

    def _conjunction(self) -> Callable[[str], bool]:
        found = [self._negation()]
        while self._takes("and"):
            found.append(self._negation())
        return lambda name: all(matches(name) for matches in found)

    def _negation(self) -> Callable[[str], bool]:
        if self._takes("not"):
            denied = self._negation()
            return lambda name: not denied(name)
        if self._takes("("):
            found = self.alternatives()
            if not self._takes(")"):
                raise self.error("a parenthesis is not closed")
            return found
        return self._words()

    def _words(self) -> Callable[[str], bool]:
        words: list[str] = []
        while self.rest and self.rest[0].lower() not in _OPERATORS:
            words.append(self.rest.pop(0))
        if not words:
            raise self.error(
                f"a word is missing before {self.rest[0]!r}" if self.rest else "a word is missing at the end"
            )
        text = " ".join(words).lower()
        return lambda name: text in " ".join(name.lower().split())

    def _takes(self, operator: str) -> bool:
        if self.rest and self.rest[0].lower() == operator:
            self.rest.pop(0)
            return True
        return False
