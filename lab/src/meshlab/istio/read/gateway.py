"""Gateway: which ports a gateway workload opens, for which hosts, and how TLS is handled there.

What Istio's webhook refuses (`pkg/config/validation/validation.go#ValidateGateway`) is a refusal. What Istio accepts
and ignores is a note.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from meshlab.istio.read.attachment import UNKNOWN_AGE, created_at
from meshlab.istio.read.fields import Fields, Where, spec_of
from meshlab.istio.read.hosts import common_host
from meshlab.istio.read.protocols import named_protocol
from meshlab.istio.read.server_tls import ServerTls, read_server_tls
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshlab.istio.read.services import Service
    from meshlab.manifest import Manifest, Problem

__all__ = ["Gateway", "Server", "ServerHost", "read_gateway"]

_HTTP = ("http", "http2", "http_proxy", "grpc", "grpc-web")
_TLS = ("https", "tls")
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - what a manifest says, nothing is bound
_EVERYTHING = "*/*"
_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")


@dataclass(frozen=True)
class ServerHost:
    """One host of a server; `namespace` is empty for any, else whose VirtualServices may bind it."""

    namespace: str
    name: str
    where: Where

    def shares(self, namespace: str, host: str) -> str | None:
        """Return the hosts that a VirtualService of that namespace binds here with that host, `None` for none."""
        if self.namespace and self.namespace != namespace:
            return None
        return common_host(self.name, host)

    @property
    def key(self) -> str:
        """How Istio compares it with the hosts of other servers: with its namespace, as written."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class Server:
    """One server of a Gateway.

    Attributes:
        port: The number that the Gateway declares.
        port_name: The name of the port, unique in its Gateway.
        protocol: The protocol of the port, in small letters.
        bind: The address that it asks for; empty for every address.
        name: The name of the server, for statistics.
        hosts: Which hosts may be bound here.
        tls: How TLS is handled; `None` where nothing is written.
        where: Where it stands.
    """

    port: int
    port_name: str
    protocol: str
    bind: str
    name: str
    hosts: tuple[ServerHost, ...]
    tls: ServerTls | None
    where: Where

    @property
    def is_plain_http(self) -> bool:
        """Whether it takes HTTP without TLS."""
        return self.protocol in _HTTP

    @property
    def is_https(self) -> bool:
        """Whether it ends TLS and speaks HTTP inside."""
        return self.protocol == "https" and self.tls is not None and not self.tls.passes_through

    @property
    def is_tls(self) -> bool:
        """Whether it ends TLS or passes it through."""
        return self.tls is not None and not self.is_plain_http

    @property
    def redirects(self) -> bool:
        """Whether it answers plaintext requests with a redirection to HTTPS."""
        return self.tls is not None and self.tls.https_redirect


