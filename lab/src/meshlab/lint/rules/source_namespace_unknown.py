"""ML313: a namespace in a policy that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import named_values
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    known = {each.name for each in facts.of_kind("Namespace")}
    if not known:
        return
    # A namespace with objects exists, even where the manifests do not hold it itself.
    known |= {each.namespace for each in facts.manifests if each.namespace}
    for policy in facts.mesh.authorization_policies:
        for place, value in named_values(policy, "namespaces"):
            if not any(_matches(value, name) for name in known):
                yield RULE.at(place, f"no namespace of the manifests is {value}.")


def _matches(pattern: str, name: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name == pattern


RULE = Rule(
    code="ML313",
    name="source-namespace-unknown",
    severity=Severity.WARNING,
    summary="a namespace in a policy that does not exist",
    why="The rule never matches for it: an ALLOW lets no caller in, a DENY keeps none out.",
    fix="Correct the name, or add the Namespace to the manifests.",
    source="istio/istio pkg/config/analysis: IST0101 for namespaces",
    check=_check,
)
