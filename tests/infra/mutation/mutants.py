"""Changes of one object: each condition removed, and each made wider. Pure; the objects are plain mappings."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]
Path = tuple[str | int, ...]
_Changes = Callable[[Body], Iterator[tuple[Path, str, Body | None]]]

ANOTHER = "another"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class Mutant:
    """One object with one change.

    Attributes:
        kind: Its kind.
        namespace: Its namespace.
        name: Its name.
        path: The field, such as `spec.rules.0.from.0.source.principals`.
        change: What was done to it.
        body: The object as it is then; `None` where it is gone.
    """

    kind: str
    namespace: str
    name: str
    path: str
    change: str
    body: Body | None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}: {self.path}: {self.change}"


def mutants_of(body: Mapping[str, Any]) -> list[Mutant]:
    """Return the mutants of an object; none for a kind that decides no request."""
    kind = body["kind"]
    if kind not in _CHANGES:
        return []
    found = []
    metadata = body["metadata"]
    for path, change, changed in _CHANGES[kind](copy.deepcopy(dict(body))):
        place = ".".join(map(str, path)) or "the object"
        found.append(Mutant(kind, metadata.get("namespace", ""), metadata["name"], place, change, changed))
    return found


def _authorization_policy(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    yield (), "removed", None
    yield from _selector(body)
    rules = body["spec"].get("rules")
    if rules is None:
        yield ("spec", "rules"), "every request", _with(body, ("spec", "rules"), [{}])
        return
    for number, rule in enumerate(rules):
        here: Path = ("spec", "rules", number)
        yield here, "removed", _without(body, here)
        for part in ("from", "to", "when"):
            if part in rule:
                yield (*here, part), "removed", _without(body, (*here, part))
        for index, entry in enumerate(rule.get("from", ())):
            yield from _fields(body, (*here, "from", index, "source"), entry["source"])
        for index, entry in enumerate(rule.get("to", ())):
            yield from _fields(body, (*here, "to", index, "operation"), entry["operation"])
            if len(rule["to"]) > 1:
                yield (*here, "to", index), "removed", _without(body, (*here, "to", index))
        for index, entry in enumerate(rule.get("when", ())):
            place = (*here, "when", index)
            yield place, f"{entry['key']} removed", _without(body, place)
            for name in ("values", "notValues"):
                yield from _values(body, (*place, name), entry.get(name, ()))


def _fields(body: Body, place: Path, fields: Mapping[str, Any]) -> Iterator[tuple[Path, str, Body | None]]:
    for name, values in fields.items():
        if len(fields) > 1:
            yield (*place, name), "removed", _without(body, (*place, name))
        yield from _values(body, (*place, name), values)


def _values(body: Body, place: Path, values: list[str]) -> Iterator[tuple[Path, str, Body | None]]:
    name = str(place[-1])
    for index, value in enumerate(values):
        here = (*place, index)
        if len(values) > 1:
            yield here, f"{value} removed", _without(body, here)
        for wider in () if name.startswith("not") else _wider(name, value):
            yield here, f"{wider} for {value}", _with(body, here, wider)
    if name == "methods":
        for method in _METHODS:
            if method not in values:
                yield place, f"{method} added", _with(body, place, [*values, method])
    elif not name.startswith("not"):
        yield place, "any value", _with(body, place, [*values, "/*" if name == "paths" else "*"])


def _wider(name: str, value: str) -> Iterator[str]:
    if name == "methods":
        return
    if name == "paths" and "{*}" in value:
        yield f"{value.rpartition('{*}')[0]}{{**}}"
        yield f"{value.partition('{*}')[0]}*"
        return
    if "*" not in value:
        yield f"{value}*"
        yield f"*{value}"


def _request_authentication(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    yield (), "removed", None
    yield from _selector(body)
    for number, rule in enumerate(body["spec"].get("jwtRules", ())):
        here: Path = ("spec", "jwtRules", number)
        yield here, "removed", _without(body, here)
        yield (*here, "issuer"), "another issuer", _with(body, (*here, "issuer"), f"{rule['issuer']}.another")
        if audiences := rule.get("audiences"):
            yield (*here, "audiences"), "removed", _without(body, (*here, "audiences"))
            for index, audience in enumerate(audiences):
                place = (*here, "audiences", index)
                yield place, f"{audience} for another", _with(body, place, f"{audience}.another")
        yield (
            (*here, "forwardOriginalToken"),
            "turned over",
            _with(body, (*here, "forwardOriginalToken"), not rule.get("forwardOriginalToken", False)),
        )
        if "fromHeaders" in rule:
            yield (*here, "fromHeaders"), "removed", _without(body, (*here, "fromHeaders"))
            yield (
                (*here, "fromParams"),
                "access_token",
                _with(body, (*here, "fromParams"), ["access_token"]),
            )
            yield (
                (*here, "fromCookies"),
                "access_token",
                _with(body, (*here, "fromCookies"), ["access_token"]),
            )


def _peer_authentication(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    yield (), "removed", None
    yield from _selector(body)
    for mode in ("PERMISSIVE", "DISABLE"):
        if body["spec"].get("mtls", {}).get("mode") != mode:
            yield ("spec", "mtls", "mode"), mode, _with(body, ("spec", "mtls", "mode"), mode)
    for port in body["spec"].get("portLevelMtls", ()):
        place: Path = ("spec", "portLevelMtls", port)
        yield place, "removed", _without(body, place)


def _gateway(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    yield (), "removed", None
    for number, server in enumerate(body["spec"]["servers"]):
        here: Path = ("spec", "servers", number)
        yield here, "removed", _without(body, here)
        for index, host in enumerate(server["hosts"]):
            place = (*here, "hosts", index)
            yield place, f"{host} removed", _without(body, place)
            namespace, _, name = host.rpartition("/")
            if namespace not in ("", "*"):
                yield place, f"{host} from every namespace", _with(body, place, f"*/{name}")
        yield (*here, "hosts"), "any host", _with(body, (*here, "hosts"), [*server["hosts"], "*/*"])
        tls = server.get("tls", {})
        if "minProtocolVersion" in tls:
            place = (*here, "tls", "minProtocolVersion")
            yield place, "removed", _without(body, place)
        if tls.get("mode") in ("MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"):
            changed = {**tls, "mode": "SIMPLE", "credentialName": tls.get("credentialName", "a-credential")}
            yield (*here, "tls", "mode"), "SIMPLE", _with(body, (*here, "tls"), changed)
        for name in ("subjectAltNames", "caCrl", "cipherSuites"):
            if name in tls:
                yield (*here, "tls", name), "removed", _without(body, (*here, "tls", name))


def _virtual_service(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    spec = body["spec"]
    yield (), "removed", None
    if "exportTo" in spec:
        yield ("spec", "exportTo"), "every namespace", _with(body, ("spec", "exportTo"), ["*"])
    if "gateways" in spec:
        wider = [*spec["gateways"], "mesh"]
        yield ("spec", "gateways"), "mesh added", _with(body, ("spec", "gateways"), wider)
    for protocol in ("http", "tls", "tcp"):
        for number, route in enumerate(spec.get(protocol, ())):
            here: Path = ("spec", protocol, number)
            yield here, "removed", _without(body, here)
            yield from _route(body, here, route)


def _route(body: Body, here: Path, route: Mapping[str, Any]) -> Iterator[tuple[Path, str, Body | None]]:
    for name in ("timeout", "retries"):
        if name in route:
            yield (*here, name), "removed", _without(body, (*here, name))
    if "match" in route:
        yield (*here, "match"), "removed", _without(body, (*here, "match"))
    for index, match in enumerate(route.get("match", ())):
        place = (*here, "match", index)
        if len(route["match"]) > 1:
            yield place, "removed", _without(body, place)
        for name in match:
            if len(match) > 1:
                yield (*place, name), "removed", _without(body, (*place, name))
        regex = match.get("uri", {}).get("regex", "")
        if "[^/;]+" in regex:
            wider = regex.replace("[^/;]+", "[^/]+")
            yield (*place, "uri", "regex"), "parameters", _with(body, (*place, "uri", "regex"), wider)
            yield (*place, "uri", "regex"), "all below", _with(body, (*place, "uri", "regex"), ".*")
    for direction in ("request", "response"):
        for index, header in enumerate(route.get("headers", {}).get(direction, {}).get("remove", ())):
            place = (*here, "headers", direction, "remove", index)
            yield place, f"{header} kept", _without(body, place)


def _destination_rule(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    yield (), "removed", None
    if "exportTo" in body["spec"]:
        yield ("spec", "exportTo"), "every namespace", _with(body, ("spec", "exportTo"), ["*"])
    for place, tls in _tls_settings(body["spec"].get("trafficPolicy", {}), ("spec", "trafficPolicy")):
        yield place, "removed", _without(body, place)
        yield (*place, "mode"), "DISABLE", _with(body, place, {"mode": "DISABLE"})
        for name in ("sni", "subjectAltNames"):
            if name in tls:
                yield (*place, name), "removed", _without(body, (*place, name))
        yield (
            (*place, "insecureSkipVerify"),
            "set",
            _with(body, (*place, "insecureSkipVerify"), True),
        )


def _tls_settings(policy: Mapping[str, Any], place: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if "tls" in policy:
        yield (*place, "tls"), policy["tls"]
    for number, port in enumerate(policy.get("portLevelSettings", ())):
        if "tls" in port:
            yield (*place, "portLevelSettings", number, "tls"), port["tls"]


def _service_entry(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    yield (), "removed", None
    if "exportTo" in body["spec"]:
        yield ("spec", "exportTo"), "every namespace", _with(body, ("spec", "exportTo"), ["*"])
    hosts = body["spec"].get("hosts", [])
    for index, host in enumerate(hosts):
        if len(hosts) > 1:
            yield ("spec", "hosts", index), f"{host} removed", _without(body, ("spec", "hosts", index))


def _sidecar(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    yield (), "removed", None
    if "outboundTrafficPolicy" in body["spec"]:
        place: Path = ("spec", "outboundTrafficPolicy", "mode")
        yield place, "ALLOW_ANY", _with(body, place, "ALLOW_ANY")
    for number, listener in enumerate(body["spec"].get("egress", ())):
        here: Path = ("spec", "egress", number, "hosts")
        yield here, "every host", _with(body, here, ["*/*"])
        for index, host in enumerate(listener.get("hosts", ())):
            if len(listener["hosts"]) > 1:
                yield (*here, index), f"{host} removed", _without(body, (*here, index))


def _selector(body: Body) -> Iterator[tuple[Path, str, Body | None]]:
    labels = body["spec"].get("selector", {}).get("matchLabels", {})
    for label, value in labels.items():
        place: Path = ("spec", "selector", "matchLabels", label)
        yield place, "selects nothing", _with(body, place, f"{value}-{ANOTHER}")
    if labels:
        yield ("spec", "selector"), "every workload", _without(body, ("spec", "selector"))


_CHANGES: dict[str, _Changes] = {
    "AuthorizationPolicy": _authorization_policy,
    "DestinationRule": _destination_rule,
    "Gateway": _gateway,
    "PeerAuthentication": _peer_authentication,
    "RequestAuthentication": _request_authentication,
    "ServiceEntry": _service_entry,
    "Sidecar": _sidecar,
    "VirtualService": _virtual_service,
}


def _with(body: Body, path: Path, value: object) -> Body:
    changed = copy.deepcopy(body)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
    inner[path[-1]] = value
    return changed


def _without(body: Body, path: Path) -> Body:
    changed = copy.deepcopy(body)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed
