"""Parts of regular expressions."""

from __future__ import annotations

from meshlab.quick_dataclass import dataclass

__all__ = ["Characters", "Edge", "Either", "ExpressionError", "Node", "Repeat", "Sequence"]


class ExpressionError(Exception):
    """An expression that this module does not read, or that takes too long."""


@dataclass(frozen=True)
class Characters:
    """One character of a class, or one that is not in it."""

    members: frozenset[str]
    negated: bool = False

    def has(self, char: str, *, ignore_case: bool) -> bool:
        """Return whether a character is one of them."""
        found = char in self.members
        if ignore_case and not found:
            found = char.lower() in self.members or char.upper() in self.members
        return found != self.negated


@dataclass(frozen=True)
class Sequence:
    """Parts one after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """One of several."""

    branches: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """A part several times; without an upper limit where `most` is `None`."""

    what: Node
    least: int
    most: int | None


@dataclass(frozen=True)
class Edge:
    """The beginning or the end of the text."""

    end: bool


Node = Characters | Sequence | Either | Repeat | Edge
