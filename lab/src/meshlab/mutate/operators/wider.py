"""Values of conditions made wider or narrower, as the words of a change and the new value."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["any_value", "narrower", "wider", "wider_host"]

_ADDRESSES = ("ipBlocks", "remoteIpBlocks", "source.ip", "remote.ip", "destination.ip")
_WHOLE = ("methods", "ports", "serviceAccounts", "source.serviceAccount", "destination.port")
"""Fields and keys whose values are compared as a whole, and take no wildcard."""
_TOKENS = ("requestPrincipals", "request.auth.principal")
"""Issuer and subject of a token, parted by the last slash."""
_EVERY_ADDRESS = "0.0.0.0/0"


def wider(name: str, value: str) -> Iterator[str]:
    """Yield values that match more than a value does.

    Args:
        name: The field of a source or an operation, or the key of a condition.
        value: The value.
    """
    if name in _WHOLE:
        return
    if name in _ADDRESSES:
        yield from _wider_range(value)
        return
    if name == "paths" and "{*}" in value:
        yield f"{value.rpartition('{*}')[0]}{{**}}"
        yield f"{value.partition('{*}')[0]}*"
        return
    account = value.removesuffix("/sa/*")
    if account != value:
        yield f"{account}*"
        yield f"{account.rpartition('/')[0]}/*"
    if "*" not in value and "{" not in value:
        yield f"{value}*"
        issuer, slash, subject = value.rpartition("/")
        if name in _TOKENS and issuer and subject:
            # A token counts only with an issuer that a rule names, and no URL is the end of another one.
            yield f"*{slash}{subject}"
        else:
            yield f"*{value}"


def narrower(name: str, value: str) -> Iterator[str]:
    """Yield values that match less than a value with a wildcard does."""
    if name in (*_WHOLE, *_ADDRESSES) or "{" in value:
        return
    bare = value.strip("*")
    if bare not in (value, "", "/"):
        yield bare


def any_value(name: str) -> str | None:
    """Return the value that matches all; `None` where a field has none."""
    if name in _WHOLE:
        return None
    if name in _ADDRESSES:
        return _EVERY_ADDRESS
    return "/*" if name == "paths" else "*"


def wider_host(host: str) -> str | None:
    """Return the wildcard that holds a host and its neighbours; `None` where there is none that is one."""
    parent = host.partition(".")[2]
    return f"*.{parent}" if "." in parent and not host.startswith("*") else None


def _wider_range(value: str) -> Iterator[str]:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return
    if network.prefixlen > 0:
        yield str(network.supernet())
