"""ML215: a route on a claim at a gateway that checks no token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking, text_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in facts.mesh.gateways}
    for service in of_networking(facts.manifests, "VirtualService"):
        spec = mapping(service.body, "spec")
        named = [
            name if "/" in name else f"{service.namespace}/{name}" for name in text_list(spec, "gateways")
        ]
        without = sorted(
            {
                str(workload.ref)
                for name in named
                if name in gateways
                for workload in facts.mesh.workloads
                if workload.is_gateway
                and gateways[name].selects(workload.ref.namespace, workload.labels)
                and not facts.jwt_rules(workload)
            }
        )
        if without:
            for place, claim in _claims(service):
                yield RULE.at(place, f"{', '.join(without)} checks no token, so {claim} is never there.")


def _claims(service: Manifest) -> Iterator[tuple[Where, str]]:
    for index, rule in enumerate(listed(mapping(service.body, "spec"), "http")):
        for number, match in enumerate(listed(rule, "match")):
            for name in ("headers", "withoutHeaders"):
                for key in mapping(match, name):
                    if key.lower().startswith(_PREFIX):
                        yield Where(service, ("spec", "http", index, "match", number, name, key)), key


_PREFIX = "@request.auth.claims"


RULE = Rule(
    code="ML215",
    name="claim-route-without-tokens",
    severity=Severity.ERROR,
    summary="a route on a claim at a gateway that checks no token",
    why="No claim is known there, so the condition never holds and the request takes another route.",
    fix="Add a RequestAuthentication for the gateway's pods.",
    source="istio/istio pkg/config/analysis: IST0149",
    check=_check,
)
