"""Regular expressions of manifests: texts that match, and whether a text does.

Python's `re` takes exponential time for some patterns, and a pattern of a manifest may be made for that. Here a match
is a walk over sets of positions, which is polynomial, and a budget bounds it. An expression that this module does not
read raises an error.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from meshlab.battery.expression_nodes import (
    Characters,
    Edge,
    Either,
    ExpressionError,
    Node,
    Repeat,
    Sequence,
)
from meshlab.battery.expression_reader import read
from meshlab.istio.read.re2 import regex_problem
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Expression", "ExpressionError", "expression"]

_BUDGET = 40_000
"""Steps of one match."""

_MOST_SAMPLES = 4
_FEW = 8
_MAX_SAMPLE = 200
_MOST_BORDERS = 48
_MOST_RUNS = 8
_PREFERRED = "a1-/_.A@ "


@lru_cache(maxsize=512)
def expression(pattern: str) -> Expression:
    """Read an expression.

    Raises:
        ExpressionError: RE2 refuses it, or this module does not read it.
    """
    if problem := regex_problem(pattern):
        raise ExpressionError(problem)
    return Expression(*read(pattern))


@dataclass(frozen=True)
class Expression:
    """A regular expression that must match a whole text, as Istio uses them.

    Attributes:
        root: Its parts.
        ignore_case: Whether it begins with `(?i)`.
    """

    root: Node
    ignore_case: bool = False

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches.

        Raises:
            ExpressionError: It takes too long to say.
        """
        return len(text) in _Match(text, ignore_case=self.ignore_case).ends(self.root, 0)

    def excluded(self) -> tuple[str, ...]:
        """Return the characters that its classes leave out, such as `/` of `[^/]`."""
        found: set[str] = set()
        waiting: list[Node] = [self.root]
        while waiting:
            match waiting.pop():
                case Characters(members=members, negated=True):
                    found |= members if len(members) <= _FEW else set()
                case Sequence(parts=parts):
                    waiting += parts
                case Either(branches=branches):
                    waiting += branches
                case Repeat(what=what):
                    waiting.append(what)
        return tuple(sorted(char for char in found if char.isprintable()))

    def samples(self) -> tuple[str, ...]:
        """Return a few texts that match, the plainest first."""
        found = dict.fromkeys(_samples(self.root, 0))
        return tuple(text for text in found if len(text) <= _MAX_SAMPLE and self.matches(text))

    def borders(self) -> tuple[str, ...]:
        """Return texts at the borders of what matches, inside and outside.

        Another expression often differs there alone: by one more branch, a longer range of characters or one more
        repetition. Each text differs from the plainest match in one part.
        """
        found = (text for text in _borders(self.root) if len(text) <= _MAX_SAMPLE)
        return tuple(dict.fromkeys(islice(found, _MOST_BORDERS)))


@dataclass
class _Match:
    text: str
    ignore_case: bool
    left: int = _BUDGET
    known: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)

    def ends(self, node: Node, start: int) -> frozenset[int]:
        """Return where a match that begins at a position may end."""
        key = (id(node), start)
        if key not in self.known:
            self.left -= 1
            if self.left < 0:
                raise ExpressionError("it takes too long to match")
            self.known[key] = self._ends(node, start)
        return self.known[key]

    def _ends(self, node: Node, start: int) -> frozenset[int]:
        match node:
            case Characters():
                at_char = start < len(self.text)
                fits = at_char and node.has(self.text[start], ignore_case=self.ignore_case)
                return frozenset((start + 1,)) if fits else frozenset()
            case Edge(end=end):
                return frozenset((start,)) if start == (len(self.text) if end else 0) else frozenset()
            case Sequence(parts=parts):
                here = frozenset((start,))
                for part in parts:
                    here = self._after(part, here)
                return here
            case Either(branches=branches):
                return frozenset(end for branch in branches for end in self.ends(branch, start))
            case Repeat():
                return self._repeated(node, start)

    def _after(self, node: Node, starts: frozenset[int]) -> frozenset[int]:
        return frozenset(end for start in starts for end in self.ends(node, start))

    def _repeated(self, node: Repeat, start: int) -> frozenset[int]:
        here = frozenset((start,))
        for _ in range(node.least):
            there = self._after(node.what, here)
            # What matches nothing at all may do so as often as is asked.
            if there == here or not there:
                here = there
                break
            here = there
        found, fresh, rounds = set(here), here, node.least
        while fresh and (node.most is None or rounds < node.most):
            fresh = self._after(node.what, fresh) - found
            found |= fresh
            rounds += 1
        return frozenset(found)


