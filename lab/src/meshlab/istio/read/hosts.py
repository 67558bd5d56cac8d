"""Host names of gateways and routes: wildcards, short names, what two of them have in common."""

from __future__ import annotations

__all__ = ["common_host", "full_name", "host_problem"]


def full_name(host: str, namespace: str) -> str:
    """Resolve a short name, one without a dot, as Istio does: in the namespace of the object that says it."""
    if "." in host or "*" in host:
        return host
    return f"{host}.{namespace}.svc.cluster.local"


def common_host(one: str, other: str) -> str | None:
    """The hosts that two names have in common: the narrower name where it lies within the wider, else `None`."""
    if _covers(one, other):
        return other
    return one if _covers(other, one) else None


def host_problem(host: str) -> str | None:
    """What is wrong with a host name, `None` where nothing is."""
    if host == "*":
        return None
    labels = host.removeprefix("*.").split(".")
    if "*" in "".join(labels) or not all(labels) or any(part.strip(_LABEL) for part in labels):
        return f"{host!r} is not a host; write a name, *.name, or *."
    return None


_LABEL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


def _covers(wide: str, narrow: str) -> bool:
    if wide == "*" or wide == narrow:
        return True
    return wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:]) and narrow != "*"
