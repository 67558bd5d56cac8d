"""ML220: a field that Istio is about to remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for service in of_networking(facts.manifests, "VirtualService"):
        for index, rule in enumerate(listed(mapping(service.body, "spec"), "http")):
            place = Where(service, ("spec", "http", index))
            if "percent" in mapping(rule, "fault", "delay"):
                yield RULE.at(place.key("fault", "delay", "percent"), "percentage has replaced it.")
            for name in ("mirrorPercent", "mirror_percent"):
                if name in mapping(rule):
                    yield RULE.at(place.key(name), "mirrorPercentage has replaced it.")
    for sidecar in of_networking(facts.manifests, "Sidecar"):
        if "egressProxy" in mapping(sidecar.body, "spec", "outboundTrafficPolicy"):
            place = Where(sidecar, ("spec", "outboundTrafficPolicy", "egressProxy"))
            yield RULE.at(place, "Istio ignores it.")


RULE = Rule(
    code="ML220",
    name="field-deprecated",
    severity=Severity.WARNING,
    summary="a field that Istio is about to remove",
    why="Istio ignores it, or will. What it asks for is then lost.",
    fix="Write the field that replaces it.",
    source="istio/istio pkg/config/analysis: IST0002",
    check=_check,
)
