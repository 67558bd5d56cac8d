"""Listeners of Gateways and ListenerSets: ports, hosts, TLS, and whose routes they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.gateway_api.label_selector import LabelSelector, read_label_selector
from meshlab.istio.read.gateway_api.listener_tls import ListenerTls, read_listener_tls
from meshlab.istio.read.gateway_api.references import MAX_PORT, Kind
from meshlab.istio.read.gateway_api.schema_values import (
    GATEWAY_API,
    entries,
    hostname_problem,
    required_name,
    whole_number,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields, Where

__all__ = ["AllowedRoutes", "Listener", "read_listeners"]

From = Literal["All", "Same", "Selector"]
_LISTENER = ("name", "hostname", "port", "protocol", "tls", "allowedRoutes")
_MOST_LISTENERS = 64
_WITHOUT_TLS = ("HTTP", "TCP", "UDP")
_WITHOUT_HOSTNAME = ("TCP", "UDP")


@dataclass(frozen=True)
class AllowedRoutes:
    """Whose routes a listener takes.

    Attributes:
        namespaces: `Same` for the namespace of the Gateway, `All`, or `Selector`.
        selector: Labels of the namespaces; for `Selector` only.
        kinds: Kinds of routes; empty for all that fit the protocol.
    """

    namespaces: From
    selector: LabelSelector | None
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class Listener:
    """A listener; `hostname` is empty for every host."""

    name: str
    hostname: str
    port: int
    protocol: str
    tls: ListenerTls | None
    allowed: AllowedRoutes
    where: Where


def read_listeners(spec: Fields, namespace: str) -> tuple[Listener, ...]:
    """Read `listeners` of a Gateway or a ListenerSet.

    Args:
        spec: The object's spec.
        namespace: The object's namespace.

    Raises:
        ManifestError: Something that the schema refuses.
    """
    listeners = tuple(
        _listener(entry, namespace) for entry in entries(spec, "listeners", _LISTENER, most=_MOST_LISTENERS)
    )
    if not listeners:
        raise spec.where.key("listeners").error("missing; write a listener.")
    _check_unique(listeners)
    return listeners


def _listener(listener: Fields, namespace: str) -> Listener:
    protocol = listener.required("protocol")
    hostname = listener.string("hostname")
    if hostname and (problem := hostname_problem(hostname)):
        raise listener.where.key("hostname").error(problem)
    if hostname and protocol in _WITHOUT_HOSTNAME:
        raise listener.where.key("hostname").error(f"has no place beside protocol {protocol}; remove it.")
    port = whole_number(listener, "port", 1, MAX_PORT)
    if port is None:
        raise listener.where.key("port").error("missing; write a port.")
    tls = read_listener_tls(listener, namespace)
    if tls is not None and protocol in _WITHOUT_TLS:
        raise listener.where.key("tls").error(f"has no place beside protocol {protocol}; write HTTPS or TLS.")
    if tls is not None and protocol == "HTTPS" and tls.passes_through:
        raise listener.where.key("tls", "mode").error("must be Terminate for protocol HTTPS.")
    if tls is None and protocol == "TLS":
        raise listener.where.key("tls").error("missing; protocol TLS needs a mode.")
    return Listener(
        name=required_name(listener, "name", pattern=True),
        hostname=hostname,
        port=port,
        protocol=protocol,
        tls=tls,
        allowed=_allowed(listener),
        where=listener.where,
    )


def _allowed(listener: Fields) -> AllowedRoutes:
    allowed = listener.mapping("allowedRoutes", ("namespaces", "kinds"))
    namespaces = allowed.mapping("namespaces", ("from", "selector"))
    return AllowedRoutes(
        cast("From", namespaces.choice("from", ("All", "Same", "Selector"), "Same")),
        read_label_selector(namespaces, "selector"),
        tuple(
            Kind(entry.string("group", GATEWAY_API), entry.required("kind"))
            for entry in entries(allowed, "kinds", ("group", "kind"), most=8)
        ),
    )


def _check_unique(listeners: tuple[Listener, ...]) -> None:
    for index, listener in enumerate(listeners):
        for other in listeners[:index]:
            if listener.name == other.name:
                raise listener.where.key("name").error(f"{listener.name!r} stands here twice; rename one.")
            if (listener.port, listener.protocol, listener.hostname) == (
                other.port,
                other.protocol,
                other.hostname,
            ):
                problem = f"has the port, protocol and hostname of listener {other.name}; change one of them."
                raise listener.where.error(problem)
