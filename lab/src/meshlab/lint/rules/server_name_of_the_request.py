"""ML406: TLS to a server that has another name than the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import is_address
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for rule in facts.mesh.destination_rules:
        entries = [entry for entry in facts.mesh.service_entries if rule.host in entry.hosts]
        other = sorted(
            {
                endpoint.address
                for entry in entries
                if not entry.subject_alt_names
                for endpoint in entry.endpoints
                if endpoint.address != rule.host
                and not is_address(endpoint.address)
                and "/" not in endpoint.address
            }
        )
        asked = _asked_for(facts, rule.host)
        if not (other or asked) or _rewritten(facts, rule.host):
            continue
        for policy in (rule.policy, *(subset.policy for subset in rule.subsets)):
            for each in (policy, *policy.ports.values()) if policy else ():
                tls = each.tls
                if tls and tls.mode in ("SIMPLE", "MUTUAL") and not tls.sni and not tls.subject_alt_names:
                    yield RULE.at(
                        tls.where,
                        f"the server {', '.join(other)} is asked for a certificate of {rule.host}."
                        if other
                        else f"{rule.host} is asked for a certificate of {', '.join(asked)}.",
                    )


def _asked_for(facts: Facts, host: str) -> list[str]:
    """Return the hosts of requests that routes send to a host of another name outside of the mesh."""
    outside = any(entry.external and host in entry.hosts for entry in facts.mesh.service_entries)
    return sorted(
        {
            name
            for service in facts.mesh.virtual_services
            if outside and host not in service.hosts
            for route in service.http
            if any(entry.destination.host == host for entry in route.destinations)
            for name in service.hosts
        }
    )


def _rewritten(facts: Facts, host: str) -> bool:
    return any(
        route.rewrite is not None and route.rewrite.authority
        for service in facts.mesh.virtual_services
        for route in service.http
        if any(entry.destination.host == host for entry in route.destinations)
    )


RULE = Rule(
    code="ML406",
    name="server-name-of-the-request",
    severity=Severity.ERROR,
    summary="TLS to a server that has another name than the request",
    why=(
        "Without sni and subjectAltNames Istio asks for the name in the request and checks it, and the "
        "server at the endpoint has a certificate for its own name. The connection fails."
    ),
    fix="Set sni and subjectAltNames to the endpoint's name, or rewrite the authority in the route.",
    source="istio/istio pilot/pkg/networking/core/cluster_tls.go#setAutoSniAndAutoSanValidation",
    check=_check,
)
