"""VirtualServices from a few words, for tests that need no mesh around them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.envoy.routes import (
    ProxyView,
    RoutedPort,
    RoutedServer,
    RoutedService,
    RouteSettings,
    cluster_names,
    gateway_virtual_hosts,
    http_routes,
    sidecar_virtual_hosts,
)
from meshlab.istio.model.delegates import merge_delegates
from meshlab.istio.model.virtual_services import visible_to
from meshlab.istio.read.gateway import ServerHost
from meshlab.istio.read.virtual_service import HttpRoute, VirtualService, read_virtual_service
from meshlab.manifest import ManifestError, parse_manifests

from tests import yaml_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DOOR",
    "TO_CART",
    "at_gateway",
    "at_sidecar",
    "refused",
    "routed_service",
    "routes",
    "rule",
    "server",
    "virtual_service",
]

DOOR = "shop/door"
PROXY = ProxyView({"app": "door", "version": "v1"}, "shop")

TO_CART = "route: [{destination: {host: cart}}]"


def virtual_service(
    http: str = "",
    *,
    name: str = "cart",
    namespace: str = "shop",
    more: str = "",
    hosts: str = "[cart.example]",
) -> VirtualService:
    """Read a VirtualService.

    Args:
        http: The list of rules.
        name: Its name.
        namespace: Its namespace.
        more: Further fields of `spec`.
        hosts: Its hosts; empty for a delegate.
    """
    spec = ", ".join(
        part for part in (f"hosts: {hosts}" if hosts else "", f"http: {http}" if http else "", more) if part
    )
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": yaml_text.read(f"{{{spec}}}"),
    }
    (manifest,) = parse_manifests(json.dumps(body), "test.yaml")
    return read_virtual_service(manifest)


def rule(fields: str) -> HttpRoute:
    """Read one rule, on a gateway."""
    (found,) = virtual_service(f"[{{{fields}}}]", more="gateways: [door]").http
    return found


def refused(http: str = "", *, more: str = "gateways: [door]", hosts: str = "[cart.example]") -> str:
    """Return the message with which a VirtualService is refused."""
    with pytest.raises(ManifestError) as caught:
        virtual_service(http, more=more, hosts=hosts)
    return str(caught.value)


def routed_service(name: str, *ports: int, namespace: str = "shop", **more: Any) -> RoutedService:  # noqa: ANN401
    """Return a service of Kubernetes with HTTP ports, 80 where none are given."""
    numbers = tuple(RoutedPort(number) for number in ports or (80,))
    hostname = name if "." in name else f"{name}.{namespace}.svc.cluster.local"
    return RoutedService(hostname, namespace, numbers, **more)


def routes(
    http: str,
    *,
    port: int = 80,
    gateway: str = DOOR,
    services: Sequence[RoutedService] = (),
    settings: RouteSettings | None = None,
) -> list[dict[str, Any]]:
    """Return the routes of a VirtualService on a gateway, or on `mesh`."""
    more = "" if gateway == "mesh" else "gateways: [door]"
    known = {service.hostname: service for service in services or (routed_service("cart"),)}
    return http_routes(
        virtual_service(http, more=more),
        proxy=PROXY,
        gateway_names=(gateway,),
        listener_port=port,
        cluster_name=cluster_names(known.get, port),
        settings=settings or RouteSettings(),
    )


def server(*hosts: str, port: int = 80, gateway: str = DOOR, **more: bool) -> RoutedServer:
    """Return a server of a Gateway; its hosts are `name`, or `namespace/name`."""
    where = virtual_service(f"[{{{TO_CART}}}]").where
    parted = [host.rpartition("/") for host in hosts or ("*",)]
    return RoutedServer(
        gateway, port, tuple(ServerHost(scope, name, where) for scope, _, name in parted), **more
    )


def at_gateway(
    *virtual_services: VirtualService,
    servers: Sequence[RoutedServer] = (),
    namespace: str = "shop",
    services: Sequence[RoutedService] = (),
) -> dict[str, dict[str, Any]]:
    """Return the virtual hosts of a gateway by their first domain."""
    merged = merge_delegates(virtual_services)
    known = {service.hostname: service for service in services or (routed_service("cart"),)}
    found = gateway_virtual_hosts(
        servers or [server()],
        virtual_services=lambda gateway: visible_to(merged, namespace, gateway),
        proxy=ProxyView(PROXY.labels, namespace),
        cluster_name=lambda _, port: cluster_names(known.get, port),
    )
    return {host["domains"][0]: host for host in found}


def at_sidecar(
    *virtual_services: VirtualService,
    services: Sequence[RoutedService],
    port: int = 80,
    namespace: str = "shop",
) -> dict[str, dict[str, Any]]:
    """Return the virtual hosts of a sidecar's port by their first domain."""
    merged = merge_delegates(virtual_services)
    found = sidecar_virtual_hosts(
        visible_to(merged, namespace, "mesh"),
        services,
        proxy=ProxyView(PROXY.labels, namespace),
        port=port,
    )
    return {host["domains"][0]: host for host in found}
