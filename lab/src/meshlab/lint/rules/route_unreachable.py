"""ML206: a rule that is never reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.matches import conditions
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for service in of_networking(facts.manifests, "VirtualService"):
        for kind in ("http", "tls", "tcp"):
            yield from _in_rules(service, kind)


def _in_rules(service: Manifest, kind: str) -> Iterator[Problem]:
    earlier: list[dict[str, Any]] = []
    taken = False
    for index, rule in enumerate(listed(mapping(service.body, "spec"), kind)):
        matches = [conditions(match) for match in listed(rule, "match") if isinstance(match, dict)]
        place = Where(service, ("spec", kind, index))
        # Reading the mesh reports what comes after an HTTP rule that takes everything.
        if taken and kind != "http":
            yield RULE.at(place, "is never reached: a rule before it takes every connection.")
        elif matches and all(match in earlier for match in matches):
            yield RULE.at(place, "is never reached: rules before it have all of its matches.")
        taken = taken or not matches
        earlier += matches


RULE = Rule(
    code="ML206",
    name="route-unreachable",
    severity=Severity.WARNING,
    summary="a rule that is never reached",
    why="A rule before it takes every request.",
    fix="Move it forward, or narrow the rule before it.",
    source="istio/istio pkg/config/validation: VirtualServiceUnreachableRule",
    check=_check,
)
