"""Order of cases: those first that are likely to catch a mutant."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING

from meshlab.mutate.written import text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
_KEEP_OUT = ("PeerAuthentication", "Gateway")
"""Kinds whose weaker form lets in what they refused; other kinds may also answer otherwise."""
_NO_HINT = ("removed", "for", "added", "another", "any", "value")


class Order:
    """What caught mutants so far, and the order of cases that follows from it."""

    def __init__(self) -> None:
        self._roles: dict[str, Counter[str]] = defaultdict(Counter)
        self._kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self._here: dict[object, Counter[str]] = defaultdict(Counter)

    def caught(self, mutant: Mutant, name: str) -> None:
        """Note that the case with this name caught a mutant."""
        alike = likeness(mutant)
        self._roles[alike][_role(name)] += 1
        self._kinds[alike][_general(name)] += 1
        self._here[_field(mutant)][name] += 1

    def of(
        self, mutant: Mutant, cases: Sequence[Case], refused: Callable[[Case], bool] = lambda _case: False
    ) -> list[Case]:
        """Return cases with those first that are likely to catch a mutant.

        Args:
            mutant: The mutant.
            cases: The cases.
            refused: Whether a case is refused by a proxy that the mutant changes.
        """
        alike = likeness(mutant)
        roles, kinds, here = self._roles[alike], self._kinds[alike], self._here[_field(mutant)]
        words = _words(mutant)
        own = [word for word in mutant.name.split("-") if len(word) > 2]

        def score(case: Case) -> float:
            learned = 8 * _some(roles[_role(case.name)]) + 6 * _some(kinds[_general(case.name)])
            hints = sum(word in case.name for word in words) + 3 * sum(word in case.name for word in own)
            return -(learned + 6 * _some(here[case.name]) + hints)

        kept_out = sorted((case for case in cases if refused(case)), key=score)
        let_in = sorted((case for case in cases if not refused(case)), key=score)
        if mutant.kind in _KEEP_OUT:
            return [*kept_out, *let_in] if mutant.weakens else [*let_in, *kept_out]
        taken_in_turn = (case for pair in zip_longest(let_in, kept_out) for case in pair if case is not None)
        # Of equal scores those stay in turn.
        return sorted(taken_in_turn, key=lambda case: -int(-score(case) / 6))


def likeness(mutant: Mutant) -> str:
    """Return what a mutant has in common with those of other objects."""
    change = mutant.change if mutant.path.endswith("methods") else re.sub(r"[^*{} ]+", "x", mutant.change)
    return f"{mutant.kind} {re.sub('[0-9]+', 'N', mutant.path)} {change}"


def _field(mutant: Mutant) -> object:
    return (mutant.kind, mutant.namespace, mutant.name, re.sub("[0-9]+", "N", mutant.path))


def _words(mutant: Mutant) -> list[str]:
    """Return words by which cases about a mutant may be known: of its object, its field and its change."""
    written = [*_keys(mutant), *mutant.change.split()]
    fields = [*mutant.path.split("."), *written]
    hints = [word for field in fields for word in _HINTS.get(field, ())]
    changed = [word for word in written if len(word) > 2 and word not in _NO_HINT]
    return [*hints, *changed, *_near_misses(mutant.change.rpartition(" becomes ")[2])]


def _near_misses(pattern: str) -> list[str]:
    """Return words of cases about values that only a pattern takes."""
    return ["begins like"] * pattern.endswith("*") + ["ends like"] * pattern.startswith("*")


def _keys(mutant: Mutant) -> list[str]:
    """Return what the condition of a policy looks at, such as `request.auth.claims[email]` and `email`."""
    path = mutant.made.path
    if "when" not in path:
        return []
    end = path.index("when") + 2
    found = [text(mutant.manifest.body, *path[:end], "key")] if len(path) >= end else []
    return [word for key in found for word in (key, *re.findall(r"[^.\[\]]+(?=\]*$)", key))]


@cache
def _role(name: str) -> str:
    """Return what a case has in common with those of other callers and services."""
    return name.partition(": ")[2] or name


@cache
def _general(name: str) -> str:
    """Return what a case has in common with those of other paths and names."""
    return re.sub(r"\S*[/0-9.:]\S*", "x", _role(name))


def _some(count: int) -> float:
    """Return how much a count says: the first says most."""
    return count / (count + 1)
