"""Route configurations of a gateway, from the VirtualServices bound to its servers.

Follows `pilot/pkg/networking/core/{gateway.go,route/route.go}`. A host that no VirtualService
binds has no virtual host: the answer is 404.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.connection_manager import duration
from meshlab.istio.model.destinations import cluster_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.gateway import Gateway, Server
    from meshlab.istio.read.virtual_service import HttpRoute, Match, Retries, TextMatch, VirtualService

__all__ = ["bound_services", "route_configuration"]

_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled"
"""Istio's default since plain 503 answers are no longer repeated."""


def route_configuration(
    mesh: Mesh, name: str, namespace: str, servers: Iterable[tuple[Gateway, Server]]
) -> Json:
    """The routes of one listener or filter chain.

    Args:
        mesh: The mesh.
        name: What to call the configuration.
        namespace: The gateway workload's, which decides what it may see.
        servers: The servers that share it.
    """
    hosts: dict[str, Json] = {}
    for gateway, server in servers:
        for service, host in bound_services(mesh, namespace, gateway, server):
            found = hosts.setdefault(host, _virtual_host(host, server.port))
            for route in service.routes:
                for envoy in _routes(mesh, route, f"{gateway.namespace}/{gateway.name}", server.port):
                    if envoy not in found["routes"]:
                        found["routes"].append(envoy)
    for found in hosts.values():
        found["routes"] = _catch_alls_last(found["routes"])
    return {
        "name": name,
        "virtualHosts": list(hosts.values()),
        "validateClusters": False,
        "ignorePortInHostMatching": True,
    }


def bound_services(
    mesh: Mesh, namespace: str, gateway: Gateway, server: Server
) -> Iterator[tuple[VirtualService, str]]:
    """The VirtualServices on a server, each with a host that both have, in Istio's order."""
    ordered = sorted(mesh.virtual_services, key=lambda service: (service.name, service.namespace))
    for service in ordered:
        if f"{gateway.namespace}/{gateway.name}" not in service.gateways or not service.visible_to(namespace):
            continue
        found: dict[str, None] = {}
        for offered in server.hosts:
            for host in service.hosts:
                if shared := offered.shares(service.namespace, host):
                    found[shared] = None
        for host in found:
            yield service, host


def _virtual_host(host: str, port: int) -> Json:
    return {
        "name": f"{host}:{port}",
        "domains": [host],
        "routes": [],
        "includeRequestAttemptCount": True,
    }


def _routes(mesh: Mesh, route: HttpRoute, gateway: str, port: int) -> Iterator[Json]:
    action = _action(mesh, route)
    named = {"name": route.name} if route.name else {}
    if not route.matches:
        yield {**named, "match": {"prefix": "/"}, "route": action}
    for match in route.matches:
        if (match.gateways and gateway not in match.gateways) or match.port not in (None, port):
            continue
        yield {**named, "match": _match(match), "route": action}


def _action(mesh: Mesh, route: HttpRoute) -> Json:
    # Istio's default is no timeout at all, where Envoy's is 15 s.
    timeout = duration(route.timeout_s or 0)
    limits = {"grpcTimeoutHeaderMax": timeout}
    action: Json = {
        "timeout": timeout,
        "maxStreamDuration": limits if route.timeout_s else {"maxStreamDuration": timeout, **limits},
    }
    retry = _retry_policy(route.retries)
    if retry is not None:
        action["retryPolicy"] = retry
    clusters = [
        (cluster_name(mesh, destination), destination.weight)
        for destination in route.destinations
        if destination.weight
    ]
    if len(clusters) == 1:
        return action | {"cluster": clusters[0][0]}
    weighted = [{"name": name, "weight": weight} for name, weight in clusters]
    return action | {"weightedClusters": {"clusters": weighted}}


def _retry_policy(retries: Retries | None) -> Json | None:
    policy: Json = {
        "retryOn": _RETRY_ON,
        "numRetries": 2,
        "retryHostPredicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typedConfig": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "hostSelectionRetryMaxAttempts": "5",
    }
    if retries is None:
        return policy
    if retries.attempts == 0:
        return None
    policy["numRetries"] = retries.attempts
    if retries.per_try_timeout_s is not None:
        policy["perTryTimeout"] = duration(retries.per_try_timeout_s)
    if retries.retry_on:
        policy.update(_retry_on(retries.retry_on))
    return policy


def _retry_on(written: str) -> Json:
    # Istio takes status codes among the conditions and hands them to Envoy as such (route/retry/retry.go).
    parts = [part.strip() for part in written.split(",") if part.strip()]
    codes = [int(part) for part in parts if part.isdigit()]
    conditions = [part for part in parts if not part.isdigit()]
    if not codes:
        return {"retryOn": ",".join(conditions)}
    if "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    return {"retryOn": ",".join(conditions), "retriableStatusCodes": codes}


def _match(match: Match) -> Json:
    found = _path(match.uri)
    if match.ignore_uri_case:
        found["caseSensitive"] = False
    headers = [_header(name, text) for name, text in match.headers]
    headers += [_header(name, text) | {"invertMatch": True} for name, text in match.without_headers]
    return found | ({"headers": headers} if headers else {})


def _path(uri: TextMatch | None) -> Json:
    if uri is None or uri.kind == "present":
        return {"prefix": "/"}
    if uri.kind == "regex":
        return {"safeRegex": {"regex": uri.value}}
    # A prefix is a prefix of characters: /foo takes /foobar too.
    return {"path" if uri.kind == "exact" else "prefix": uri.value}


def _header(name: str, text: TextMatch) -> Json:
    if text.kind == "present":
        return {"name": name, "presentMatch": True}
    matcher = {"safeRegex": {"regex": text.value}} if text.kind == "regex" else {text.kind: text.value}
    return {"name": name, "stringMatch": matcher}


def _catch_alls_last(routes: list[Json]) -> list[Json]:
    return sorted(routes, key=lambda route: route["match"] == {"prefix": "/"})
