"""Names by which a sidecar's workload may call a service.

Follows `pilot/pkg/networking/core/httproute.go#generateVirtualHostDomains`. Ports in the host header do not count, so
the names stand without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import is_address

if TYPE_CHECKING:
    from meshlab.istio.envoy.routes.settings import ProxyView, RoutedService

__all__ = ["bracketed", "short_names", "virtual_host_domains"]


def virtual_host_domains(service: RoutedService, proxy: ProxyView) -> tuple[list[str], list[str]]:
    """Return all names of a service, and those among them that are no full names.

    A full name of another service wins over the latter.
    """
    domains: list[str] = []
    short: list[str] = []
    for hostname in (service.hostname, *service.aliases):
        others = short_names(hostname, proxy.dns_domain)
        domains += [bracketed(hostname), *others]
        short += others
    if service.is_headless:
        # Each pod has a name of its own below the service's.
        domains += [f"*.{domain}" for domain in domains]
    domains += [bracketed(address) for address in service.addresses]
    return domains, short


def short_names(hostname: str, dns_domain: str) -> list[str]:
    """Return the names of a host beside the full one, for a workload of a domain such as `shop.svc.cluster.local`."""
    found = [] if is_address(hostname) else [f"{hostname}."]
    own_namespace, _, cluster = dns_domain.partition(".svc.")
    if not hostname.endswith(f".svc.{cluster}"):
        return found
    name, _, _ = hostname.partition(".svc.")
    service, dot, namespace = name.partition(".")
    if not dot:
        return found
    if namespace == own_namespace:
        return [*found, service, f"{name}.svc", name]
    return [*found, name, f"{name}.svc"]


def bracketed(host: str) -> str:
    """Return a host as it stands in a host header: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
