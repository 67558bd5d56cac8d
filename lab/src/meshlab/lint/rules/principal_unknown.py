"""ML310: a principal that no workload has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import account_of, named_values
from meshlab.lint.missed import WORKLOADS, Missed
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    accounts = {(workload.ref.namespace, workload.service_account) for workload in facts.mesh.workloads}
    for policy in facts.mesh.authorization_policies:
        for place, value in named_values(policy, "principals", "serviceAccounts"):
            found = account_of(value, policy.attachment.namespace)
            if found is None or found in accounts or found[0] not in facts.namespaces:
                continue
            here = sorted(name for namespace, name in accounts if namespace == found[0])
            yield RULE.at(
                place,
                f"no workload runs as {found[1]} in {found[0]}; those there run as {', '.join(here)}.",
            )


RULE = Rule(
    code="ML310",
    name="principal-unknown",
    severity=Severity.ERROR,
    summary="a principal that no workload has",
    why=(
        "The rule never matches: an ALLOW lets no caller in, a DENY keeps none out. A pod without "
        "serviceAccountName runs as default."
    ),
    fix="Name the ServiceAccount that the caller's pods run as, or set serviceAccountName in them.",
    source="istio/istio pkg/spiffe/spiffe.go",
    check=_check,
    missed=Missed(WORKLOADS, anywhere=True),
)
