"""ML108: a gateway that takes every certificate of a CA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.authorization_policy import AuthorizationPolicy
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for gateway in facts.mesh.gateways:
        for server in gateway.servers:
            tls = server.tls
            if tls is None or tls.mode not in ("MUTUAL", "OPTIONAL_MUTUAL"):
                continue
            if tls.subject_alt_names or tls.certificate_spkis or tls.certificate_hashes:
                continue
            open_to_all = [
                workload
                for workload in facts.mesh.workloads
                if workload.is_gateway
                and gateway.selects(workload.ref.namespace, workload.labels)
                and not any(_names_peers(policy) for policy in facts.policies(workload))
            ]
            if open_to_all:
                yield RULE.at(server.where.key("tls"), "every client with a certificate of the CA gets in.")


def _names_peers(policy: AuthorizationPolicy) -> bool:
    return not policy.dry_run and any(
        "principals" in source or "serviceAccounts" in source or "requestPrincipals" in source
        for rule in policy.rules
        for source in rule.sources
    )


RULE = Rule(
    code="ML108",
    name="any-client-certificate",
    severity=Severity.ERROR,
    summary="a gateway that takes every certificate of a CA",
    why=(
        "MUTUAL checks that the client's certificate chains to the CA. Without names of clients every "
        "holder of such a certificate gets in."
    ),
    fix="Add subjectAltNames to the server's tls, or an ALLOW policy with principals for the gateway.",
    source="istio/istio pkg/networking/core/gateway.go; Envoy's RBAC principal",
    check=_check,
)
