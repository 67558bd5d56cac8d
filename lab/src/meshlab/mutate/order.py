"""Order of cases: those first that are likely to catch a mutant."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.case import Case
    from meshlab.mutate.mutants import Mutant

__all__ = ["Order", "likeness"]

_HINTS = {
    "hosts": ("Host",),
    "paths": ("segment", "word", "slash", "path"),
    "notPaths": ("dot segment", "%2e%2e;"),
    "principals": ("neighbour", "identity"),
    "requestPrincipals": ("subject",),
    "request.auth.audiences": ("audience",),
    "request.headers[upgrade]": ("WebSocket",),
    "audiences": ("audience",),
    "fromParams": ("query",),
    "fromHeaders": ("query",),
    "fromCookies": ("cookie",),
    "remove": ("without the headers",),
    "regex": ("parameter",),
    "queryParams": ("query",),
    "mtls": ("plaintext",),
}
"""Words of cases that are about a field."""
_NO_HINT = ("removed", "for", "added", "another", "any", "value")


class Order:
    """What caught mutants so far, and the order of cases that follows from it."""

    def __init__(self) -> None:
        self._roles: dict[str, Counter[str]] = defaultdict(Counter)
        self._cases: dict[object, Counter[str]] = defaultdict(Counter)

    def caught(self, mutant: Mutant, case: Case) -> None:
        """Note that a case caught a mutant."""
        self._roles[likeness(mutant)][_role(case.name)] += 1
        self._cases[_field(mutant)][case.name] += 1

    def of(self, mutant: Mutant, cases: Sequence[Case]) -> list[Case]:
        """Return cases with those first that caught the like."""
        roles, here = self._roles[likeness(mutant)], self._cases[_field(mutant)]
        words = _words(mutant)

        def rank(case: Case) -> tuple[int, int, int]:
            hints = sum(word in case.name for word in words)
            return (-roles[_role(case.name)], -here[case.name], -hints)

        return sorted(cases, key=rank)


def likeness(mutant: Mutant) -> str:
    """Return what a mutant has in common with those of other objects."""
    change = mutant.change if mutant.path.endswith("methods") else re.sub(r"[^*{} ]+", "x", mutant.change)
    return f"{mutant.kind} {re.sub('[0-9]+', 'N', mutant.path)} {change}"


def _field(mutant: Mutant) -> object:
    return (mutant.kind, mutant.namespace, mutant.name, re.sub("[0-9]+", "N", mutant.path))


def _words(mutant: Mutant) -> list[str]:
    """Return words by which cases about a mutant may be known: of its object, its field and its change."""
    written = mutant.change.split()
    fields = [*mutant.path.split("."), *written]
    hints = [word for field in fields for word in _HINTS.get(field, ())]
    changed = [word for word in written if len(word) > 2 and word not in _NO_HINT]
    return [*mutant.name.split("-"), *hints, *hints, *hints, *changed]


def _role(name: str) -> str:
    """Return what a case has in common with those of other callers and services."""
    return name.partition(": ")[2] or name
