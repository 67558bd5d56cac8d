"""Regular expressions of manifests: texts that match, and whether a text does.

Python's `re` takes exponential time for some patterns, and a pattern of a manifest may be made for that. Here a match
is a walk over sets of positions, which is polynomial, and a budget bounds it. An expression that this module does not
read raises an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from meshlab.istio.read.re2 import regex_problem

__all__ = ["Expression", "ExpressionError", "expression"]

_BUDGET = 40_000
"""Steps of one match."""

_MAX_DEPTH = 40
_MOST_SAMPLES = 4
_MAX_SAMPLE = 200
_PREFERRED = "a1-/_.A@ "
_DIGITS, _SPACES = frozenset("0123456789"), frozenset("\t\n\f\r ")
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_CLASSES = {"d": _DIGITS, "s": _SPACES, "w": _WORD}
_POSIX = {
    "alnum": _WORD - {"_"},
    "alpha": _WORD - {"_"} - _DIGITS,
    "digit": _DIGITS,
    "lower": frozenset("abcdefghijklmnopqrstuvwxyz"),
    "upper": frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "space": _SPACES,
    "word": _WORD,
    "xdigit": frozenset("0123456789abcdefABCDEF"),
}
_ESCAPES = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class ExpressionError(Exception):
    """An expression that this module does not read, or that takes too long."""


@dataclass(frozen=True)
class _Characters:
    members: frozenset[str]
    negated: bool = False

    def has(self, char: str, *, ignore_case: bool) -> bool:
        found = char in self.members
        if ignore_case and not found:
            found = char.lower() in self.members or char.upper() in self.members
        return found != self.negated


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Either:
    branches: tuple[_Node, ...]


@dataclass(frozen=True)
class _Repeat:
    what: _Node
    least: int
    most: int | None


@dataclass(frozen=True)
class _Edge:
    """The beginning or the end of the text."""

    end: bool


_Node = _Characters | _Sequence | _Either | _Repeat | _Edge


@lru_cache(maxsize=512)
def expression(pattern: str) -> Expression:
    """Read an expression.

    Raises:
        ExpressionError: RE2 refuses it, or this module does not read it.
    """
    if problem := regex_problem(pattern):
        raise ExpressionError(problem)
    return _Reader(pattern).read()


@dataclass(frozen=True)
class Expression:
    """A regular expression that must match a whole text, as Istio uses them.

    Attributes:
        root: Its parts.
        ignore_case: Whether it begins with `(?i)`.
    """

    root: _Node
    ignore_case: bool = False

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches.

        Raises:
            ExpressionError: It takes too long to say.
        """
        return len(text) in _Match(text, ignore_case=self.ignore_case).ends(self.root, 0)

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

    def ends(self, node: _Node, start: int) -> frozenset[int]:
        """Return where a match that begins at a position may end."""
        key = (id(node), start)
        if key not in self.known:
            self.left -= 1
            if self.left < 0:
                raise ExpressionError("it takes too long to match")
            self.known[key] = self._ends(node, start)
        return self.known[key]

    def _ends(self, node: _Node, start: int) -> frozenset[int]:
        match node:
            case _Characters():
                at_char = start < len(self.text)
                fits = at_char and node.has(self.text[start], ignore_case=self.ignore_case)
                return frozenset((start + 1,)) if fits else frozenset()
            case _Edge(end=end):
                return frozenset((start,)) if start == (len(self.text) if end else 0) else frozenset()
            case _Sequence(parts=parts):
                here = frozenset((start,))
                for part in parts:
                    here = self._after(part, here)
                return here
            case _Either(branches=branches):
                return frozenset(end for branch in branches for end in self.ends(branch, start))
            case _Repeat():
                return self._repeated(node, start)

    def _after(self, node: _Node, starts: frozenset[int]) -> frozenset[int]:
        return frozenset(end for start in starts for end in self.ends(node, start))

    def _repeated(self, node: _Repeat, start: int) -> frozenset[int]:
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


