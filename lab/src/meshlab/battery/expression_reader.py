"""Reader of regular expressions in RE2's syntax, as far as the battery takes them apart."""

from __future__ import annotations

from meshlab.battery.expression_nodes import Characters, Edge, Either, ExpressionError, Node, Repeat, Sequence

__all__ = ["read"]

_MAX_DEPTH = 40
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


def read(pattern: str) -> tuple[Node, bool]:
    """Return the parts of an expression, and whether it begins with `(?i)`.

    Raises:
        ExpressionError: It is not read here.
    """
    return _Reader(pattern).read()


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._text, self._at, self._depth = pattern, 0, 0

    def read(self) -> tuple[Node, bool]:
        ignore_case = self._text.startswith("(?i)")
        self._at = 4 if ignore_case else 0
        root = self._either()
        if self._at < len(self._text):
            raise ExpressionError(f"{self._text!r} cannot be taken apart")
        return root, ignore_case

    def _either(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError("its groups are nested too deeply")
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        self._depth -= 1
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            part = self._repeated(self._one())
            parts.append(part)
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, node: Node) -> Node:
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
        return Repeat(node, least, most)

    def _count(self) -> tuple[int, int | None] | None:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()):
            return None
        self._at = end + 1
        if not comma:
            return int(low), int(low)
        return int(low), int(high) if high else None

    def _one(self) -> Node:
        char = self._take()
        match char:
            case ".":
                return Characters(frozenset("\n"), negated=True)
            case "^":
                return Edge(end=False)
            case "$":
                return Edge(end=True)
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case _:
                return Characters(frozenset(char))

    def _group(self) -> Node:
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

    def _escape(self) -> Node:
        char = self._take()
        if char.lower() in _CLASSES:
            return Characters(_CLASSES[char.lower()], negated=char.isupper())
        if char in _ESCAPES:
            return Characters(frozenset(_ESCAPES[char]))
        if char == "A":
            return Edge(end=False)
        if char == "z":
            return Edge(end=True)
        if char.isalnum() or not char:
            raise ExpressionError(f"{self._text!r}: \\{char} is not read here")
        return Characters(frozenset(char))

    def _class(self) -> Node:
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
        return Characters(frozenset(members), negated)

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
            if not isinstance(escaped, Characters) or escaped.negated:
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
