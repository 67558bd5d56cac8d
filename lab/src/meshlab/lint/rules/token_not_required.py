"""ML304: tokens that are checked and not required."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import asks_for_token
from meshlab.lint.missed import Missed
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.istio.read.authorization_policy import AuthorizationPolicy
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for authentication in facts.mesh.request_authentications:
        attachment = authentication.attachment
        open_to_all = [
            workload
            for workload in facts.mesh.workloads
            if workload.injected
            and attachment.reaches(workload.ref.namespace, workload.labels, facts.mesh.root_namespace)
            and not _requires_token(facts.policies(workload))
        ]
        if authentication.rules and open_to_all:
            names = ", ".join(str(workload.ref) for workload in open_to_all)
            yield RULE.at(
                Where(attachment.where.manifest, ("spec",)),
                f"requests without a token reach {names}: no policy there asks for one.",
            )


def _requires_token(policies: Iterable[AuthorizationPolicy]) -> bool:
    """Return whether some policy says anything of tokens, or nothing at all is allowed."""
    return any(
        not policy.dry_run and (any(map(asks_for_token, policy.rules)) or _allows_nothing(policy))
        for policy in policies
    )


def _allows_nothing(policy: AuthorizationPolicy) -> bool:
    return policy.action == "ALLOW" and not policy.rules and bool(policy.attachment.selector)


RULE = Rule(
    code="ML304",
    name="token-not-required",
    severity=Severity.ERROR,
    summary="tokens that are checked and not required",
    why="A RequestAuthentication refuses bad tokens and lets requests without any token pass.",
    fix="Add an ALLOW policy that asks for requestPrincipals, for the same workload.",
    source="istio/istio pilot/pkg/security/authn/policy_applier.go: allow_missing",
    check=_check,
    missed=Missed(frozenset({"AuthorizationPolicy"})),
)
