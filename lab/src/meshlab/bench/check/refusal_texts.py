"""Refusals in words: the traffic that is not judged, and reasons that can be counted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlab.istio.model.trust import Refusal, Scope
    from meshlab.manifest import Problem

__all__ = ["reason", "traffic"]

_INDEX = re.compile(r"\[\d+\]")
_VALUE = re.compile(r"^'[^']*'")
_PLACE = re.compile(r"^\S+:\d+(?= has the same)")
_PROXIES = {"sidecar": "sidecars", "gateway": "gateways", "any": "proxies"}
_DIRECTIONS = {
    "inbound": "requests that arrive at",
    "outbound": "requests that leave through",
    None: "requests through",
}


def traffic(refusal: Refusal) -> tuple[str, ...]:
    """Return which traffic is not judged because of a refusal, one phrase for each scope."""
    return tuple(dict.fromkeys(_scope(scope) for scope in refusal.scopes))


def reason(problem: Problem) -> str:
    """Return what a problem has in common with its like in other objects: kind, field and text without values."""
    kind = problem.subject.partition(" ")[0]
    field = _INDEX.sub("[]", problem.path)
    text = _VALUE.sub("a value", _PLACE.sub("another file", problem.text)).partition("; known are ")[0]
    return ": ".join(part.rstrip(".") for part in (kind, field, text) if part)


def _scope(scope: Scope) -> str:
    if scope.hosts == ():
        return "none"
    parts = [_DIRECTIONS[scope.direction]]
    if scope.only:
        parts.append(f"the proxy of {' and '.join(scope.only)}")
    elif scope.namespaces is None and not scope.selector and scope.proxies == "any":
        parts.append("any proxy")
    else:
        parts.append(_PROXIES[scope.proxies])
    if scope.selector:
        parts.append("with " + ", ".join(f"{key}={value}" for key, value in scope.selector))
    if scope.namespaces is not None:
        parts.append("in " + " and ".join(scope.namespaces))
    if scope.hosts:
        parts.append("to " + ", ".join(scope.hosts))
    if scope.ports is not None:
        parts.append(f"on port {', '.join(map(str, scope.ports))}")
    return " ".join(parts)
