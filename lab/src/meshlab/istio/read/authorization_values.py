"""Values and keys of an AuthorizationPolicy that Istio's webhook accepts (`pkg/config/security/security.go`)."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["is_condition_key", "value_check"]

_KEYS = (
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.serviceAccount",
    "source.trustDomain",
    "source.principal",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
)
_KEYS_WITH_NAME = ("request.headers", "request.auth.claims", "experimental.envoy.filters.")
_SEGMENT = re.compile(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+")
_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_MAX_ACCOUNT_LENGTH = 320


def is_condition_key(key: str) -> bool:
    """Return whether Istio knows the key of a condition."""
    if key in _KEYS:
        return True
    opened = key.find("[")
    named = key.endswith("]") and 0 < opened < len(key) - 2
    return named and key.startswith(_KEYS_WITH_NAME)


def value_check(name: str) -> Callable[[str], str | None] | None:
    """Return the check for the values of a field or a key; it returns what is wrong with a value."""
    return _CHECKS.get(name)


def _block_problem(value: str) -> str | None:
    address, slash, length = value.partition("/")
    problem = f"{value!r} is neither an address nor a range such as 10.0.0.0/8."
    try:
        size = ipaddress.ip_address(address).max_prefixlen
    except ValueError:
        return problem
    if slash and not (_PREFIX_LENGTH.fullmatch(length) and int(length) <= size):
        return problem
    return None


def _port_problem(value: str) -> str | None:
    if value.isascii() and value.isdigit() and int(value) < 65536:
        return None
    return f"{value!r} is not a port; write the number in quotes."


def _path_problem(value: str) -> str | None:
    template, ended = "{*}" in value or "{**}" in value, False
    for segment in value.strip("/").split("/"):
        if segment in ("{*}", "{**}"):
            if ended:
                return f"{value!r}: {{**}} must be the last template."
            ended = segment == "{**}"
        elif "{" in segment or "}" in segment:
            return f"{value!r}: only {{*}} and {{**}} are templates, each as a whole segment."
        elif template and not _SEGMENT.fullmatch(segment):
            return f"{value!r}: {segment!r} cannot stand beside a template; write letters and digits."
    return None


def _account_problem(value: str) -> str | None:
    namespace, slash, name = value.rpartition("/")
    malformed = "/" in namespace or "*" in value or not name or (slash and not namespace)
    if malformed or len(value) > _MAX_ACCOUNT_LENGTH:
        return f"{value!r} is not a service account; write name or namespace/name, without wildcards."
    return None


def _wildcard_problem(value: str) -> str | None:
    if value == "*" or ("*" not in value[1:-1] and value.count("*") <= 1):
        return None
    return f"{value!r}: one * may stand at the beginning or at the end."


def _trust_domain_problem(value: str) -> str | None:
    return f"{value!r}: a trust domain has no slash." if "/" in value else _wildcard_problem(value)


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "ports": _port_problem,
    "destination.port": _port_problem,
    "paths": _path_problem,
    "trustDomains": _trust_domain_problem,
    "source.trustDomain": _wildcard_problem,
    **dict.fromkeys(("serviceAccounts", "source.serviceAccount"), _account_problem),
    **dict.fromkeys(
        ("ipBlocks", "remoteIpBlocks", "source.ip", "remote.ip", "destination.ip"), _block_problem
    ),
}
