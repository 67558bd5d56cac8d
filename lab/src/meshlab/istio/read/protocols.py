"""Protocol of a port: `pkg/config/kube/conversion.go` and `pkg/config/protocol/instance.go`."""

from __future__ import annotations

from typing import Literal

__all__ = ["Protocol", "named_protocol", "service_protocol"]

Protocol = Literal["http", "http2", "tls", "tcp", "udp", "auto"]
"""What decides a port's listeners. `auto` is sniffed: HTTP or opaque TCP."""

_BY_NAME: dict[str, Protocol] = {
    "http": "http",
    "http_proxy": "http",
    "http2": "http2",
    "grpc": "http2",
    "grpc-web": "http2",
    "https": "tls",
    "tls": "tls",
    "tcp": "tcp",
    "mongo": "tcp",
    "redis": "tcp",
    "mysql": "tcp",
    "udp": "udp",
}
_BY_APP_PROTOCOL: dict[str, Protocol] = {
    "kubernetes.io/h2c": "http2",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "tls",
}
_SERVER_FIRST_PORTS = (25, 53, 3306, 27017)
"""Ports of protocols in which the server speaks first; Istio does not sniff them."""


def named_protocol(name: str) -> Protocol | None:
    """Return the protocol of that name in any case, as a Gateway or a ServiceEntry writes it; `None` if unknown."""
    return _BY_NAME.get(name.lower())


def service_protocol(number: int, name: str, transport: str, app_protocol: str | None) -> Protocol:
    """Return the protocol of a Service's port.

    Args:
        number: The Service's port.
        name: Its name; what stands before the first dash counts.
        transport: Its `protocol`, such as `TCP`.
        app_protocol: Its `appProtocol`, which goes before the name.
    """
    if transport.upper() == "UDP":
        return "udp"
    if app_protocol in _BY_APP_PROTOCOL:
        return _BY_APP_PROTOCOL[app_protocol]
    text = name if app_protocol is None else app_protocol
    if text.lower().startswith("grpc-web"):
        return "http2"
    found = named_protocol(text.partition("-")[0])
    if found is None:
        return "tcp" if number in _SERVER_FIRST_PORTS else "auto"
    return found
