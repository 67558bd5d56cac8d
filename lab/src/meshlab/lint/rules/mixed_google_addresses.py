"""ML603: both address ranges of Google's APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import egress_ranges
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.fields import Where
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    found: dict[str, list[Where]] = {}
    for manifest in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        for place, cidr in egress_ranges(manifest):
            if cidr in _RANGES:
                found.setdefault(cidr, []).append(place)
    if len(found) == len(_RANGES):
        for cidr, places in found.items():
            for place in places:
                yield RULE.at(place, f"{cidr} stands here, and the other range in another rule.")


_RANGES = ("199.36.153.8/30", "199.36.153.4/30")


RULE = Rule(
    code="ML603",
    name="mixed-google-addresses",
    severity=Severity.WARNING,
    summary="both address ranges of Google's APIs",
    why=(
        "private.googleapis.com and restricted.googleapis.com are alternatives: with VPC Service Controls "
        "the private range leads around the perimeter."
    ),
    fix="Choose one range, in DNS, routes, firewall rules and NetworkPolicies alike.",
    source="Google Cloud: Private Google Access, domain options",
    check=_check,
)