def _samples(node: _Node, depth: int) -> tuple[str, ...]:
    match node:
        case _Characters():
            pool = _PREFERRED if node.negated else [*_PREFERRED, *sorted(node.members)]
            return next(((char,) for char in pool if node.has(char, ignore_case=False)), ())
        case _Edge():
            return ("",)
        case _Sequence(parts=parts):
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
        case _Either(branches=branches):
            found = [text for branch in branches for text in _samples(branch, depth + 1)[:2]]
            return tuple(dict.fromkeys(found))[:_MOST_SAMPLES]
        case _Repeat(what=what, least=least, most=most):
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


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._text, self._at, self._depth = pattern, 0, 0

    def read(self) -> Expression:
        ignore_case = self._text.startswith("(?i)")
        self._at = 4 if ignore_case else 0
        root = self._either()
        if self._at < len(self._text):
            raise ExpressionError(f"{self._text!r} cannot be taken apart")
        return Expression(root, ignore_case)

    def _either(self) -> _Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError("its groups are nested too deeply")
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        self._depth -= 1
        return branches[0] if len(branches) == 1 else _Either(tuple(branches))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            part = self._repeated(self._one())
            parts.append(part)
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _repeated(self, node: _Node) -> _Node:
        least, most = 1, 1
        char = self._peek()
        if char in ("*", "+", "?"):
            self._at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]  # type: ignore[assignment]
        elif char == "{" and (count := self._count()):
            least, most = count  # type: ignore[assignment]
        else:
            return node
        if self._peek() == "?":
            self._at += 1
        return _Repeat(node, least, most)

    def _count(self) -> tuple[int, int | None] | None:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()):
            return None
        self._at = end + 1
        if not comma:
            return int(low), int(low)
        return int(low), int(high) if high else None

    def _one(self) -> _Node:
        char = self._take()
        match char:
            case ".":
                return _Characters(frozenset("\n"), negated=True)
            case "^":
                return _Edge(end=False)
            case "$":
                return _Edge(end=True)
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case _:
                return _Characters(frozenset(char))

    def _group(self) -> _Node:
        if self._peek() == "?":
            if self._text.startswith("?:", self._at):
                self._at += 2
            elif (end := self._text.find(">", self._at)) > 0 and self._text.startswith(
                ("?P<", "?<"), self._at
            ):
                self._at = end + 1
            else:
                raise ExpressionError(f"{self._text!r} sets flags within")
        inner = self._either()
        if self._take() != ")":
            raise ExpressionError(f"{self._text!r} cannot be taken apart")
        return inner

    def _escape(self) -> _Node:
        char = self._take()
        if char.lower() in _CLASSES:
            return _Characters(_CLASSES[char.lower()], negated=char.isupper())
        if char in _ESCAPES:
            return _Characters(frozenset(_ESCAPES[char]))
        if char == "A":
            return _Edge(end=False)
        if char == "z":
            return _Edge(end=True)
        if char.isalnum() or not char:
            raise ExpressionError(f"{self._text!r}: \\{char} is not read here")
        return _Characters(frozenset(char))

    def _class(self) -> _Node:
        negated = self._peek() == "^"
        self._at += negated
        members: set[str] = set()
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._member(members)
            if low and self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._member(set())
                if not high or ord(high) - ord(low) > 0xFFF:
                    raise ExpressionError(f"{self._text!r}: a range is not read here")
                members.update(map(chr, range(ord(low), ord(high) + 1)))
        self._at += 1
        return _Characters(frozenset(members), negated)

    def _member(self, members: set[str]) -> str:
        """Read one member of a class into a set; return it where it is a single character."""
        if self._text.startswith("[:", self._at):
            end = self._text.find(":]", self._at)
            name = self._text[self._at + 2 : end]
            if name not in _POSIX:
                raise ExpressionError(f"{self._text!r}: [:{name}:] is not read here")
            members |= _POSIX[name]
            self._at = end + 2
            return ""
        char = self._take()
        if char == "\\":
            escaped = self._escape()
            if not isinstance(escaped, _Characters) or escaped.negated:
                raise ExpressionError(f"{self._text!r}: a class within a class is not read here")
            members |= escaped.members
            return next(iter(escaped.members)) if len(escaped.members) == 1 else ""
        if not char:
            raise ExpressionError(f"{self._text!r} cannot be taken apart")
        members.add(char)
        return char

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        self._at += 1
        return char
