"""Changes of the kinds that say who may send what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import selector, with_value, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Changes, Path

__all__ = ["authorization_policy_changes", "peer_authentication_changes", "request_authentication_changes"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def authorization_policy_changes(body: Body) -> Changes:
    """Yield the changes of an AuthorizationPolicy."""
    yield (), "removed", None
    yield from selector(body)
    rules = body["spec"].get("rules")
    if rules is None:
        yield ("spec", "rules"), "every request", with_value(body, ("spec", "rules"), [{}])
        return
    for number, rule in enumerate(rules):
        here: Path = ("spec", "rules", number)
        yield here, "removed", without(body, here)
        for part in ("from", "to", "when"):
            if part in rule:
                yield (*here, part), "removed", without(body, (*here, part))
        for index, entry in enumerate(rule.get("from", ())):
            yield from _fields(body, (*here, "from", index, "source"), entry["source"])
        for index, entry in enumerate(rule.get("to", ())):
            yield from _fields(body, (*here, "to", index, "operation"), entry["operation"])
            if len(rule["to"]) > 1:
                yield (*here, "to", index), "removed", without(body, (*here, "to", index))
        for index, entry in enumerate(rule.get("when", ())):
            place = (*here, "when", index)
            yield place, f"{entry['key']} removed", without(body, place)
            for name in ("values", "notValues"):
                yield from _values(body, (*place, name), entry.get(name, ()))


def _fields(body: Body, place: Path, fields: Mapping[str, Any]) -> Changes:
    for name, values in fields.items():
        if len(fields) > 1:
            yield (*place, name), "removed", without(body, (*place, name))
        yield from _values(body, (*place, name), values)


def _values(body: Body, place: Path, values: list[str]) -> Changes:
    name = str(place[-1])
    for index, value in enumerate(values):
        here = (*place, index)
        if len(values) > 1:
            yield here, f"{value} removed", without(body, here)
        for wider in () if name.startswith("not") else _wider(name, value):
            yield here, f"{wider} for {value}", with_value(body, here, wider)
    if name == "methods":
        for method in _METHODS:
            if method not in values:
                yield place, f"{method} added", with_value(body, place, [*values, method])
    elif name != "ports" and not name.startswith("not"):
        yield place, "any value", with_value(body, place, [*values, "/*" if name == "paths" else "*"])


def _wider(name: str, value: str) -> Iterator[str]:
    if name in ("methods", "ports"):
        return
    if name == "paths" and "{*}" in value:
        yield f"{value.rpartition('{*}')[0]}{{**}}"
        yield f"{value.partition('{*}')[0]}*"
        return
    namespace = value.removesuffix("/sa/*")
    if namespace != value:
        yield f"{namespace}*"
        yield f"{namespace.rpartition('/')[0]}/*"
    if "*" not in value:
        yield f"{value}*"
        yield f"*{value}"


def request_authentication_changes(body: Body) -> Changes:
    """Yield the changes of a RequestAuthentication."""
    yield (), "removed", None
    yield from selector(body)
    for number, rule in enumerate(body["spec"].get("jwtRules", ())):
        here: Path = ("spec", "jwtRules", number)
        yield here, "removed", without(body, here)
        yield (
            (*here, "issuer"),
            "another issuer",
            with_value(body, (*here, "issuer"), f"{rule['issuer']}.another"),
        )
        if audiences := rule.get("audiences"):
            yield (*here, "audiences"), "removed", without(body, (*here, "audiences"))
            for index, audience in enumerate(audiences):
                place = (*here, "audiences", index)
                yield place, f"{audience} for another", with_value(body, place, f"{audience}.another")
        yield (
            (*here, "forwardOriginalToken"),
            "turned over",
            with_value(body, (*here, "forwardOriginalToken"), not rule.get("forwardOriginalToken", False)),
        )
        if "fromHeaders" in rule:
            yield (*here, "fromHeaders"), "removed", without(body, (*here, "fromHeaders"))
            yield (
                (*here, "fromParams"),
                "access_token",
                with_value(body, (*here, "fromParams"), ["access_token"]),
            )
            yield (
                (*here, "fromCookies"),
                "access_token",
                with_value(body, (*here, "fromCookies"), ["access_token"]),
            )


def peer_authentication_changes(body: Body) -> Changes:
    """Yield the changes of a PeerAuthentication."""
    yield (), "removed", None
    yield from selector(body)
    for mode in ("PERMISSIVE", "DISABLE"):
        if body["spec"].get("mtls", {}).get("mode") != mode:
            yield ("spec", "mtls", "mode"), mode, with_value(body, ("spec", "mtls", "mode"), mode)
    for port in body["spec"].get("portLevelMtls", ()):
        place: Path = ("spec", "portLevelMtls", port)
        yield place, "removed", without(body, place)
