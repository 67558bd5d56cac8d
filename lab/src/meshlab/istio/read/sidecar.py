"""Sidecar: which services the proxies of a namespace know, and what they do with all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.connection_pool import read_connection_pool
from meshlab.istio.read.fields import Fields, spec_of
from meshlab.istio.read.hosts import full_name, host_problem, is_address
from meshlab.istio.read.outbound_fields import refused_fields
from meshlab.istio.read.protocols import named_protocol
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.connection_pool import ConnectionPool
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.protocols import Protocol
    from meshlab.manifest import Manifest

__all__ = [
    "EgressListener",
    "EgressProxy",
    "IngressListener",
    "ListenerPort",
    "OutboundMode",
    "Sidecar",
    "read_sidecar",
]

OutboundMode = Literal["ALLOW_ANY", "REGISTRY_ONLY"]
_FIELDS = ("workloadSelector", "egress", "outboundTrafficPolicy", "ingress", "inboundConnectionPool")
_REFUSED = refused_fields("Sidecar")
_INGRESS_PASSED_OVER = {
    "bind": "every inbound port listens on an address of its own",
    "tls": "Istio ignores it unless istiod runs with ENABLE_TLS_ON_SIDECAR_INGRESS",
}
_PORT_FIELDS = ("number", "protocol")
_PORT_REFUSED = {"targetPort": "has no effect in a Sidecar; remove it."}
_PORT_PASSED_OVER = {"name": "nothing refers to it"}


@dataclass(frozen=True)
class ListenerPort:
    """The port of a listener."""

    number: int
    protocol: Protocol


@dataclass(frozen=True)
class EgressListener:
    """One listener of `egress`.

    Attributes:
        hosts: (namespace, host) pairs. `*` stands for every namespace, `~` in front leaves services out.
        port: Its port; `None` for all ports that no other listener has.
        bind: The address that it listens on; empty for Istio's choice.
    """

    hosts: tuple[tuple[str, str], ...]
    port: ListenerPort | None = None
    bind: str = ""


@dataclass(frozen=True)
class IngressListener:
    """One listener of `ingress`.

    Its `tls` is passed over: Istio ignores it unless ENABLE_TLS_ON_SIDECAR_INGRESS is set.

    Attributes:
        port: Its port.
        app_port: The port of the application; `None` for the same.
        pool: The connections to the application; `None` for what the Sidecar or a DestinationRule says.
    """

    port: ListenerPort
    app_port: int | None = None
    pool: ConnectionPool | None = None


@dataclass(frozen=True)
class EgressProxy:
    """The service to which all unknown traffic goes."""

    host: str
    port: int
    subset: str


@dataclass(frozen=True)
class Sidecar:
    """A Sidecar as read.

    Attributes:
        selector: Labels of the workloads that it is for; `None` for the whole namespace.
        egress: Its listeners; empty for one that takes everything that is visible.
        ingress: Its listeners for callers; empty where the workload's Services count.
        outbound: The policy for traffic to unknown hosts; `None` where the mesh's setting counts.
        egress_proxy: Where such traffic goes, if not to where it was sent.
        inbound_pool: The connections to applications; `None` for what a DestinationRule says.
        created: Its creation time, where it is written.
    """

    namespace: str
    name: str
    selector: Mapping[str, str] | None
    egress: tuple[EgressListener, ...]
    ingress: tuple[IngressListener, ...]
    outbound: OutboundMode | None
    egress_proxy: EgressProxy | None
    inbound_pool: ConnectionPool | None
    created: str
    where: Where


def read_sidecar(manifest: Manifest) -> Sidecar:
    """Read a Sidecar (`pkg/config/validation/validation.go#ValidateSidecar`).

    Raises:
        ManifestError: An unknown field, what Istio's validation refuses, or what is not compiled.
    """
    spec = spec_of(manifest, _FIELDS)
    if not set(spec.names) & {"egress", "ingress", "outboundTrafficPolicy", "inboundConnectionPool"}:
        raise spec.where.error(
            "has neither egress nor outboundTrafficPolicy, which Istio refuses; write one."
        )
    selector = None
    if "workloadSelector" in spec:
        selector = spec.mapping("workloadSelector", ("labels",)).string_map("labels")
    outbound, proxy = _outbound(spec, manifest.namespace)
    return Sidecar(
        namespace=manifest.namespace,
        name=manifest.name,
        selector=selector,
        egress=_egress(spec),
        ingress=_ingress(spec),
        outbound=outbound,
        egress_proxy=proxy,
        inbound_pool=read_connection_pool(spec, "inboundConnectionPool"),
        created=manifest.created,
        where=spec.where,
    )


def _outbound(spec: Fields, namespace: str) -> tuple[OutboundMode | None, EgressProxy | None]:
    if spec.raw("outboundTrafficPolicy") is None:
        return None, None
    policy = spec.mapping("outboundTrafficPolicy", ("mode", "egressProxy"))
    mode = cast("OutboundMode", policy.choice("mode", ("ALLOW_ANY", "REGISTRY_ONLY"), "REGISTRY_ONLY"))
    if policy.raw("egressProxy") is None:
        return mode, None
    proxy = policy.mapping("egressProxy", ("host", "port", "subset"))
    if mode != "ALLOW_ANY":
        raise proxy.where.error("is for mode ALLOW_ANY.")
    port = proxy.mapping("port", ("number",)).port("number")
    return mode, EgressProxy(full_name(proxy.required("host"), namespace), port, proxy.string("subset"))


def _egress(spec: Fields) -> tuple[EgressListener, ...]:
    found: list[EgressListener] = []
    entries = spec.items("egress", ("hosts", "port", "bind", "captureMode"))
    for index, entry in enumerate(entries):
        listener = _listener(entry)
        if listener.port is None and index < len(entries) - 1:
            raise entry.where.error("has no port, so it takes all other ports and must stand last.")
        numbers = [other.port.number for other in found if other.port]
        if listener.port and listener.port.number in numbers:
            raise entry.where.key("port", "number").error("stands here twice; keep one.")
        found.append(listener)
    return tuple(found)


def _ingress(spec: Fields) -> tuple[IngressListener, ...]:
    found: list[IngressListener] = []
    known = ("port", "captureMode", "defaultEndpoint", "connectionPool")
    absent = spec.raw("ingress") in (None, [])
    for entry in () if absent else spec.items("ingress", known, passed_over=_INGRESS_PASSED_OVER):
        if entry.choice("captureMode", ("DEFAULT", "IPTABLES", "NONE"), "DEFAULT") == "NONE":
            entry.where.key("captureMode").report(_REFUSED["captureMode"])
        if entry.raw("port") is None:
            raise entry.where.key("port").error("missing; Istio refuses a listener without one.")
        listener = IngressListener(_port(entry), _app_port(entry), read_connection_pool(entry))
        if any(other.port.number == listener.port.number for other in found):
            raise entry.where.key("port", "number").error("stands here twice; keep one.")
        found.append(listener)
    return tuple(found)


def _app_port(entry: Fields) -> int | None:
    endpoint = entry.string("defaultEndpoint")
    if not endpoint:
        return None
    where = entry.where.key("defaultEndpoint")
    if endpoint.startswith("unix://"):
        raise where.error("an application behind a Unix socket is not played; write 127.0.0.1:PORT.")
    host, colon, port = endpoint.rpartition(":")
    if not colon or host not in ("", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"):  # noqa: S104 - what is written
        raise where.error(f"{endpoint!r} is refused by Istio; write 127.0.0.1:PORT.")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < _PORTS):
        raise where.error(f"{port!r} is not a port.")
    return int(port)


_PORTS = 65536


def _listener(entry: Fields) -> EgressListener:
    if entry.choice("captureMode", ("DEFAULT", "IPTABLES", "NONE"), "DEFAULT") == "NONE":
        entry.where.key("captureMode").report(_REFUSED["captureMode"])
    bind = entry.string("bind")
    if bind.startswith("unix://"):
        entry.where.key("bind").report(_REFUSED["bind"])
    elif bind and not is_address(bind):
        raise entry.where.key("bind").error(f"{bind!r} is no IP address.")
    hosts = entry.strings("hosts")
    where = entry.where.key("hosts")
    if not hosts:
        raise where.error("missing; write namespace/host, ./host, */host or ~/*.")
    return EgressListener(
        hosts=tuple(_host(text, where.item(index)) for index, text in enumerate(hosts)),
        port=_port(entry) if entry.raw("port") is not None else None,
        bind=bind,
    )


def _port(entry: Fields) -> ListenerPort:
    port = entry.mapping("port", _PORT_FIELDS, _PORT_REFUSED, _PORT_PASSED_OVER)
    written = port.string("protocol")
    if written.lower() == "http_proxy":
        port.where.key("protocol").report(_REFUSED["protocol"])
    protocol: Protocol | None = named_protocol(written) if written else "auto"
    if protocol is None:
        raise port.where.key("protocol").error(f"{written!r} is no protocol that Istio knows.")
    return ListenerPort(port.port("number"), protocol)


def _host(text: str, where: Where) -> tuple[str, str]:
    namespace, slash, host = text.partition("/")
    if not slash or not namespace:
        raise where.error(f"{text!r}: write namespace/host, ./host, */host or ~/*.")
    if problem := host_problem(host):
        raise where.error(problem)
    if host != "*" and "." not in host:
        raise where.error(f"{host!r} is a short name, which Istio refuses here; write the full name.")
    return namespace, host
