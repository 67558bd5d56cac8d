"""Which rule of which VirtualService takes a request, evaluated one sentence of the documentation after the other.

Written from https://istio.io/latest/docs/reference/config/networking/virtual-service/ and the pages on traffic,
without the compiler's types: it works on the objects as written. Every rule names itself in `name`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Caller", "Request", "at_gateway", "at_sidecar"]

Object = dict[str, Any]
NO_RULE = "no rule"
UNKNOWN_HOST = "unknown host"


@dataclass(frozen=True)
class Request:
    """A request in plaintext; names of headers are in lower case."""

    path: str = "/"
    method: str = "GET"
    host: str = "cart.example"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """The workload whose proxy sends the request on."""

    namespace: str
    labels: Mapping[str, str]
    port: int


def at_gateway(
    services: Sequence[Object], server_hosts: Sequence[str], gateway: str, caller: Caller, request: Request
) -> str:
    """Return the name of the rule that a gateway follows, or `no rule`.

    Args:
        services: The VirtualServices.
        server_hosts: The hosts of the gateway's only server.
        gateway: The Gateway, as `namespace/name`.
        caller: The gateway workload, with the port that the server declares.
        request: The request.
    """
    seen = [service for service in _seen(services, caller.namespace) if gateway in _gateways(service)]
    by_host: dict[str, list[Object]] = {}
    for service in seen:
        rules = list(_rules(service, services, gateway, caller))
        shared = [
            host
            for offered in server_hosts
            for bound in service["spec"]["hosts"]
            if (host := _narrower(offered, bound)) is not None
        ]
        for host in dict.fromkeys(shared) if rules else ():
            by_host.setdefault(host, []).extend(rules)
    host = _closest(by_host, request.host)
    if host is None:
        return NO_RULE
    # Rules that take every request come last, so that those of other VirtualServices are reached.
    ordered = sorted(by_host[host], key=lambda rule: _takes_all(rule["match"]))
    return _first(ordered, request)


def at_sidecar(services: Sequence[Object], known: Sequence[str], caller: Caller, request: Request) -> str:
    """Return the name of the rule that a sidecar follows on port 80, the host of a service without rules, or why not.

    Args:
        services: The VirtualServices.
        known: Full names of the services.
        caller: The workload.
        request: The request.
    """
    seen = [service for service in _seen(services, caller.namespace) if "mesh" in _gateways(service)]
    by_host: dict[str, list[Object]] = {}
    for service in seen:
        rules = list(_rules(service, services, "mesh", caller))
        for host in (_full(host, service) for host in service["spec"]["hosts"]):
            if rules and host not in by_host:
                by_host[host] = rules
    # A service follows the closest host of any VirtualService; where the rules of that are for other callers, none.
    names: dict[str, str] = {}
    for service_host in known:
        for name in _names(service_host, caller.namespace):
            names.setdefault(name, service_host)
    called = request.host.rpartition(":")[0] or request.host
    target = names.get(called, called)
    if target in known:
        owner = _closest({_full(host, s): [] for s in seen for host in s["spec"]["hosts"]}, target)
        if owner is None or owner not in by_host or not _owns(seen, services, owner, target, caller):
            return target
        return _first(by_host[owner], request)
    outside = {
        host: rules for host, rules in by_host.items() if not any(_covers(host, name) for name in known)
    }
    owner = _closest(outside, target)
    return UNKNOWN_HOST if owner is None else _first(outside[owner], request)


def _owns(
    seen: Sequence[Object], services: Sequence[Object], owner: str, target: str, caller: Caller
) -> bool:
    """Return whether the first VirtualService with that host has rules for the caller.

    An exact host is taken by the first VirtualService that has any; a wildcard only counts for the first of its name.
    """
    if owner == target:
        return True
    first = next(s for s in seen if owner in [_full(host, s) for host in s["spec"]["hosts"]])
    return bool(list(_rules(first, services, "mesh", caller)))


def _seen(services: Sequence[Object], namespace: str) -> list[Object]:
    """Return what is exported to a namespace: to its own alone first, then to it by name, then to all."""
    groups: tuple[list[Object], list[Object], list[Object]] = ([], [], [])
    for service in sorted(services, key=lambda s: (s["metadata"]["name"], s["metadata"]["namespace"])):
        own = service["metadata"]["namespace"]
        scopes = [own if scope == "." else scope for scope in service["spec"].get("exportTo", ["*"])]
        if not service["spec"].get("hosts"):
            continue
        if "*" in scopes:
            groups[2].append(service)
        elif namespace in scopes:
            groups[0 if own == namespace else 1].append(service)
    return [service for group in groups for service in group]


def _gateways(service: Object) -> list[str]:
    own = service["metadata"]["namespace"]
    names = service["spec"].get("gateways", ["mesh"])
    return [name if "/" in name or name == "mesh" else f"{own}/{name}" for name in names]


def _rules(service: Object, services: Sequence[Object], gateway: str, caller: Caller) -> Iterator[Object]:
    """Yield one entry for each alternative that is for the caller, up to the first that takes every request."""
    own = service["metadata"]["namespace"]
    for rule in _delegated(service, services):
        for match in rule["matches"]:
            if all(_is_for(part, own, gateway, caller) for part in match):
                yield {"name": rule["name"], "match": match}
                if _takes_all(match):
                    return


def _delegated(service: Object, services: Sequence[Object]) -> Iterator[Object]:
    """Yield the rules with each alternative as a list of conditions, all of which must hold."""
    for rule in service["spec"]["http"]:
        outer = rule.get("match") or [{}]
        if "delegate" not in rule:
            yield {"name": rule["name"], "matches": [[match] for match in outer]}
            continue
        wanted = rule["delegate"].get("namespace", service["metadata"]["namespace"]), rule["delegate"]["name"]
        for other in services:
            found = other["metadata"]["namespace"], other["metadata"]["name"]
            if found != wanted or other["spec"].get("hosts"):
                continue
            for inner in other["spec"]["http"]:
                alternatives = inner.get("match") or [{}]
                joined = [[a, b] for b in alternatives for a in outer]
                name = "-".join(part for part in (rule.get("name"), inner["name"]) if part)
                yield {"name": name, "matches": joined}


def _is_for(match: Object, own: str, gateway: str, caller: Caller) -> bool:
    if match.get("port", caller.port) != caller.port:
        return False
    if "gateways" in match:
        return gateway in [
            name if "/" in name or name == "mesh" else f"{own}/{name}" for name in match["gateways"]
        ]
    labels = match.get("sourceLabels", {})
    return (
        all(caller.labels.get(key) == value for key, value in labels.items())
        and match.get("sourceNamespace", caller.namespace) == caller.namespace
    )


def _takes_all(match: Sequence[Object]) -> bool:
    uris = [part["uri"] for part in match if "uri" in part]
    conditions = ("method", "authority", "scheme", "headers", "withoutHeaders", "queryParams")
    # A condition without a pattern, such as `method: {}`, is one all the same; on the path it is none.
    return all(uri in ({"prefix": "/"}, {"regex": ".*"}, {}) for uri in uris) and not any(
        name in part for part in match for name in conditions
    )


def _first(rules: Sequence[Object], request: Request) -> str:
    for rule in rules:
        if all(_matches(part, request) for part in rule["match"]):
            name: str = rule["name"]
            return name
    return NO_RULE


def _matches(match: Object, request: Request) -> bool:
    path, _, query = request.path.partition("?")
    params = [tuple(pair.partition("=")[::2]) for pair in query.split("&")] if query else []
    if "uri" in match and not _path(match["uri"], path, ignore_case=match.get("ignoreUriCase", False)):
        return False
    for name, actual in (("method", request.method), ("authority", request.host), ("scheme", "http")):
        if name in match and not _text(match[name], actual):
            return False
    for name, text in match.get("headers", {}).items():
        if name not in request.headers or not _text(text, request.headers[name]):
            return False
    for name, text in match.get("withoutHeaders", {}).items():
        if not text:
            if name in request.headers:
                return False
        elif _text(text, request.headers.get(name, "")):
            return False
    for name, text in match.get("queryParams", {}).items():
        values = [value for key, value in params if key == name]
        if not values or not _text(text, values[0]):
            return False
    return True


def _path(uri: Object, path: str, *, ignore_case: bool) -> bool:
    """Ignoring case counts for exact and prefix matches only."""
    if ignore_case and "regex" not in uri:
        return _text({kind: value.lower() for kind, value in uri.items()}, path.lower())
    return _text(uri, path)


def _text(text: Object, actual: str) -> bool:
    if "exact" in text:
        return bool(actual == text["exact"])
    if "prefix" in text:
        return actual.startswith(text["prefix"])
    if "regex" in text:
        return re.fullmatch(text["regex"], actual) is not None
    return True


def _covers(wide: str, narrow: str) -> bool:
    return wide == narrow or (
        wide.startswith("*") and narrow.lstrip("*").endswith(wide[1:]) and narrow != "*"
    )


def _narrower(one: str, other: str) -> str | None:
    if _covers(one, other):
        return other
    return one if _covers(other, one) else None


def _closest(hosts: Mapping[str, object], called: str) -> str | None:
    """Return the host that fits best: the name itself, else the longest wildcard."""
    if called.rpartition(":")[2].isdigit():
        called = called.rpartition(":")[0]
    if called in hosts:
        return called
    wildcards = [host for host in hosts if host.startswith("*") and called.endswith(host[1:])]
    return max(wildcards, key=len, default=None)


def _full(host: str, service: Object) -> str:
    return (
        host if "." in host or "*" in host else f"{host}.{service['metadata']['namespace']}.svc.cluster.local"
    )


def _names(service: str, namespace: str) -> list[str]:
    """Return the names by which a workload of a namespace may call a service."""
    name, dot, rest = service.partition(".svc.cluster.local")
    if not dot or rest:
        return [service, f"{service}."]
    short, _, own = name.partition(".")
    return [service, f"{service}.", name, f"{name}.svc", *([short] if own == namespace else [])]
