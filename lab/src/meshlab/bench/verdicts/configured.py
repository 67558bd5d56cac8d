"""The part of a proxy's configuration that a request met: listener, filter chain, filters and routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.bench.evidence.instrument import chain_name, route_mark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.istio.envoy.config import Json

__all__ = [
    "chain_of",
    "chains_of",
    "listener_of",
    "manager_of",
    "marked_route",
    "named_chains",
    "policy_filters_of",
]

_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def listener_of(bootstrap: Mapping[str, Any], line: EvidenceLine) -> Json | None:
    """Return the listener that logged a line."""
    listeners: Sequence[Json] = bootstrap.get("staticResources", {}).get("listeners", [])
    return next((each for each in listeners if each.get("name") == line.listener), None)


def chains_of(listener: Json) -> list[Json]:
    """Return the filter chains of a listener, the default one last."""
    default = listener.get("defaultFilterChain")
    return [*listener.get("filterChains", []), *([default] if default else [])]


def named_chains(listener: Json) -> dict[str, Json]:
    """Return the filter chains by the names that they have in evidence."""
    return {chain.get("name", chain_name(index)): chain for index, chain in enumerate(chains_of(listener))}


def chain_of(bootstrap: Mapping[str, Any], line: EvidenceLine) -> Json | None:
    """Return the filter chain that took a connection; `None` where none did."""
    listener = listener_of(bootstrap, line)
    return named_chains(listener).get(line.chain) if listener else None


def manager_of(chain: Json) -> Json | None:
    """Return the HTTP connection manager of a filter chain; `None` where it passes connections on as they are."""
    configs = (each.get("typedConfig") or {} for each in chain.get("filters", []))
    return next((config for config in configs if config.get("@type") == _HCM), None)


def marked_route(manager: Json, mark: str) -> tuple[Json, Json] | None:
    """Return the virtual host and the route that have a mark in evidence; `None` for none."""
    for host_index, host in enumerate(manager.get("routeConfig", {}).get("virtualHosts", [])):
        for route_index, route in enumerate(host.get("routes", [])):
            if route_mark(host_index, route_index) == mark:
                return host, route
    return None


def policy_filters_of(chain: Json) -> list[Json]:
    """Return the filters of a chain among which those of policies are: HTTP filters, or network filters."""
    manager = manager_of(chain)
    found: list[Json] = manager.get("httpFilters", []) if manager else chain.get("filters", [])
    return found
