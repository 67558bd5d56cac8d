"""Host names of gateways and routes: wildcards, short names, what two of them have in common."""

from __future__ import annotations

import ipaddress
import re

__all__ = [
    "common_host",
    "domain_problem",
    "full_name",
    "host_problem",
    "hosts_overlap",
    "is_address",
    "is_label",
    "is_subset",
]


def full_name(host: str, namespace: str) -> str:
    """Resolve a short name, one without a dot, as Istio does: in the namespace of the object that says it."""
    if "." in host or "*" in host or is_address(host):
        return host
    return f"{host}.{namespace}.svc.cluster.local"


def common_host(one: str, other: str) -> str | None:
    """Return the hosts that two names have in common: the narrower name where it lies within the wider, else `None`."""
    if _covers(one, other):
        return other
    return one if _covers(other, one) else None


def is_subset(host: str, wider: str) -> bool:
    """Return whether every name that `host` covers is covered by `wider` (`pkg/config/host/name.go#SubsetOf`)."""
    if not wider.startswith("*"):
        return host == wider
    if host.startswith("*"):
        return len(host) >= len(wider) and host[1:].endswith(wider[1:])
    return host.endswith(wider[1:])


def hosts_overlap(one: str, other: str) -> bool:
    """Return whether some name is covered by both (`pkg/config/host/name.go#Matches`)."""
    return is_subset(one, other) or is_subset(other, one)


def is_address(host: str) -> bool:
    """Return whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_label(text: str) -> bool:
    """Return whether a text is one label of a DNS name, as Istio takes it for namespaces, subsets and gateways."""
    return len(text) <= _LABEL_MAX and bool(_DNS_LABEL.fullmatch(text))


def domain_problem(host: str) -> str | None:
    """Return what Istio's validation finds wrong with a host of a route, `None` where it finds nothing.

    Follows `pkg/config/validation/agent/validation.go#ValidateWildcardDomain`: a wildcard may stand in the first label
    alone, and the name may end with a dot.
    """
    problem = f"{host!r} is not a host; write a name, *.name, or an IP address."
    if is_address(host):
        return None
    first, dot, rest = host.partition(".")
    if len(host) > _NAME_MAX or len(first) > _LABEL_MAX or not _WILDCARD_LABEL.fullmatch(first):
        return problem
    labels = rest.split(".") if dot else []
    if labels and re.fullmatch(r"[-+]?[0-9]+", labels[-1]):
        return f"{host!r} is not a host: its last label is a number; write a name, *.name, or an IP address."
    if labels and not labels[-1]:
        labels.pop()
    return None if all(is_label(label) for label in labels) else problem


def host_problem(host: str) -> str | None:
    """Return what is wrong with a host name, `None` where nothing is."""
    if host == "*":
        return None
    labels = host.removeprefix("*.").split(".")
    if "*" in "".join(labels) or not all(labels) or any(part.strip(_LABEL) for part in labels):
        return f"{host!r} is not a host; write a name, *.name, or *."
    return None


_NAME_MAX, _LABEL_MAX = 255, 63
_DNS_LABEL = re.compile("[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(rf"\*|(?:\*-?)?{_DNS_LABEL.pattern}")
_LABEL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


def _covers(wide: str, narrow: str) -> bool:
    if wide == "*" or wide == narrow:
        return True
    return wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:]) and narrow != "*"
