"""Which value of which dimension meets which condition, as sets of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.battery.clauses import Atom, Clause, Way
    from meshlab.battery.request_values import Value

__all__ = ["Assignment", "Table"]

Assignment = dict[str, int]
"""Dimension to the number of its value."""


class Table:
    """The values of a way, and which of them meet what.

    Args:
        way: The way.
    """

    """Which value of which dimension meets which atom, as sets of bits."""

    def __init__(self, way: Way) -> None:
        self.values: Mapping[str, Sequence[Value]] = way.values
        self.everything = {name: (1 << len(values)) - 1 for name, values in way.values.items()}
        self._bits: dict[Atom, int] = {}
        self._texts: dict[tuple[object, ...], dict[str, int]] = {}
        # By identity, with the clause beside it, which keeps the identity from being given to another one.
        self._clauses: dict[int, tuple[Clause, dict[str, int]]] = {}

    def bits(self, atom: Atom) -> int:
        """Return the values that meet an atom."""
        found = self._bits.get(atom)
        if found is None:
            found = self._bits[atom] = self._new_bits(atom)
        return found

    def _new_bits(self, atom: Atom) -> int:
        found = 0
        pattern = atom.pattern
        if atom.reads is None or pattern is None:
            for number, value in enumerate(self.values.get(atom.dimension, ())):
                if atom.holds(value):
                    found |= 1 << number
            return found
        ignores_case = pattern.ignore_case and pattern.kind != "regex"
        texts = self._texts_read(atom.dimension, atom.reads, lower=ignores_case)
        if pattern.kind == "exact":
            return texts.get(pattern.value.lower() if ignores_case else pattern.value, 0)
        for text, bits in texts.items():
            if pattern.meets(text):
                found |= bits
        return found

    def _texts_read(
        self, dimension: str, reads: Callable[[Value], str | None], *, lower: bool
    ) -> dict[str, int]:
        """Return each text that conditions read from the values of a dimension, with the values that have it."""
        key = (dimension, reads, lower)
        if key not in self._texts:
            found: dict[str, int] = {}
            for number, value in enumerate(self.values.get(dimension, ())):
                text = reads(value)
                if text is not None:
                    text = text.lower() if lower else text
                    found[text] = found.get(text, 0) | 1 << number
            self._texts[key] = found
        return self._texts[key]

    def of(self, clause: Clause) -> dict[str, int]:
        """Return the values that meet a clause, by dimension; dimensions that it does not look at are left out."""
        found: dict[str, int] = {}
        for requirement in clause.requirements:
            name = requirement.dimension
            if name not in self.everything:
                continue
            bits = self.everything[name]
            if requirement.any_of:
                any_bits = 0
                for atom in requirement.any_of:
                    any_bits |= self.bits(atom)
                bits &= any_bits
            for atom in requirement.none_of:
                bits &= ~self.bits(atom)
            found[name] = found.get(name, self.everything[name]) & bits
        return found

    def both(
        self, known: Mapping[str, int], clause: Clause, *, tolerant: bool = False
    ) -> dict[str, int] | None:
        """Return the values that meet a clause and what is known; `None` where a dimension has none.

        Args:
            known: What is left of each dimension.
            clause: The clause.
            tolerant: Whether a dimension with one value is left as it is: that value is not ours to choose.
        """
        found = dict(known)
        for name, bits in self.of_cached(clause).items():
            left = found.get(name, self.everything[name]) & bits
            if not left and not (tolerant and len(self.values[name]) == 1):
                return None
            found[name] = left or self.everything[name]
        return found

    def holds(self, clause: Clause, numbers: Assignment, *, without: str = "") -> bool:
        """Return whether an assignment meets a clause, whatever it says about one dimension."""
        return all(
            bits >> numbers[name] & 1
            for name, bits in self.of_cached(clause).items()
            if name != without and len(self.values[name]) > 1
        )

    def of_cached(self, clause: Clause) -> dict[str, int]:
        """Return the same as `of`, and keep it for the next call."""
        key = id(clause)
        if key not in self._clauses:
            self._clauses[key] = (clause, self.of(clause))
        return self._clauses[key][1]
