"""Texts of a value that patterns are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.paths import normalized
from meshlab.battery.request_values import Name, Text

if TYPE_CHECKING:
    from meshlab.battery.request_values import Value

__all__ = [
    "asked_server_name",
    "host_with_port",
    "host_without_port",
    "normalized_path",
    "sent_text",
    "text_or_empty",
]


def sent_text(value: Value) -> str | None:
    """Return a text as it is, `None` for a header or a parameter that is not sent: no pattern matches it."""
    return (value.text or None) if isinstance(value, Text) else None


def text_or_empty(value: Value) -> str | None:
    """Return a text as it is, and an empty one for a header that is not sent."""
    return value.text if isinstance(value, Text) else None


def normalized_path(value: Value) -> str | None:
    """Return a path as Envoy compares it."""
    return normalized(value.text) if isinstance(value, Text) else None


def host_with_port(value: Value) -> str | None:
    """Return the Host as it is written."""
    return value.host if isinstance(value, Name) else None


def host_without_port(value: Value) -> str | None:
    """Return the Host without its port."""
    return value.host.partition(":")[0] if isinstance(value, Name) else None


def asked_server_name(value: Value) -> str | None:
    """Return the server name that the client asks for."""
    return value.server_name if isinstance(value, Name) else None
