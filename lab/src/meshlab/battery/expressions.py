"""Regular expressions of manifests: texts that match, and whether a text does.

Python's `re` takes exponential time for some patterns, and a pattern of a manifest may be made for that. Here a match
is a walk over sets of positions, which is polynomial, and a budget bounds it. An expression that this module does not
read raises an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

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

__all__ = ["Expression", "ExpressionError", "expression"]

_BUDGET = 40_000
"""Steps of one match."""

_MOST_SAMPLES = 4
_FEW = 8
_MAX_SAMPLE = 200
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
            choices = [_samples(part, depth + 1) for part in parts]
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
