"""ML506: a port whose protocol Istio has to guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import guessed, is_made_by_istio, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for service in facts.of_kind("Service"):
        spec = mapping(service.body, "spec")
        if spec.get("type") == "ExternalName" or is_made_by_istio(service):
            continue
        if service.namespace in (facts.mesh.root_namespace, *_SYSTEM):
            continue
        for index, port in enumerate(listed(spec, "ports")):
            if guessed(port):
                named = f"{text(port, 'name')!r} is no protocol" if text(port, "name") else "has no name"
                yield RULE.at(
                    Where(service, ("spec", "ports", index)), f"{named}, and appProtocol is not there."
                )


_SYSTEM = ("kube-system", "kube-public")


RULE = Rule(
    code="ML506",
    name="port-without-protocol",
    severity=Severity.INFO,
    summary="a port whose protocol Istio has to guess",
    why=(
        "Istio reads the first bytes of each connection and decides between HTTP and TCP. Where it takes "
        "TCP, policies on paths, methods and tokens refuse the connection."
    ),
    fix="Begin the name with the protocol, such as http or grpc-web, or write appProtocol.",
    source="istio/istio pkg/config/analysis: IST0118",
    check=_check,
)
