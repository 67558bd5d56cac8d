"""The outbound side of one compiled sidecar, to look into."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from meshlab.istio import Mesh, Placement, ProxyCompiler, SecretSocket, WorkloadRef, load_mesh
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.manifest import parse_manifests

if TYPE_CHECKING:
    from collections.abc import Iterable

CLIENT = WorkloadRef("shop", "client")


class OutboundSide:
    """A compiled proxy.

    Args:
        texts: The manifests.
        ref: The workload.
        settings: The mesh-wide settings.
    """

    def __init__(self, *texts: str, ref: WorkloadRef = CLIENT, settings: MeshSettings | None = None) -> None:
        manifests = [manifest for text in texts for manifest in parse_manifests(text, "test.yaml")]
        self.mesh: Mesh = load_mesh(manifests, settings or MeshSettings()).require_complete()
        ports = itertools.count(20000)
        self.placement = Placement.plan(self.mesh, lambda: next(ports))
        compiled = ProxyCompiler(self.mesh, self.placement, SecretSocket()).compile(ref)
        resources = compiled["staticResources"]
        self.clusters: dict[str, Any] = {each["name"]: each for each in resources["clusters"]}
        self.listeners: dict[str, Any] = {
            each["name"]: each for each in resources["listeners"] if each["trafficDirection"] == "OUTBOUND"
        }

    @property
    def outbound_clusters(self) -> list[str]:
        """The names of the clusters of services."""
        return sorted(name for name in self.clusters if name.startswith("outbound|"))

    def chains(self, listener: str) -> list[dict[str, Any]]:
        """The filter chains of a listener, the default last."""
        found = self.listeners[listener]
        default = [found["defaultFilterChain"]] if "defaultFilterChain" in found else []
        return [*found["filterChains"], *default]

    def leads_to(self, listener: str) -> list[tuple[dict[str, Any], str]]:
        """The match of each chain and its cluster, or the name of its routes."""
        return [
            (chain.get("filterChainMatch", {}), _target(chain["filters"])) for chain in self.chains(listener)
        ]

    def routes(self, port: int) -> dict[str, list[str]]:
        """Domain to the clusters of its routes, for the HTTP listener of all addresses on a port."""
        for chain in self.chains(f"0.0.0.0_{port}"):
            manager = chain["filters"][-1]["typedConfig"]
            if "routeConfig" in manager:
                return {
                    domain: [
                        route["route"]["cluster"] if "route" in route else "direct"
                        for route in host["routes"]
                    ]
                    for host in manager["routeConfig"]["virtualHosts"]
                    for domain in host["domains"]
                }
        return {}

    def socket(self, cluster: str) -> dict[str, Any]:
        """The TLS context of a cluster, in whichever way it is given; empty for plaintext."""
        found = self.clusters[cluster]
        sockets = [match["transportSocket"] for match in found.get("transportSocketMatches", ())]
        sockets += [found["transportSocket"]] if "transportSocket" in found else []
        for each in sockets:
            inner = each["typedConfig"].get("transportSocket", each)
            if inner["name"] == "envoy.transport_sockets.tls":
                context: dict[str, Any] = inner["typedConfig"]
                return context
        return {}

    def names(self, cluster: str) -> set[str]:
        """The names that a cluster expects of a server."""
        common = self.socket(cluster).get("commonTlsContext", {})
        checks = common.get("combinedValidationContext", {}).get("defaultValidationContext", {})
        return {entry["matcher"]["exact"] for entry in checks.get("matchTypedSubjectAltNames", ())}


def _target(filters: Iterable[dict[str, Any]]) -> str:
    config = list(filters)[-1]["typedConfig"]
    if "routeConfig" in config:
        return f"routes {config['routeConfig']['name']}"
    if "weightedClusters" in config:
        return " ".join(sorted(each["name"] for each in config["weightedClusters"]["clusters"]))
    return str(config["cluster"])
