"""ML604: a wrong port of GKE's metadata server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import egress_ranges, listed, mapping, scalar
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import opens_dns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for manifest in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        both = {cidr for _, cidr in egress_ranges(manifest)} >= _PORTS.keys()
        for index, rule in enumerate(listed(mapping(manifest.body, "spec"), "egress")):
            if opens_dns(rule):  # GKE's Cloud DNS answers at the same address
                continue
            ports = [scalar(port, "port") for port in listed(rule, "ports")]
            for number, peer in enumerate(listed(rule, "to")):
                cidr = mapping(peer, "ipBlock").get("cidr")
                place = Where(manifest, ("spec", "egress", index, "to", number, "ipBlock", "cidr"))
                if cidr == "127.0.0.1/32":
                    yield RULE.at(place, "a pod's own loopback is never filtered.")
                elif isinstance(cidr, str) and cidr in _PORTS and not set(ports) & _PORTS[cidr]:
                    wanted = " or ".join(str(port) for port in sorted(_PORTS[cidr]))
                    written = ", ".join(map(str, ports)) or "every port"
                    yield RULE.at(place, f"opens {written}; the metadata server is on port {wanted}.")
                elif both and cidr in _PORTS:
                    yield RULE.at(place, "stands beside the address of another data plane.")


_PORTS = {"169.254.169.254/32": {80}, "169.254.169.252/32": {988, 987}}


RULE = Rule(
    code="ML604",
    name="metadata-server-port",
    severity=Severity.WARNING,
    summary="a wrong port of GKE's metadata server",
    why=(
        "With Dataplane V2 it is 169.254.169.254:80, without 169.254.169.252:988. Any other port or "
        "127.0.0.1 opens nothing, and the pod gets no identity."
    ),
    fix="Write the address and the port of the cluster's data plane.",
    source="GKE: network policies and Workload Identity Federation",
    check=_check,
)
