"""The way from the gateway to a service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshgen.ingress.model import GATEWAY, ONE_SEGMENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshgen.generated import Object
    from meshgen.ingress.model import Route, Service

__all__ = ["REMOVED_HEADERS", "gateway_hosts", "virtual_service"]

REMOVED_HEADERS = (
    # Where a token is copied to besides Authorization, which the workload's proxy takes out itself.
    "cookie",
    "proxy-authorization",
    "x-authorization",
    "x-access-token",
    "x-auth-token",
    "referer",
    # By which frameworks read another method, path or host than the policies did.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "forwarded",
)
"""Headers that no service gets unless it asks for one."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def gateway_hosts(services: Iterable[Service]) -> list[str]:
    """Return the hosts of the gateway's server: for each namespace those that its VirtualServices may bind."""
    return sorted({f"{service.namespace}/{service.host}" for service in services})


def virtual_service(service: Service) -> Object:
    """Return the VirtualService: a route for each path and nothing else."""
    paths = [path for route in service.routes.values() for path in route.paths]
    refusal = {
        "name": "token-in-query",
        "match": [{"uri": _uri(path), "queryParams": {"access_token": {"regex": ".*"}}} for path in paths],
        "# Envoy reads no token from the query, and so would leave it to the application.": None,
        "directResponse": {"status": 400},
    }
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": service.name, "namespace": service.namespace},
        "spec": {
            "hosts": [service.host],
            "gateways": [f"{GATEWAY.namespace}/{GATEWAY.name}"],
            "# no other namespace sees this route": None,
            "exportTo": [GATEWAY.namespace],
            "http": [refusal, *(_route(service, route) for route in service.routes.values())],
        },
    }


def _route(service: Service, route: Route) -> dict[str, Any]:
    match = [
        {"uri": _uri(path), "method": {"exact": method}} for path in route.paths for method in route.methods
    ]
    retries: dict[str, Any] = {"attempts": route.attempts}
    if route.attempts:
        retries |= {"perTryTimeout": route.per_try_timeout, "retryOn": _retry_on(route)}
    removed = [name for name in REMOVED_HEADERS if name not in service.keep_headers]
    return {
        "name": route.name,
        "match": match,
        "# copies of a token, and what makes an application read another request than the policies did": None,
        "headers": {"request": {"remove": removed}},
        "route": [
            {
                "destination": {
                    "host": f"{service.name}.{service.namespace}.svc.cluster.local",
                    "port": {"number": service.port},
                }
            }
        ],
        "timeout": route.timeout,
        "retries": retries,
    }


def _uri(path: str) -> dict[str, str]:
    """Return the match of a path: no segment may hold a parameter (`;`), which applications read in their own ways."""
    if ONE_SEGMENT not in path:
        return {"exact": path}
    return {
        "regex": "/".join("[^/;]+" if part == ONE_SEGMENT else re.escape(part) for part in path.split("/"))
    }


def _retry_on(route: Route) -> str:
    """Return when to try again: only where the application surely did nothing, unless the request changes nothing."""
    certain = "connect-failure,refused-stream"
    return f"{certain},unavailable" if _SAFE.issuperset(route.methods) else certain
