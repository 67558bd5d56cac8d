"""What the outbound listeners of one sidecar have in common."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import BLACK_HOLE, PASSTHROUGH
from meshlab.istio.envoy.http_filters import access_loggers
from meshlab.istio.envoy.routes import (
    ProxyView,
    RoutedPort,
    RoutedService,
    RouteSettings,
    allow_any,
    block_all,
    outbound_cluster,
    sidecar_virtual_hosts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.model.visibility import ProxyScope
    from meshlab.istio.model.workload import Workload

__all__ = ["OutboundContext", "routed_service"]


@dataclass(frozen=True, eq=False)
class OutboundContext:
    """A sidecar, and what it knows.

    Attributes:
        mesh: The mesh.
        workload: Its workload.
        scope: What it knows.
    """

    mesh: Mesh
    workload: Workload
    scope: ProxyScope
    _hosts: dict[int, list[Json]] = field(default_factory=dict, init=False)

    @cached_property
    def profile(self) -> tuple[object, ...]:
        """What its listeners depend on: two sidecars with the same profile have the same."""
        labels = self.workload.labels
        return (
            id(self.scope),
            tuple((key, labels[key]) for key in sorted(self.scope.label_keys) if key in labels),
            self.workload.ref if self.workload.ref in self.scope.called_pods else None,
            json.dumps(self.access_log),
        )

    @cached_property
    def access_log(self) -> list[Json]:
        """The access loggers."""
        return access_loggers(self.mesh, self.workload, "outbound")

    @cached_property
    def view(self) -> ProxyView:
        """The workload, as conditions of rules see it."""
        return ProxyView(self.workload.labels, self.workload.ref.namespace)

    @cached_property
    def settings(self) -> RouteSettings:
        """The mesh's settings for routes."""
        return RouteSettings.of_mesh(self.mesh.settings)

    @cached_property
    def routed(self) -> Mapping[str, RoutedService]:
        """The services that it has clusters for, as routes see them."""
        return {hostname: routed_service(service) for hostname, service in self.scope.by_hostname.items()}

    @property
    def unknown_cluster(self) -> str:
        """Where connections to unknown addresses go."""
        if self.scope.outbound != "ALLOW_ANY":
            return BLACK_HOLE
        proxy = self.scope.egress_proxy
        return outbound_cluster(proxy.host, proxy.port, proxy.subset) if proxy else PASSTHROUGH

    def virtual_hosts(self, port: int) -> list[Json]:
        """Return the virtual hosts of the services on a port."""
        egress = self.scope.egress_for(port)
        if egress is None:
            return []
        if port not in self._hosts:
            self._hosts[port] = sidecar_virtual_hosts(
                egress.virtual_services,
                [routed_service(service) for service in egress.services],
                proxy=self.view,
                port=port,
                settings=self.settings,
            )
        return self._hosts[port]

    def unknown_hosts(self) -> Json:
        """Return the virtual host for all hosts that it does not know."""
        if self.scope.outbound == "ALLOW_ANY":
            return allow_any(self.unknown_cluster, self.settings)
        return block_all(self.settings)


def routed_service(service: MeshService) -> RoutedService:
    """Return a service as routes see it."""
    address = service.own_address
    return RoutedService(
        hostname=service.hostname,
        namespace=service.namespace,
        ports=tuple(
            RoutedPort(port.number, port.protocol in ("http", "http2", "auto")) for port in service.ports
        ),
        addresses=(address,) if address and "/" not in address else (),
        aliases=service.aliases,
        is_headless=service.is_headless,
        external_name=service.external_name,
    )
