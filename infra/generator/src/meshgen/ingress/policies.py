"""Who may pass: what a token must be, and the one policy of a caller, at the gateway and at each workload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.ingress.model import GATEWAY, ONE_SEGMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshgen.generated import Object
    from meshgen.ingress.model import Call, Caller, Service

__all__ = ["gateway_policy", "hosts", "not_paths", "token_rules", "workload_policy"]

_GATEWAY_LABELS = dict([GATEWAY.label])
_NO_JWKS = "{}"
"""What stands where an overlay's keys belong."""


def token_rules(callers: Sequence[Caller], service: Service | None = None) -> Object:
    """Return the RequestAuthentication of the gateway, or of a service's workload.

    An issuer has one rule, whose audiences are those of all its callers; each caller's policy asks for its own.

    Args:
        callers: Who calls there.
        service: The service; `None` for the gateway.
    """
    if service:
        metadata = {"name": f"{service.name}-tokens", "namespace": service.namespace}
    else:
        metadata = {"name": f"{GATEWAY.name}-tokens", "namespace": GATEWAY.namespace}
    issuers = dict.fromkeys(caller.issuer for caller in callers)
    rules = [
        _rule([caller for caller in callers if caller.issuer == issuer], bool(service)) for issuer in issuers
    ]
    selector = dict(service.labels) if service else _GATEWAY_LABELS
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": selector}, "jwtRules": rules},
    }


def _rule(callers: Sequence[Caller], last: bool) -> dict[str, Any]:
    caller = callers[0]
    keys: dict[str, Any] = (
        {"jwksUri": caller.jwks_uri}
        if caller.jwks_uri
        else {f"# {caller.jwks} of the overlay's directory keys": None, "jwks": _NO_JWKS}
    )
    forward = (
        "the application gets the request without the token"
        if last
        else "the workload checks the token again, so the gateway hands it on"
    )
    return {
        "issuer": caller.issuer,
        "# without it any audience passes": None,
        "audiences": sorted({caller.audience for caller in callers}),
        **keys,
        f"# {forward}": None,
        "forwardOriginalToken": not last,
        "# only here: a token in the query string ends up in access logs": None,
        "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
    }


def gateway_policy(calls: Sequence[Call]) -> Object:
    """Return what one caller may do at the gateway: one rule for each service."""
    caller = calls[0].caller
    return _policy(
        {"name": f"caller-{caller.name}", "namespace": GATEWAY.namespace},
        _GATEWAY_LABELS,
        [_rule_of(call, {"requestPrincipals": [caller.principal]}) for call in calls],
    )


def workload_policy(call: Call) -> Object:
    """Return what one caller may do at a workload: the gateway's identity and the caller's token, never one alone."""
    return _policy(
        {"name": f"{call.service.name}-{call.caller.name}", "namespace": call.service.namespace},
        dict(call.service.labels),
        [_rule_of(call, {"principals": [GATEWAY.principal], "requestPrincipals": [call.caller.principal]})],
    )


def _policy(metadata: Mapping[str, str], labels: Mapping[str, str], rules: list[dict[str, Any]]) -> Object:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": dict(metadata),
        "spec": {"selector": {"matchLabels": dict(labels)}, "action": "ALLOW", "rules": rules},
    }


def _rule_of(call: Call, source: Mapping[str, list[str]]) -> dict[str, Any]:
    conditions = [
        {"key": f"request.auth.claims[{name}]", "values": [value]}
        for name, value in call.caller.claims.items()
    ]
    conditions.append({"key": "request.auth.audiences", "values": [call.caller.audience]})
    if not call.service.websocket:
        # Absent or empty is what `notValues` of every value means.
        conditions.append({"key": "request.headers[upgrade]", "notValues": ["*"]})
    return {
        "from": [{"source": dict(source)}],
        "to": [{"operation": operation} for operation in _operations(call)],
        "when": conditions,
    }


def _operations(call: Call) -> Iterable[dict[str, Any]]:
    for route in call.routes:
        operation: dict[str, Any] = {
            "hosts": hosts(call.service),
            "methods": list(route.methods),
            "paths": list(route.paths),
        }
        if refused := [path for template in route.paths for path in not_paths(template)]:
            operation["notPaths"] = list(dict.fromkeys(refused))
        yield operation


def hosts(service: Service) -> list[str]:
    """Return a service's host as a Host header spells it: without a port, and with the gateway's."""
    return [service.host, f"{service.host}:{GATEWAY.port}"]


def not_paths(template: str) -> list[str]:
    """Return what `{*}` must not be: a dot segment with parameters, such as `..;`.

    A servlet container drops the parameters and goes one segment up. Istio has no pattern inside a segment, so the
    first `{*}` is guarded by prefixes, with any parameters, and a later one without.
    """
    parts = template.split("/")
    places = [number for number, part in enumerate(parts) if part == ONE_SEGMENT]
    found = []
    for place in places:
        before = "/".join(parts[:place])
        end = "*" if place == places[0] else ""
        found += [f"{before}/{dots};{end}" for dots in ("..", ".")]
    return found