@dataclass(frozen=True)
class Gateway:
    """A Gateway as read.

    Attributes:
        selector: The labels of the gateway workloads; none for every one of them.
        servers: Its servers, in order.
        where: Its spec.
        created: When it was created, as an export from a cluster says; older Gateways come first.
        notes: What Istio accepts in it and ignores.
        services: For a listener of the Gateway API, the Services whose pods it is for, in place of labels.
        account: For a listener of the Gateway API, the service account of these pods, where Istio makes them.
    """

    namespace: str
    name: str
    selector: Mapping[str, str]
    servers: tuple[Server, ...]
    where: Where
    created: dt.datetime = UNKNOWN_AGE
    notes: tuple[Problem, ...] = ()
    services: tuple[Service, ...] | None = None
    account: str = ""

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether it is for the pods of that namespace with those labels."""
        if self.services is None:
            return self.selector.items() <= labels.items()
        return any(service.selects(namespace, labels) for service in self.services)

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


def read_gateway(manifest: Manifest) -> Gateway:
    """Read and check a Gateway.

    Raises:
        ManifestError: An unknown field, or what Istio's webhook refuses.
    """
    spec = spec_of(manifest, ("selector", "servers"))
    if not _LABEL.fullmatch(manifest.name):
        raise (
            Where(manifest)
            .key("metadata", "name")
            .error("Istio takes letters, digits and dashes alone here.")
        )
    servers = spec.items("servers", ("name", "port", "hosts", "tls", "bind", "defaultEndpoint"))
    if not servers:
        raise spec.where.key("servers").error("missing; a Gateway without servers opens no port.")
    notes: list[Problem] = []
    found = tuple(_server(server, manifest.namespace, notes) for server in servers)
    named: set[str] = set()
    for server in found:
        if server.port_name in named:
            where = server.where.key("port", "name")
            raise where.error(
                f"another port is called {server.port_name!r}, which Istio refuses; rename one."
            )
        named.add(server.port_name)
    return Gateway(
        namespace=manifest.namespace,
        name=manifest.name,
        selector=spec.string_map("selector"),
        servers=found,
        where=spec.where,
        created=created_at(manifest),
        notes=tuple(notes),
    )


def _server(server: Fields, namespace: str, notes: list[Problem]) -> Server:
    port = server.mapping("port", ("number", "name", "protocol", "targetPort"))
    if port.raw("targetPort") not in (None, 0):
        raise port.where.key("targetPort").error(
            "has no effect, and Istio refuses it; the Service's targetPort counts."
        )
    number = port.port("number")
    protocol = port.required("protocol").lower()
    if named_protocol(protocol) is None:
        choice = "HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TLS, TCP, MONGO, REDIS, MYSQL"
        raise port.where.key("protocol").error(f"{protocol!r} is not known; write one of {choice}.")
    tls = read_server_tls(server, notes) if server.raw("tls") is not None else None
    _check_tls(server, protocol, tls, notes)
    if server.raw("defaultEndpoint") is not None:
        where = server.where.key("defaultEndpoint")
        notes.append(where.manifest.problem(where.keys, "Istio does not implement it, and ignores it."))
    return Server(
        port=number,
        port_name=port.required("name"),
        protocol=protocol,
        bind=_bind(server),
        name=server.string("name"),
        hosts=_hosts(server, namespace),
        tls=tls,
        where=server.where,
    )


def _check_tls(server: Fields, protocol: str, tls: ServerTls | None, notes: list[Problem]) -> None:
    where = server.where.key("tls")
    if tls is None:
        if protocol in _TLS:
            raise where.error(f"missing; a server of protocol {protocol.upper()} needs a mode.")
        return
    if protocol not in (*_TLS, *_HTTP):
        raise where.error(f"Istio refuses it beside protocol {protocol.upper()}; write TLS.")
    if protocol in _HTTP and (not tls.passes_through or tls.files or tls.ca_file):
        raise where.error(
            f"beside protocol {protocol.upper()} only httpsRedirect may stand here; write HTTPS."
        )
    if protocol not in _HTTP and tls.https_redirect:
        place = where.key("httpsRedirect")
        notes.append(place.manifest.problem(place.keys, "only a server of protocol HTTP redirects to HTTPS."))


def _bind(server: Fields) -> str:
    bind = server.string("bind")
    if bind not in ("", _ANY_ADDRESS):
        problem = "which clients reach one address of a pod is not known; remove it."
        raise server.where.key("bind").error(f"{bind!r}: {problem}")
    return bind


def _hosts(server: Fields, namespace: str) -> tuple[ServerHost, ...]:
    written = server.strings("hosts")
    if not written:
        raise server.where.key("hosts").error("missing; name the hosts that may be bound here.")
    where = server.where.key("hosts")
    found = tuple(_host(text, namespace, where.item(index)) for index, text in enumerate(written))
    if _EVERYTHING not in written:
        return found
    first = written.index(_EVERYTHING)
    for index, text in enumerate(written):
        # sanitizeServerHostNamespace has cut the list by then.
        if index > first and text != _EVERYTHING and text.startswith(("*/", "./")):
            raise where.item(index).error(
                f"istiod crashes on it after {_EVERYTHING}; remove it, as it adds no host."
            )
    return (found[first],)


def _host(text: str, namespace: str, where: Where) -> ServerHost:
    scope, slash, name = text.partition("/")
    if not slash:
        scope, name = "*", text
    if problem := _host_problem(name):
        raise where.error(problem)
    if scope not in ("*", ".") and not _LABEL.fullmatch(scope):
        raise where.error(f"{text!r}: write namespace/host, ./host or */host.")
    return ServerHost({"*": "", ".": namespace}.get(scope, scope), name, where)


def _host_problem(name: str) -> str | None:
    """Return what Istio's webhook finds wrong with a host, `None` where it finds nothing."""
    if name == "*" or _is_address(name):
        return None
    if "." not in name:
        return f"{name!r} is a short name, which Istio refuses here; write the full name."
    labels = name.removeprefix("*.").removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return f"{name!r} is not a host; write a name, *.name, or *."
    return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
