"""Near misses: requests that differ in one thing from what a caller may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshgen.ingress.model import GATEWAY, ONE_SEGMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshgen.ingress.model import Call, Ingress, Service

__all__ = [
    "Miss",
    "allowed_requests",
    "other_callers",
    "other_hosts",
    "other_requests",
    "other_tokens",
    "request",
]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DENIED = "RBAC: access denied"
_VALUE = "x-1"
"""What stands for one segment."""


@dataclass(frozen=True)
class Miss:
    """A request that must be refused.

    Attributes:
        what: How it differs.
        request: The request, as a case file writes it.
        token: The token, as a case file writes it; `None` for the caller's own.
        status: The status of the refusal.
        says: Words of the refusal; empty where they do not matter.
        status_behind: The status at the workload's own proxy, where it is another one than at the gateway.
    """

    what: str
    request: dict[str, Any]
    token: Any = None
    status: int = 403
    says: str = _DENIED
    status_behind: int | None = None


def request(service: Service, method: str, path: str) -> dict[str, Any]:
    """Return a request to a service, as a case file writes it."""
    return {"method": method, "url": f"https://{service.host}{path}"}


def allowed_requests(call: Call) -> Iterator[tuple[str, str]]:
    """Yield method and path of one request for each thing that a caller may do."""
    for route in call.routes:
        for template in route.paths:
            for method in route.methods:
                yield method, _path(template)


def other_requests(call: Call) -> Iterator[Miss]:
    """Yield other methods on the caller's paths, and other paths with its methods."""
    templates = dict.fromkeys(template for route in call.routes for template in route.paths)
    for template in templates:
        for method in _METHODS:
            if not call.allows(method, _path(template)):
                sent = request(call.service, method, _path(template))
                yield Miss(f"{method} {_path(template)}", sent, says="" if method == "HEAD" else _DENIED)
    seen: set[tuple[str, str]] = set()
    for route in call.routes:
        for template in route.paths:
            for what, target in _other_targets(template):
                known = (route.methods[0], target) in seen
                surely = "%2e" in target
                if known or (not surely and call.allows(route.methods[0], _as_normalized(target))):
                    continue
                seen.add((route.methods[0], target))
                sent = {**request(call.service, route.methods[0], "/"), "target": target}
                yield Miss(f"{route.methods[0]} {target} ({what})", sent)
    for route in call.service.routes.values():
        for template in route.paths:
            for method in route.methods:
                if (
                    route not in call.routes
                    and not call.allows(method, _path(template))
                    and template not in templates
                ):
                    yield Miss(
                        f"{method} {_path(template)} (a route of others)",
                        request(call.service, method, _path(template)),
                    )


def _other_targets(template: str) -> Iterator[tuple[str, str]]:
    path = _path(template)
    parts = template.split("/")
    yield "one segment more", f"{path}/more"
    yield "a slash at the end", f"{path}/"
    if len(parts) > 2:
        yield "one segment less", _path("/".join(parts[:-1]))
    up = len(parts) - 1
    yield "the directory above", f"{path}{'/..' * up}/admin"
    yield "the directory above, encoded", f"{path}{'/%2e%2E' * up}/admin"
    yield "an encoded slash at the end", f"{path}%2Fmore/more"
    yield "doubled slash", f"/{path}"
    for number, part in enumerate(parts):
        if part == ONE_SEGMENT:
            yield "an empty segment", _path("/".join([*parts[:number], "", *parts[number + 1 :]]))
            # Envoy itself resolves a dot segment that is not encoded, whatever parameters it has.
            for form in ("..;", ".;", "%2e%2e;", "%2e;", "%2e%2e;a=b", "%2e;a=b"):
                later = ONE_SEGMENT in parts[:number] and form.endswith("a=b")
                if not later:
                    yield (
                        "a dot segment with parameters",
                        _path("/".join([*parts[:number], form, *parts[number + 1 :]])),
                    )
        elif part:
            for what, other in (
                ("another word", "admin"),
                ("a longer word", f"{part}s"),
                ("a shorter word", part[:-1] or "x"),
                ("upper case", part.upper()),
                *_other_custom_methods(part),
            ):
                yield what, _path("/".join([*parts[:number], other, *parts[number + 1 :]]))


def _other_custom_methods(part: str) -> Iterator[tuple[str, str]]:
    """Yield what looks like a segment with a custom method, such as `orders:batchGet`."""
    resource, colon, _ = part.rpartition(":")
    if colon and resource:
        yield "another custom method", f"{resource}:another"
        yield "no custom method", resource
        yield "an encoded colon", part.replace(":", "%3A")


