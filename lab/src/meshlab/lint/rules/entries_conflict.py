"""ML410: two ServiceEntries that disagree on a protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping, scalar
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import exported_to, of_networking, share_a_namespace, text, text_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    default = facts.mesh.settings.service_export_to
    entries = [(each, exported_to(each, default)) for each in of_networking(facts.manifests, "ServiceEntry")]
    for entry, scope in entries:
        for index, (port, protocol) in _ports(entry):
            hosts = set(text_list(mapping(entry.body, "spec"), "hosts"))
            others = sorted(
                f"{other.namespace}/{other.name}"
                for other, seen_by in entries
                if other is not entry
                and share_a_namespace(scope, seen_by)
                and hosts & set(text_list(mapping(other.body, "spec"), "hosts"))
                and any(number == port and name != protocol for _, (number, name) in _ports(other))
            )
            if others:
                place = Where(entry, ("spec", "ports", index, "protocol"))
                yield RULE.at(place, f"{', '.join(others)} has another protocol for this host and port.")


def _ports(entry: Manifest) -> Iterator[tuple[int, tuple[object, str]]]:
    for index, port in enumerate(listed(mapping(entry.body, "spec"), "ports")):
        yield index, (scalar(port, "number"), text(port, "protocol").upper())


RULE = Rule(
    code="ML410",
    name="entries-conflict",
    severity=Severity.WARNING,
    summary="two ServiceEntries that disagree on a protocol",
    why=(
        "A proxy that sees both takes the protocol of one of them, and reads the traffic of the other "
        "wrongly."
    ),
    fix="Give the port one protocol, or give the entries an exportTo that keeps them apart.",
    source="istio/istio pkg/config/analysis: IST0175",
    check=_check,
)