def _samples(node: Node, depth: int) -> tuple[str, ...]:
    match node:
        case Characters():
            pool = _PREFERRED if node.negated else [*_PREFERRED, *sorted(node.members)]
            return next(((char,) for char in pool if node.has(char, ignore_case=False)), ())
        case Edge():
            return ("",)
        case Sequence(parts=parts):
            choices = [_in_sequence(part, depth) for part in parts]
            if not all(choices):
                return ()
            first = "".join(choice[0] for choice in choices)
            others = [
                "".join(other if at == index else choice[0] for at, choice in enumerate(choices))
                for index, alternatives in enumerate(choices)
                for other in alternatives[1:]
            ]
            return tuple(dict.fromkeys((first, *others)))[:_MOST_SAMPLES]
        case Either(branches=branches):
            found = [text for branch in branches for text in _samples(branch, depth + 1)[:2]]
            return tuple(dict.fromkeys(found))[:_MOST_SAMPLES]
        case Repeat(what=what, least=least, most=most):
            inner = _samples(what, depth + 1)
            if not inner:
                return ("",) if least == 0 else ()
            usual = max(least, 1) if most != 0 else 0
            counts = [
                usual,
                *([usual + 1] if most is None or most > usual else []),
                *([0] if least == 0 else []),
            ]
            # A count may be a thousand; such a text would be cut anyway.
            return tuple(inner[0] * count for count in counts if len(inner[0]) * count <= _MAX_SAMPLE)


def _in_sequence(node: Node, depth: int) -> tuple[str, ...]:
    """Return samples of a part; a dot between other parts is mostly a dot that its author did not escape."""
    if isinstance(node, Characters) and node.negated and len(node.members) <= 1 and "." not in node.members:
        return (".",)
    return _samples(node, depth + 1)


def _plainest(node: Node) -> str:
    return next(iter(_samples(node, 0)), "")


def _borders(node: Node) -> Iterator[str]:
    match node:
        case Characters():
            yield from _ends_of_runs(node.members)
            yield from (char for char in _PREFERRED if node.has(char, ignore_case=False))
        case Edge():
            return
        case Sequence(parts=parts):
            plain = ["".join(_in_sequence(part, 0)[:1]) for part in parts]
            for at, part in enumerate(parts):
                before, after = "".join(plain[:at]), "".join(plain[at + 1 :])
                if len(before) + len(after) <= _MAX_SAMPLE:
                    yield from (f"{before}{text}{after}" for text in _borders(part))
        case Either(branches=branches):
            yield from map(_plainest, branches)
            for branch in branches:
                yield from _borders(branch)
        case Repeat(what=what, least=least, most=most):
            plain_one = _plainest(what)
            counts = [least - 1, *([] if most is None else [most, most + 1])]
            yield from (
                plain_one * count for count in counts if count >= 0 and len(plain_one) * count <= _MAX_SAMPLE
            )
            others = plain_one * max(least - 1, 0)
            if len(others) <= _MAX_SAMPLE:
                yield from (f"{text}{others}" for text in _borders(what))


def _ends_of_runs(members: frozenset[str]) -> Iterator[str]:
    """Yield the first and last character of each run of neighbours, and the characters beside it."""
    codes = sorted(map(ord, members))
    starts = [code for code in codes if chr(code - 1 if code else 0) not in members or code == 0]
    for start in starts[:_MOST_RUNS]:
        end = start
        while chr(end + 1) in members:
            end += 1
        yield from (chr(code) for code in (start, end, start - 1, end + 1) if chr(max(code, 0)).isprintable())
