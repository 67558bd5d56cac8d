"""ML216: two VirtualServices for one host at sidecars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.istio.read.hosts import full_name, hosts_overlap
from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import exported_to, of_networking, share_a_namespace, text_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    default = facts.mesh.settings.virtual_service_export_to
    services = [
        (each, exported_to(each, default))
        for each in of_networking(facts.manifests, "VirtualService")
        if "mesh" in (text_list(mapping(each.body, "spec"), "gateways") or ["mesh"])
    ]
    for service, seen_by in services:
        for index, host in enumerate(text_list(mapping(service.body, "spec"), "hosts")):
            name = full_name(host, service.namespace)
            others = sorted(
                {
                    f"{other.namespace}/{other.name}"
                    for other, scope in services
                    if (other.namespace, other.name) != (service.namespace, service.name)
                    and share_a_namespace(seen_by, scope)
                    and any(
                        _conflict(name, full_name(each, other.namespace), seen_by, scope)
                        for each in text_list(mapping(other.body, "spec"), "hosts")
                    )
                }
            )
            if others:
                place = Where(service, ("spec", "hosts", index))
                yield RULE.at(place, f"{', '.join(others)} is for {name}, too.")


def _conflict(one: str, other: str, scope: frozenset[str], other_scope: frozenset[str]) -> bool:
    # Of two that all namespaces see, the one with the more specific host counts.
    same_scope = ("*" in scope) == ("*" in other_scope)
    return one == other if same_scope else hosts_overlap(one, other)


RULE = Rule(
    code="ML216",
    name="mesh-hosts-conflict",
    severity=Severity.WARNING,
    summary="two VirtualServices for one host at sidecars",
    why="Sidecars do not merge them: the older one counts, and the rules of the other are lost.",
    fix="Merge them, or give each an exportTo of its own.",
    source="istio/istio pkg/config/analysis: IST0109",
    check=_check,
)
