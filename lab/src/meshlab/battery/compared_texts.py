"""Texts of a value that patterns are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.paths import normalized
from meshlab.battery.request_values import Name, Text

if TYPE_CHECKING:
    from meshlab.battery.request_values import Value

__all__ = [
    "SCHEMES",
    "asked_scheme",
    "asked_server_name",
    "host_with_port",
    "host_without_port",
    "normalized_path",
    "presence",
    "sent_text",
    "text_or_empty",
]

SCHEMES = ("http", "https")


def sent_text(value: Value) -> str | None:
    """Return a text as it is, `None` for a header or a parameter that is not sent: no pattern matches it."""
    return value.text if isinstance(value, Text) and value.sent else None


def presence(value: Value) -> str | None:
    """Return some text for a header or a parameter that is sent, whatever its value is, and `None` for another one."""
    return "sent" if isinstance(value, Text) and value.sent else None


def asked_scheme(value: Value) -> str | None:
    """Return the scheme that Envoy takes a plaintext request for, by its `x-forwarded-proto`.

    Follows Envoy's `source/common/http/conn_manager_utility.cc#getScheme`: what is no scheme there does not count.
    """
    if not isinstance(value, Text):
        return None
    return value.text if value.text in SCHEMES else SCHEMES[0]


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
