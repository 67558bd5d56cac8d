"""One rule of a policy as an Envoy RBAC policy (`pilot/pkg/security/authz/model/{model,generator}.go`).

What concerns the request or the destination becomes a permission, what concerns the caller a principal. Within one
attribute the values are alternatives; attributes, and what must not be, are all required.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.envoy.rbac import matchers
from meshlab.istio.read.authorization_policy import OPERATION_FIELDS, SOURCE_FIELDS, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.authorization_policy import Rule

__all__ = ["Surroundings", "rbac_policy"]

_LOCAL_TRUST_DOMAIN = "cluster.local"
_PERMISSION_KEYS = ("destination.", "connection.", "experimental.")


@dataclass(frozen=True)
class Surroundings:
    """What a rule's meaning depends on beside its text.

    Attributes:
        namespace: The policy's namespace, which a bare service account belongs to.
        trust_domain: The mesh's own; `cluster.local` in a principal stands for it.
        listener_port: Where the proxy listens for a targetPort, `None` for a port that it does not serve.
    """

    namespace: str
    trust_domain: str
    listener_port: Callable[[int], int | None]


def rbac_policy(rule: Rule, around: Surroundings) -> Json:
    """The RBAC policy that matches exactly what the rule matches."""
    on_request: _Attributes = []
    on_caller: _Attributes = []
    for condition in rule.conditions:
        part = on_request if condition.key.startswith(_PERMISSION_KEYS) else on_caller
        part.append((condition.key, condition.values))
    return {
        "permissions": [
            {"andRules": {"rules": list(_permissions(operation, on_request, around)) or [{"any": True}]}}
            for operation in rule.operations or ({},)
        ],
        "principals": [
            {"andIds": {"ids": list(_principals(source, on_caller, around)) or [{"any": True}]}}
            for source in rule.sources or ({},)
        ],
    }


_Attributes = list[tuple[str, Values]]


def _permissions(
    operation: Mapping[str, Values], conditions: _Attributes, around: Surroundings
) -> Iterator[Json]:
    for name, values in [*_in_order(operation, OPERATION_FIELDS), *conditions]:
        if values.any_of:
            yield _permission(name, values.any_of, around)
        if values.none_of:
            yield {"notRule": _permission(name, values.none_of, around)}


def _principals(
    source: Mapping[str, Values], conditions: _Attributes, around: Surroundings
) -> Iterator[Json]:
    for name, values in [*_in_order(source, SOURCE_FIELDS), *conditions]:
        if values.any_of:
            yield _principal(name, values.any_of, around)
        if values.none_of:
            yield {"notId": _principal(name, values.none_of, around)}


def _permission(name: str, values: Sequence[str], around: Surroundings) -> Json:
    rules: list[Json]
    match name:
        case "hosts":
            rules = [{"header": matchers.header(":authority", value, ignore_case=True)} for value in values]
        case "methods":
            rules = [{"header": matchers.header(":method", value)} for value in values]
        case "paths":
            rules = [_path(value) for value in values]
        case "ports" | "destination.port":
            rules = [_port(int(value), around) for value in values]
        case "destination.ip":
            rules = [{"destinationIp": matchers.address_range(value)} for value in values]
        case "connection.sni":
            rules = [{"requestedServerName": matchers.string(value)} for value in values]
        case _:
            namespace, _, key = name.removeprefix("experimental.").removesuffix("]").partition("[")
            return matchers.metadata(namespace, (key,), matchers.one_of_strings(values))
    return {"orRules": {"rules": rules}}


def _principal(name: str, values: Sequence[str], around: Surroundings) -> Json:
    ids: list[Json]
    match name:
        case "principals" | "source.principal":
            ids = [_peer(matchers.principal_name(_in_trust_domain(value, around))) for value in values]
        case "namespaces" | "source.namespace":
            ids = [_peer(matchers.namespace_regex(value)) for value in values]
        case "serviceAccounts":
            ids = [_peer(matchers.service_account_regex(value, around.namespace)) for value in values]
        case "ipBlocks" | "source.ip":
            ids = [{"directRemoteIp": matchers.address_range(value)} for value in values]
        case "remoteIpBlocks" | "remote.ip":
            ids = [{"remoteIp": matchers.address_range(value)} for value in values]
        case "requestPrincipals" | "request.auth.principal":
            ids = [_request_principal(value) for value in values]
            if len(ids) == 1:
                return ids[0]
        case "request.auth.audiences":
            return _claim(("aud",), values)
        case "request.auth.presenter":
            return _claim(("azp",), values)
        case _ if name.startswith("request.auth.claims"):
            return _claim(name.partition("[")[2].removesuffix("]").split("]["), values)
        case _:
            header = name.partition("[")[2].removesuffix("]")
            ids = [{"header": matchers.header(header, value)} for value in values]
    return {"orIds": {"ids": ids}}


def _path(value: str) -> Json:
    if "{" in value:
        return {"uriTemplate": matchers.uri_template(value)}
    return {"urlPath": {"path": matchers.string(value)}}


def _port(target: int, around: Surroundings) -> Json:
    listener = around.listener_port(target)
    # A port that the workload does not serve must match nothing, not whatever happens to listen there.
    return {"notRule": {"any": True}} if listener is None else {"destinationPort": listener}


def _peer(name: Json) -> Json:
    return {"authenticated": {"principalName": name}}


def _in_trust_domain(principal: str, around: Surroundings) -> str:
    # pilot/pkg/security/trustdomain/bundle.go: only a principal written out in full names a trust domain.
    domain, _, rest = principal.partition("/")
    if domain == _LOCAL_TRUST_DOMAIN and principal.count("/") == 4:
        return f"{around.trust_domain}/{rest}"
    return principal


def _request_principal(value: str) -> Json:
    issuer, slash, subject = value.rpartition("/")
    if not slash:
        issuer, subject = value, ""
    anything = matchers.regex(".+")
    match_issuer, match_subject = {"exact": issuer}, {"exact": subject}
    if value == "*":
        match_issuer = match_subject = anything
    elif value.startswith("*") and slash:
        match_issuer = anything if issuer == "*" else {"suffix": issuer[1:]}
    elif value.startswith("*"):
        match_issuer, match_subject = anything, {"suffix": value[1:]}
    elif value.endswith("*") and slash:
        match_subject = anything if subject == "*" else {"prefix": subject[:-1]}
    elif value.endswith("*"):
        match_issuer, match_subject = {"prefix": value[:-1]}, anything
    both = [
        matchers.claim(("iss",), {"stringMatch": match_issuer}),
        matchers.claim(("sub",), {"stringMatch": match_subject}),
    ]
    return {"andIds": {"ids": both}}


def _claim(path: Sequence[str], values: Sequence[str]) -> Json:
    value = matchers.one_of_strings(values)
    # A claim may be one string or a list of them; numbers and booleans never match.
    either = {"orMatch": {"valueMatchers": [{"listMatch": {"oneOf": value}}, value]}}
    return matchers.claim(path, either)


def _in_order(found: Mapping[str, Values], names: Sequence[str]) -> _Attributes:
    return [(name, found[name]) for name in names if name in found]
