"""ML218: a match that an earlier one covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.matches import conditions, covers
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for service in of_networking(facts.manifests, "VirtualService"):
        for kind in ("http", "tls", "tcp"):
            yield from _in_rules(service, kind)


def _in_rules(service: Manifest, kind: str) -> Iterator[Problem]:
    earlier: list[tuple[int, Mapping[str, Any]]] = []
    for index, rule in enumerate(listed(mapping(service.body, "spec"), kind)):
        for number, written in enumerate(listed(rule, "match")):
            if not isinstance(written, dict):
                continue
            match = conditions(written)
            for found, other in earlier:
                if covers(other, match):
                    place = Where(service, ("spec", kind, index, "match", number))
                    yield RULE.at(place, f"a match of {kind}[{found}] takes every request that it is for.")
                    break
            else:
                earlier.append((index, match))


RULE = Rule(
    code="ML218",
    name="match-ineffective",
    severity=Severity.WARNING,
    summary="a match that an earlier one covers",
    why="Requests that it is for are taken by the earlier match, so it decides nothing.",
    fix="Remove it, or move the narrower match in front of the wider one.",
    source="istio/istio pkg/config/validation: VirtualServiceIneffectiveMatch",
    check=_check,
)
