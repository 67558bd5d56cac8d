"""Virtual hosts of a gateway's listener or filter chain.

Follows `pilot/pkg/networking/core/gateway.go#buildGatewayHTTPRouteConfig`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.envoy.routes.http_routes import catch_alls_last, http_routes
from meshlab.istio.envoy.routes.settings import RouteSettings
from meshlab.istio.read.hosts import is_subset
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.routes.settings import ClusterName, ProxyView
    from meshlab.istio.read.gateway import ServerHost
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["RoutedServer", "gateway_virtual_hosts", "shared_hosts"]

_DEFAULTS = RouteSettings()


@dataclass(frozen=True)
class RoutedServer:
    """A server of a Gateway, as far as routes depend on it.

    Attributes:
        gateway: The Gateway, as `namespace/name`.
        port: The port that it declares.
        hosts: Its hosts.
        has_tls: Whether it has `tls`, be it only `httpsRedirect`.
        https_redirect: Whether it answers plaintext requests with a redirection to HTTPS.
    """

    gateway: str
    port: int
    hosts: tuple[ServerHost, ...]
    has_tls: bool = False
    https_redirect: bool = False


def gateway_virtual_hosts(
    servers: Sequence[RoutedServer],
    *,
    virtual_services: Callable[[str], Sequence[VirtualService]],
    proxy: ProxyView,
    cluster_name: Callable[[VirtualService, int], ClusterName],
    settings: RouteSettings = _DEFAULTS,
) -> list[Json]:
    """Return the virtual hosts of the servers that share a listener or filter chain.

    The routes of all VirtualServices of one host are tried one after the other; those that take every request come
    last. Without any virtual host, one for every host answers 404.

    Args:
        servers: The servers, in order.
        virtual_services: Returns what the gateway workload sees on a Gateway, in order.
        proxy: The gateway workload.
        cluster_name: Returns what names the clusters for the rules of a VirtualService at a declared port.
        settings: The mesh's and the destinations' settings; `is_tls` is taken from the servers.
    """
    # Istio builds the routes of a VirtualService once for each Gateway, with the port of the first server.
    built: dict[tuple[str, str], list[Json]] = {}
    found: dict[str, Json] = {}
    for server in servers:
        for service in virtual_services(server.gateway):
            hosts = shared_hosts(server.hosts, service)
            if not hosts:
                continue
            key = server.gateway, str(service)
            if not built.get(key):
                built[key] = http_routes(
                    service,
                    proxy=proxy,
                    gateway_names=(server.gateway,),
                    listener_port=server.port,
                    cluster_name=cluster_name(service, server.port),
                    settings=replace(settings, is_tls=server.has_tls),
                )
            if not built[key]:
                continue
            for host in dict.fromkeys(name.lower() for name in hosts):
                virtual_host = found.setdefault(host, _virtual_host(host, server.port, settings))
                virtual_host["routes"] += built[key]
                if server.https_redirect:
                    virtual_host["requireTls"] = "ALL"
        if server.https_redirect:
            _redirect_to_https(found, server, settings)
    for virtual_host in found.values():
        virtual_host["routes"] = catch_alls_last(_once(virtual_host["routes"]))
    if not found:
        return [{"name": f"blackhole:{servers[0].port}", "domains": ["*"], "routes": []}]
    return sorted(found.values(), key=lambda virtual_host: str(virtual_host["name"]))


def shared_hosts(hosts: Sequence[ServerHost], virtual_service: VirtualService) -> list[str]:
    """Return the hosts that a server and a VirtualService have in common: of two the narrower, each once."""
    found: dict[str, None] = {}
    for server_host in hosts:
        if server_host.namespace not in ("", virtual_service.namespace):
            continue
        for host in virtual_service.hosts:
            if is_subset(server_host.name, host):
                found[server_host.name] = None
            elif is_subset(host, server_host.name):
                found[host] = None
    return list(found)


def _redirect_to_https(found: dict[str, Json], server: RoutedServer, settings: RouteSettings) -> None:
    for server_host in server.hosts:
        # Istio looks for the host together with its namespace here, and finds nothing.
        if not server_host.namespace:
            host = server_host.name.lower()
            found.setdefault(host, _virtual_host(host, server.port, settings))["requireTls"] = "ALL"


def _virtual_host(host: str, port: int, settings: RouteSettings) -> Json:
    return {
        "name": f"{host}:{port}",
        "domains": [host],
        "routes": [],
        **({"includeRequestAttemptCount": True} if settings.count_attempts else {}),
    }


def _once(routes: Sequence[Json]) -> Iterator[Json]:
    """Yield each route once. What Istio lists twice, for servers with common hosts, is never reached again."""
    seen: set[int] = set()
    for route in routes:
        if id(route) not in seen:
            seen.add(id(route))
            yield route
