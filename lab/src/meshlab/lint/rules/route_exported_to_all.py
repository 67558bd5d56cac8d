"""ML210: a route that is visible where its host is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    default = facts.mesh.settings.virtual_service_export_to
    for route in facts.mesh.virtual_services:
        visible = route.export_to or tuple(default)
        if route.gateway_api or "mesh" not in route.gateways or (visible and "*" not in visible):
            continue
        for index, host in enumerate(route.hosts):
            narrow = [
                entry
                for entry in facts.mesh.service_entries
                if host in entry.hosts and entry.export_to and "*" not in entry.export_to
            ]
            if narrow:
                to = ", ".join(sorted({name for entry in narrow for name in entry.export_to}))
                yield RULE.at(
                    route.where.key("hosts").item(index),
                    f"{host} is exported to {to} only, and the route to every namespace.",
                )


RULE = Rule(
    code="ML210",
    name="route-exported-to-all",
    severity=Severity.WARNING,
    summary="a route that is visible where its host is not",
    why=(
        "The VirtualService has no exportTo, so proxies of every namespace get the route; on port 80 they "
        "then reach a host that was exported to few."
    ),
    fix="Give the VirtualService the exportTo of the ServiceEntry.",
    source="istio/istio pilot/pkg/networking/core/httproute.go#BuildSidecarOutboundVirtualHosts",
    check=_check,
)
