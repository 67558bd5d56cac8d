"""ML412: a DestinationRule that turns TLS off towards workloads that take mutual TLS alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.destination_rules import DestinationRules, policy_for
from meshlab.istio.model.mtls import mtls_mode
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.registry import MeshService, ServiceEndpoint
    from meshlab.istio.read.fields import Where
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    found: dict[object, tuple[Where, list[str]]] = {}
    rules = DestinationRules(facts.mesh)
    clients = sorted({workload.ref.namespace for workload in facts.workloads if workload.injected})
    for service in facts.mesh.registry.services:
        for port, endpoints in service.endpoints.items():
            strict = sorted({str(each.workload) for each in endpoints if _takes_mtls_alone(facts, each)})
            for where in _plaintext(rules, service, port, clients) if strict else ():
                found.setdefault((where.manifest.subject, where.keys), (where, []))[1].extend(strict)
    for where, workloads in found.values():
        first, *others = dict.fromkeys(workloads)
        more = f" and {len(others)} more" if others else ""
        yield RULE.at(
            where, f"{first}{more} takes mutual TLS alone, and sidecars that follow it send plaintext."
        )


def _plaintext(
    rules: DestinationRules, service: MeshService, port: int, clients: list[str]
) -> Iterator[Where]:
    """Yield where TLS is turned off for clients of some namespace, for the host and for each of its subsets."""
    for namespace in clients:
        for rule in rules.candidates(namespace, service):
            for subset in ("", *(each.name for each in rule.subsets)):
                tls = policy_for(rule, port, subset).tls
                if tls is not None and tls.mode == "DISABLE":
                    yield tls.where


def _takes_mtls_alone(facts: Facts, endpoint: ServiceEndpoint) -> bool:
    if endpoint.workload is None:
        return False
    workload = facts.mesh.workload(endpoint.workload)
    mode = mtls_mode(
        facts.mesh.attached_to(workload, facts.mesh.peer_authentications),
        namespace=workload.ref.namespace,
        root_namespace=facts.mesh.root_namespace,
        port=endpoint.port,
    )
    return workload.proxy == "sidecar" and mode == "STRICT"


RULE = Rule(
    code="ML412",
    name="plaintext-to-strict",
    severity=Severity.ERROR,
    summary="TLS turned off towards workloads that take mutual TLS alone",
    why=(
        "A DestinationRule with tls mode DISABLE overrides automatic mutual TLS, so the sidecars of clients send "
        "plaintext, and PeerAuthentication STRICT refuses every connection."
    ),
    fix="Remove tls from the DestinationRule, or write ISTIO_MUTUAL. To take plaintext, write PERMISSIVE for the port.",
    source="istio/istio pilot/pkg/networking/core/cluster_tls.go: buildUpstreamTLSSettings",
    check=_check,
)
