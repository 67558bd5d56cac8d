"""Names of the clusters that routes lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.istio.envoy.routes.settings import ClusterName, RoutedService
    from meshlab.istio.read.virtual_service import Destination

__all__ = ["cluster_names", "outbound_cluster"]


def outbound_cluster(host: str, port: int, subset: str = "") -> str:
    """Return the name of the cluster of a service's port."""
    return f"outbound|{port}|{subset}|{host}"


def cluster_names(service_of: Callable[[str], RoutedService | None], listener_port: int) -> ClusterName:
    """Return what names the clusters of destinations, as `core/route/route.go#GetDestinationCluster` does.

    A destination without a port goes to the only port of its service, else to the port of the listener. A host that
    is no service keeps its name: there is no such cluster, and Envoy answers 503.

    Args:
        service_of: Returns the service of a host as the listener sees it. A sidecar's listener sees of each service
            its own port alone.
        listener_port: The sidecar's listener, or the port that a gateway's server declares.
    """

    def name(destination: Destination) -> str:
        if not destination.host:  # a backend of the Gateway API that may not be used
            return "UnknownService"
        service = service_of(destination.host)
        port = destination.port
        if port is None:
            port = service.ports[0].number if service and len(service.ports) == 1 else listener_port
        host = service.external_name if service and service.external_name else destination.host
        return outbound_cluster(host, port, destination.subset)

    return name
