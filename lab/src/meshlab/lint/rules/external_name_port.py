"""ML507: a port of an ExternalName Service without a protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import guessed, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for service in facts.of_kind("Service"):
        spec = mapping(service.body, "spec")
        for index, port in enumerate(listed(spec, "ports") if spec.get("type") == "ExternalName" else ()):
            if guessed(port) or text(port, "name") == "tcp":
                place = Where(service, ("spec", "ports", index))
                yield RULE.at(place, f"{text(port, 'name')!r} takes every address of the port.")


RULE = Rule(
    code="ML507",
    name="external-name-port",
    severity=Severity.WARNING,
    summary="a port of an ExternalName Service without a protocol",
    why="A listener for every address of the port is opened, which takes the traffic of other hosts on it.",
    fix="Begin the name with a protocol other than tcp, such as https.",
    source="istio/istio pkg/config/analysis: IST0150",
    check=_check,
)
