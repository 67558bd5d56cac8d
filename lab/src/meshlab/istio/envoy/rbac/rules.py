"""One rule of a policy as an Envoy RBAC policy (`pilot/pkg/security/authz/model/{model,generator}.go`).

What concerns the request or the destination becomes a permission, what concerns the caller a principal. Within one
attribute the values are alternatives; attributes, and what must not be, are all required.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.rbac import matchers
from meshlab.istio.envoy.rbac.request_principals import request_principal
from meshlab.istio.envoy.rbac.trust_domains import with_aliases_of_domains, with_aliases_of_principals
from meshlab.istio.read.authorization_policy import OPERATION_FIELDS, SOURCE_FIELDS
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.rbac.policy_context import RuleContext
    from meshlab.istio.read.authorization_policy import Rule, Values

__all__ = ["WrittenCondition", "WrittenRule", "rbac_policy", "written_rule"]

_PERMISSION_KEYS = ("destination.", "connection.", "experimental.")


class _UnusableError(Exception):
    """istiod cannot express the value: it is malformed, or connections do not have what it asks for."""


@dataclass(frozen=True)
class WrittenCondition:
    """One condition of a rule.

    Attributes:
        path: The keys that lead to it below the rule, such as `("from", 1, "source", "notPrincipals")`.
        attribute: What it is about: a field of `source` or `operation` without its `not`, or a key of `when`.
        values: The values as written.
        envoy: The permission or principal that istiod makes of it.
    """

    path: tuple[str | int, ...]
    attribute: str
    values: tuple[str, ...]
    envoy: Json


@dataclass(frozen=True)
class WrittenRule:
    """A rule in the order in which istiod writes it: one operation and one source have to match, each with all it asks.

    Attributes:
        operations: For each entry of `to`, its conditions and those of `when` about the request. One without `to`.
        sources: For each entry of `from`, its conditions and those of `when` about the caller. One without `from`.
    """

    operations: tuple[tuple[WrittenCondition, ...], ...]
    sources: tuple[tuple[WrittenCondition, ...], ...]


def rbac_policy(
    rule: Rule, context: RuleContext, *, namespace: str, over_tcp: bool, drop_whole: bool
) -> Json | None:
    """Return the RBAC policy that matches exactly what istiod makes the rule match.

    Args:
        rule: The rule.
        context: What the rules depend on.
        namespace: The policy's namespace, which a bare service account belongs to.
        over_tcp: Whether connections are judged, which have no attributes of HTTP.
        drop_whole: Whether a value that cannot be expressed drops the rule (ALLOW), or only itself (all other actions).

    Returns:
        The policy, `None` where the rule is dropped.
    """
    written = written_rule(rule, context, namespace=namespace, over_tcp=over_tcp, drop_whole=drop_whole)
    if written is None:
        return None
    return {
        "permissions": [{"andRules": {"rules": _all_of(each)}} for each in written.operations],
        "principals": [{"andIds": {"ids": _all_of(each)}} for each in written.sources],
    }


def written_rule(
    rule: Rule, context: RuleContext, *, namespace: str, over_tcp: bool, drop_whole: bool
) -> WrittenRule | None:
    """Return the conditions of a rule one by one, each with its place in the manifest.

    The arguments are those of `rbac_policy`. Conditions that istiod cannot express are left out.
    """
    speller = _Speller(context, namespace, over_tcp=over_tcp, drop_whole=drop_whole)
    on_request: list[_Attribute] = []
    on_caller: list[_Attribute] = []
    for index, condition in enumerate(rule.conditions):
        part = on_request if condition.key.startswith(_PERMISSION_KEYS) else on_caller
        names = ("when", index, "values"), ("when", index, "notValues")
        part.append(_Attribute(condition.key, condition.values, *names))
    try:
        return WrittenRule(
            tuple(
                tuple(
                    speller.permissions(
                        [*_in_order(entry, ("to", index, "operation"), OPERATION_FIELDS), *on_request]
                    )
                )
                for index, entry in enumerate(rule.operations or ({},))
            ),
            tuple(
                tuple(
                    speller.principals(
                        [*_in_order(entry, ("from", index, "source"), SOURCE_FIELDS), *on_caller]
                    )
                )
                for index, entry in enumerate(rule.sources or ({},))
            ),
        )
    except _UnusableError:
        return None


_Path = tuple[str | int, ...]


@dataclass(frozen=True)
class _Attribute:
    name: str
    values: Values
    any_of_at: _Path
    none_of_at: _Path


class _Speller:
    def __init__(self, context: RuleContext, namespace: str, *, over_tcp: bool, drop_whole: bool) -> None:
        self._context = context
        self._namespace = namespace
        self._over_tcp = over_tcp
        self._drop_whole = drop_whole

    def permissions(self, attributes: Iterable[_Attribute]) -> Iterator[WrittenCondition]:
        return _spelt_out(attributes, self._permission, "notRule")

    def principals(self, attributes: Iterable[_Attribute]) -> Iterator[WrittenCondition]:
        return _spelt_out(attributes, self._principal, "notId")

    def _permission(self, name: str, values: Sequence[str]) -> Json | None:
        match name:
            case "hosts":
                rules = self._http(values, _host)
            case "methods":
                rules = self._http(values, _method)
            case "paths":
                rules = self._http(values, _path)
            case "ports" | "destination.port":
                rules = [self._port(int(value)) for value in values]
            case "destination.ip":
                rules = [self._context.addresses.destination(value) for value in values]
            case "connection.sni":
                rules = [{"requestedServerName": matchers.string(value)} for value in values]
            case _:
                return self._metadata(name, values)
        return {"orRules": {"rules": rules}} if rules else None

    def _metadata(self, key: str, values: Sequence[str]) -> Json | None:
        if not values:
            return None
        # istiod cuts at the first bracket; every key that the webhook takes has one.
        namespace, _, name = key.removeprefix("experimental.").removesuffix("]").partition("[")
        return matchers.metadata(
            namespace, (name,), matchers.one_of([_metadata_value(value) for value in values])
        )

    def _principal(self, name: str, values: Sequence[str]) -> Json | None:
        domains = self._context.trust_domains
        match name:
            case "principals" | "source.principal":
                names = with_aliases_of_principals(values, domains)
                ids = [_peer(matchers.principal_name(value)) for value in names]
            case "trustDomains" | "source.trustDomain":
                names = with_aliases_of_domains(values, domains)
                ids = [_peer(matchers.trust_domain(value)) for value in names]
            case "namespaces" | "source.namespace":
                ids = [_peer(matchers.namespace_regex(value)) for value in values]
            case "serviceAccounts" | "source.serviceAccount":
                ids = [_peer(matchers.service_account_regex(value, self._namespace)) for value in values]
            case "ipBlocks" | "source.ip":
                ids = [each for value in values for each in self._context.addresses.direct(value)]
            case "remoteIpBlocks" | "remote.ip":
                ids = [each for value in values for each in self._context.addresses.remote(value)]
            case "requestPrincipals" | "request.auth.principal":
                ids = self._http(values, request_principal)
                if len(ids) == 1:
                    return ids[0]
            case "request.auth.audiences":
                return self._claim(lambda: ["aud"], values)
            case "request.auth.presenter":
                return self._claim(lambda: ["azp"], values)
            case _ if name.startswith("request.auth.claims"):
                return self._claim(lambda: _claim_path(name.removeprefix("request.auth.claims")), values)
            case _:
                brackets = name.removeprefix("request.headers")
                ids = self._http(
                    values, lambda value: {"header": matchers.header(_in_brackets(brackets), value)}
                )
        return {"orIds": {"ids": ids}} if ids else None

    def _claim(self, path: Callable[[], Sequence[str]], values: Sequence[str]) -> Json | None:
        if not values:
            return None
        found = self._http([""], lambda _: matchers.claim_of_strings(path(), values))
        return found[0] if found else None

    def _http(self, values: Iterable[str], spell: Callable[[str], Json]) -> list[Json]:
        """Spell values that only requests have; drop the rule, or the values, that cannot be spelt."""
        found = []
        for value in values:
            try:
                found.append(self._spelt(value, spell))
            except _UnusableError:
                if self._drop_whole:
                    raise
        return found

    def _spelt(self, value: str, spell: Callable[[str], Json]) -> Json:
        if self._over_tcp:
            raise _UnusableError
        return spell(value)

    def _port(self, target: int) -> Json:
        listener = self._context.listener_port(target)
        # A port that the workload does not serve must match nothing, not whatever happens to listen there.
        return {"notRule": {"any": True}} if listener is None else {"destinationPort": listener}


def _spelt_out(
    attributes: Iterable[_Attribute], spell: Callable[[str, Sequence[str]], Json | None], negation: str
) -> Iterator[WrittenCondition]:
    for each in attributes:
        if matches := spell(each.name, each.values.any_of):
            yield WrittenCondition(each.any_of_at, each.name, each.values.any_of, matches)
        if matches := spell(each.name, each.values.none_of):
            yield WrittenCondition(each.none_of_at, each.name, each.values.none_of, {negation: matches})


def _all_of(conditions: Sequence[WrittenCondition]) -> list[Json]:
    return [each.envoy for each in conditions] or [{"any": True}]


def _host(value: str) -> Json:
    return {"header": matchers.header(":authority", value, ignore_case=True)}


def _method(value: str) -> Json:
    return {"header": matchers.header(":method", value)}


def _path(value: str) -> Json:
    if "{*}" in value or "{**}" in value:
        return {"uriTemplate": matchers.uri_template(value)}
    return {"urlPath": {"path": matchers.string(value)}}


def _metadata_value(value: str) -> Json:
    if value.startswith("[") and value.endswith("]"):
        return {"listMatch": {"oneOf": {"stringMatch": matchers.string(value.strip("[]"))}}}
    return {"stringMatch": matchers.string(value)}


def _peer(name: Json) -> Json:
    return {"authenticated": {"principalName": name}}


def _in_brackets(text: str) -> str:
    if not (text.startswith("[") and text.endswith("]")):
        raise _UnusableError
    return text[1:-1]


def _claim_path(text: str) -> list[str]:
    """Split `[a][b]` into its names; brackets within a name make the whole one name, as in istiod."""
    inner = _in_brackets(text)
    names = inner.split("][")
    return [inner] if any("[" in name or "]" in name for name in names) else names


def _in_order(found: Mapping[str, Values], below: _Path, names: Sequence[str]) -> Iterator[_Attribute]:
    for name in names:
        if name in found:
            negation = f"not{name[0].upper()}{name[1:]}"
            yield _Attribute(name, found[name], (*below, name), (*below, negation))
