"""ML212: sourceLabels or sourceNamespace beside gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for service in facts.mesh.virtual_services:
        for route in service.http:
            for index, match in enumerate(route.matches):
                if match.gateways and (match.source_labels or match.source_namespace):
                    yield RULE.at(
                        route.where.key("match").item(index), "Istio ignores its condition on the caller."
                    )


RULE = Rule(
    code="ML212",
    name="source-condition-ignored",
    severity=Severity.ERROR,
    summary="a condition on sourceLabels or sourceNamespace beside gateways",
    why=(
        "Where a match names gateways, Istio ignores what it says about the caller, so the route is for "
        "every caller."
    ),
    fix="Take gateways out of the match, or keep callers apart in an AuthorizationPolicy.",
    source="istio/istio pilot/pkg/networking/core/route/route.go#sourceMatchHTTP",
    check=_check,
)
