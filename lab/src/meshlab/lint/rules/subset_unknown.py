"""ML213: a subset that no DestinationRule has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import full_name, is_subset
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import destinations, of_networking, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    rules = of_networking(facts.manifests, "DestinationRule")
    known = [
        (full_name(text(mapping(rule.body, "spec"), "host"), rule.namespace), text(subset, "name"))
        for rule in rules
        for subset in listed(mapping(rule.body, "spec"), "subsets")
    ]
    for service in of_networking(facts.manifests, "VirtualService"):
        for destination in destinations(service):
            if destination.subset and not any(
                name == destination.subset and is_subset(destination.host, host) for host, name in known
            ):
                yield RULE.at(
                    destination.where.key("subset"),
                    f"no DestinationRule for {destination.host} has a subset {destination.subset}.",
                )


RULE = Rule(
    code="ML213",
    name="subset-unknown",
    severity=Severity.ERROR,
    summary="a subset that no DestinationRule has",
    why="Requests to the subset are answered 503.",
    fix="Add the subset to a DestinationRule for the host, or correct its name.",
    source="istio/istio pkg/config/analysis: IST0101 for subsets",
    check=_check,
)
