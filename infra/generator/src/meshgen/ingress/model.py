"""Callers and services of the internal gateway, as their descriptions say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshgen.sources import Description

__all__ = ["GATEWAY", "ONE_SEGMENT", "Call", "Caller", "Gateway", "Ingress", "Route", "Service", "matches"]

ONE_SEGMENT = "{*}"
"""Exactly one segment of a path, as Istio writes it."""


@dataclass(frozen=True)
class Gateway:
    """The names of the gateway's own objects, which are written by hand."""

    namespace: str = "istio-ingress"
    workload: str = "istio-internal-gateway"
    name: str = "internal-gateway"
    label: tuple[str, str] = ("istio", "internal-gateway")
    principal: str = "cluster.local/ns/istio-ingress/sa/istio-internal-gateway"
    port: int = 443
    components: tuple[str, ...] = ("https", "http")


GATEWAY = Gateway()
"""The gateway of infra/mesh/ingress; the port is that of the component https, and http puts its own in place."""


@dataclass(frozen=True)
class Caller:
    """A program outside the cluster.

    Attributes:
        name: The name of its file.
        source: Its description.
        jwks: The file of its keys in each overlay; empty where they are fetched.
        jwks_uri: Where its keys are fetched; empty where an overlay holds them.
        calls: Service to the names of routes.
    """

    name: str
    source: Description
    issuer: str
    subject: str
    audience: str
    claims: Mapping[str, str]
    jwks: str
    jwks_uri: str
    calls: Mapping[str, tuple[str, ...]]

    @property
    def principal(self) -> str:
        """The request principal, as Istio writes it."""
        return f"{self.issuer}/{self.subject}"


@dataclass(frozen=True)
class Route:
    """What may be requested of a service under one name."""

    name: str
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    timeout: str
    attempts: int
    per_try_timeout: str


@dataclass(frozen=True)
class Service:
    """A workload behind the gateway; its Kubernetes Service and its Deployment have its name.

    Attributes:
        name: The name of its directory.
        source: Its description.
        callers: The names of those that may call it.
        websocket: Whether an upgrade to WebSocket may pass.
        keep_headers: Headers that the gateway does not remove.
    """

    name: str
    source: Description
    host: str
    namespace: str
    labels: Mapping[str, str]
    port: int
    routes: Mapping[str, Route]
    callers: tuple[str, ...]
    websocket: bool
    keep_headers: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """One caller at one service, with the routes that it may use."""

    caller: Caller
    service: Service
    routes: tuple[Route, ...]

    def allows(self, method: str, path: str) -> bool:
        """Return whether a request is one of these routes."""
        return any(
            method in route.methods and any(matches(path, p) for p in route.paths) for route in self.routes
        )


@dataclass(frozen=True)
class Ingress:
    """All callers and services, each in the order of its name."""

    callers: tuple[Caller, ...]
    services: tuple[Service, ...]

    def calls(self) -> Iterator[Call]:
        """Yield what each caller may do, by caller and service."""
        services = {service.name: service for service in self.services}
        for caller in self.callers:
            for name, routes in sorted(caller.calls.items()):
                service = services[name]
                yield Call(
                    caller, service, tuple(route for route in service.routes.values() if route.name in routes)
                )


def matches(path: str, template: str) -> bool:
    """Return whether a path without special forms is one of a template's."""
    pattern = "/".join("[^/]+" if part == ONE_SEGMENT else re.escape(part) for part in template.split("/"))
    return re.fullmatch(pattern, path) is not None
