"""ML112: two Gateways with one certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    gateways = of_networking(facts.manifests, "Gateway")
    for gateway in gateways:
        selector = mapping(gateway.body, "spec", "selector")
        others = [
            other
            for other in gateways
            if other is not gateway and selector.items() <= mapping(other.body, "spec", "selector").items()
        ]
        for index, server in enumerate(listed(mapping(gateway.body, "spec"), "servers")):
            certificate = _certificate(server)
            same = sorted(
                {
                    f"{other.namespace}/{other.name}"
                    for other in others
                    for each in listed(mapping(other.body, "spec"), "servers")
                    if certificate and _certificate(each) == certificate
                }
            )
            if same:
                place = Where(gateway, ("spec", "servers", index, "tls"))
                yield RULE.at(place, f"{', '.join(same)} has the same certificate.")


def _certificate(server: object) -> tuple[str, ...]:
    tls = mapping(server, "tls")
    if name := text(tls, "credentialName"):
        return (name,)
    files = text(tls, "serverCertificate"), text(tls, "privateKey")
    return files if all(files) else ()


RULE = Rule(
    code="ML112",
    name="certificate-shared",
    severity=Severity.WARNING,
    summary="two Gateways with one certificate",
    why=(
        "A browser reuses a connection for every host of its certificate, so a request meets the other "
        "Gateway and is answered 404."
    ),
    fix="Put both servers into one Gateway, or give each its own certificate.",
    source="istio/istio pkg/config/analysis: IST0138",
    check=_check,
)