def other_hosts(call: Call) -> Iterator[Miss]:
    """Yield Host headers that only look like the service's."""
    host, port = call.service.host, GATEWAY.port
    for method, path in allowed_requests(call):
        for other in (
            "evil.internal",
            f"{host}.evil.internal",
            f"evil{host}",
            f"evil{host}:{port}",
            f"{host}:x@evil.internal",
            f"{host}:{port}.evil.internal",
            f"{host}:{port}0",
            f"{host}:8443",
            f"{host}:",
            f"{host}.",
            f"{call.service.name}.{call.service.namespace}.svc.cluster.local",
        ):
            sent = {**request(call.service, method, path), "headers": {"host": other}}
            yield Miss(f"{method} {path} with the Host {other}", sent)


def other_tokens(call: Call) -> Iterator[Miss]:
    """Yield tokens of the caller with one thing wrong, and tokens where none is read."""
    caller = call.caller
    sent = request(call.service, *next(allowed_requests(call)))
    own = {"use": caller.name}
    yield Miss("no token", sent, "none")
    yield Miss("a token in the query string", sent, {**own, "in": "query"})
    yield Miss("a token in a cookie", sent, {**own, "in": "cookie", "name": "access_token"})
    yield Miss("a token in another header", sent, {**own, "name": "X-Authorization"})
    for what, subject in _around(caller.subject):
        yield Miss(f"a subject {what}", sent, {**own, "claims": {"sub": subject}})
    yield Miss("no subject", sent, {**own, "flaw": "no sub"})
    for name, value in caller.claims.items():
        for what, other in _around(value):
            yield Miss(f"the claim {name} {what}", sent, {**own, "claims": {name: other}})
        yield Miss(f"without the claim {name}", sent, {**own, "claims": {name: None}})
    audience = "Audiences in Jwt are not allowed"
    yield Miss("another audience", sent, {**own, "flaw": "wrong audience"}, says=audience)
    yield Miss("no audience", sent, {**own, "flaw": "no audience"}, says=audience)
    for flaw, says in (
        ("expired", "Jwt is expired"),
        ("not yet valid", "Jwt not yet valid"),
        ("wrong issuer", "Jwt issuer is not configured"),
        ("unknown key", ""),
        ("other key under the known kid", "Jwt verification fails"),
        ("alg none", ""),
        ("HS256 with the public key", ""),
        ("tampered", ""),
        ("garbage", ""),
    ):
        yield Miss(f"a token: {flaw}", sent, {**own, "flaw": flaw}, status=401, says=says)


def other_callers(ingress: Ingress, call: Call) -> Iterator[Miss]:
    """Yield tokens of other callers where they may not go, and mixtures of two callers.

    A token may have several audiences (RFC 7519, section 4.1.3). A proxy takes it for one of them, and the policy must
    not take it for another one, so mixtures have both.
    """
    caller = call.caller
    sent = request(call.service, *next(allowed_requests(call)))
    here = [found.caller for found in ingress.calls() if found.service == call.service]
    issuers = {found.issuer for found in here}
    for other in ingress.callers:
        if other.issuer == caller.issuer and other.audience != caller.audience:
            # A proxy at which the other does not call knows its audience as little as its policy.
            says = _DENIED if other in here else ""
            mixed = {"use": caller.name, "claims": {"aud": other.audience}}
            yield Miss(f"the audience of {other.name}", sent, mixed, says=says)
            for what, near in _around(caller.audience)[1:]:
                both = {"use": caller.name, "claims": {"aud": [other.audience, near]}}
                yield Miss(f"the audience of {other.name} and one {what}", sent, both, says=says)
        if other.issuer != caller.issuer:
            audiences = list(dict.fromkeys((other.audience, caller.audience)))
            claims = {"sub": caller.subject, **caller.claims, "aud": audiences}
            yield Miss(
                f"the subject, claims and audience of {caller.name} by the issuer of {other.name}",
                sent,
                {"use": other.name, "claims": claims},
                says=_DENIED if other in here else "",
                status_behind=None if other.issuer in issuers else 401,
            )


def _as_normalized(target: str) -> str:
    """Return a path as Envoy reads it since it takes `..;` for `..`, though not `%2e%2e;`."""
    parts: list[str] = []
    for part in target.split("/"):
        if part in ("..;", "..;a=b"):
            parts = parts[:-1]
        elif part != ".;":
            parts.append(part)
    return "/".join(parts)


def _around(value: str) -> tuple[tuple[str, str], ...]:
    return (
        ("of another", "another"),
        ("that only begins like it", f"{value}x"),
        ("that only ends like it", f"x{value}"),
    )


def _path(template: str) -> str:
    return template.replace(ONE_SEGMENT, _VALUE)
