"""AuthorizationPolicy as written.

What Istio's webhook refuses is refused here (`pkg/config/validation/validation.go#ValidateAuthorizationPolicy`). What
the webhook takes and istiod cannot use stays as written. The compiler then drops the rule or the condition, as istiod
does.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.attachment import Attachment, read_attachment
from meshlab.istio.read.authorization_values import is_condition_key, value_check
from meshlab.istio.read.fields import Fields, Where, spec_of
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.manifest import Manifest

__all__ = [
    "OPERATION_FIELDS",
    "SOURCE_FIELDS",
    "Action",
    "AuthorizationPolicy",
    "Condition",
    "Rule",
    "Values",
    "read_authorization_policy",
]

Action = Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"]

SOURCE_FIELDS = (
    "principals",
    "requestPrincipals",
    "serviceAccounts",
    "trustDomains",
    "namespaces",
    "remoteIpBlocks",
    "ipBlocks",
)
"""The fields of a source, in the order in which istiod writes their conditions."""

OPERATION_FIELDS = ("hosts", "methods", "paths", "ports")
"""The fields of an operation, in the order in which istiod writes their conditions."""

_DRY_RUN = "istio.io/dry-run"
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
# CUSTOM is decided before tokens are verified, and Istio does not let it ask for identities.
_NOT_IN_CUSTOM = ("principals", "requestPrincipals", "serviceAccounts", "trustDomains", "namespaces")
_KEYS_NOT_IN_CUSTOM = ("source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal")


@dataclass(frozen=True)
class Values:
    """What an attribute must be one of, and what it must be none of."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """One entry of `when`."""

    key: str
    values: Values


@dataclass(frozen=True)
class Rule:
    """One rule: any source, and any operation, and every condition. No sources or operations means any."""

    sources: tuple[Mapping[str, Values], ...] = ()
    operations: tuple[Mapping[str, Values], ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class AuthorizationPolicy:
    """A policy as read; `provider` names the external authorizer of a CUSTOM policy."""

    attachment: Attachment
    action: Action
    dry_run: bool
    rules: tuple[Rule, ...] = field(default=())
    provider: str = ""


def read_authorization_policy(manifest: Manifest) -> AuthorizationPolicy:
    """Read and check an AuthorizationPolicy.

    Raises:
        ManifestError: An unknown field, or something that Istio's webhook refuses.
    """
    known = ("selector", "targetRef", "targetRefs", "action", "rules", "provider")
    spec = spec_of(manifest, known, annotations=(_DRY_RUN,))
    action = cast("Action", spec.choice("action", ("ALLOW", "DENY", "AUDIT", "CUSTOM"), "ALLOW"))
    # An ALLOW policy without rules is the idiom for "nothing is allowed"; an empty list says the same.
    written = () if spec.raw("rules") in (None, []) else spec.items("rules", ("from", "to", "when"))
    if action in ("DENY", "CUSTOM") and not written:
        problem = f"missing; Istio refuses {action} without rules. Write [{{}}] to mean every request."
        raise spec.where.key("rules").error(problem)
    for index, entry in enumerate(cast("list[object]", spec.raw("rules") or [])):
        if entry is None:
            raise spec.where.key("rules").item(index).error("Istio refuses null; write {} for every request.")
    rules = tuple(_rule(rule) for rule in written)
    if action == "CUSTOM":
        _check_custom(rules, spec.where.key("rules"))
    return AuthorizationPolicy(
        attachment=read_attachment(spec),
        action=action,
        dry_run=_dry_run(manifest, action),
        rules=rules,
        provider=_provider(spec, action),
    )


def _provider(spec: Fields, action: str) -> str:
    if action == "CUSTOM":
        return spec.mapping("provider", ("name",)).required("name")
    if spec.raw("provider") is not None:
        raise spec.where.key("provider").error(f"goes with the action CUSTOM alone, not with {action}.")
    return ""


def _dry_run(manifest: Manifest, action: str) -> bool:
    annotations = manifest.body["metadata"].get("annotations") or {}
    if _DRY_RUN not in annotations:
        return False
    where = Where(manifest).key("metadata", "annotations", _DRY_RUN)
    if action not in ("ALLOW", "DENY"):
        raise where.error(f"Istio refuses it for {action}, and takes it for ALLOW and DENY; remove it.")
    setting = annotations[_DRY_RUN]
    if setting not in (*_TRUE, *_FALSE):
        raise where.error(f'{setting!r} is neither "true" nor "false".')
    return setting in _TRUE


def _rule(rule: Fields) -> Rule:
    return Rule(
        sources=tuple(
            _values(entry.mapping("source", _with_negations(SOURCE_FIELDS)), SOURCE_FIELDS)
            for entry in _entries(rule, "from", "source")
        ),
        operations=tuple(
            _values(entry.mapping("operation", _with_negations(OPERATION_FIELDS)), OPERATION_FIELDS)
            for entry in _entries(rule, "to", "operation")
        ),
        conditions=tuple(_condition(entry) for entry in _entries(rule, "when", "key", "values", "notValues")),
    )


def _entries(rule: Fields, name: str, *known: str) -> tuple[Fields, ...]:
    # An empty `from` or `to` is refused by Istio as well; an empty `when` and null count as absent.
    absent = rule.raw(name) is None or (name == "when" and rule.raw(name) == [])
    return () if absent else rule.items(name, known)


def _values(part: Fields, names: tuple[str, ...]) -> Mapping[str, Values]:
    found = {}
    for name in names:
        positive, negative = _strings(part, name), _strings(part, _negation(name))
        if positive or negative:
            _check(name, positive, part.where.key(name))
            _check(name, negative, part.where.key(_negation(name)))
            found[name] = Values(positive, negative)
    if not found:
        raise part.where.error("is empty, which Istio refuses; name a field, or leave the entry out.")
    if "serviceAccounts" in found and ("principals" in found or "namespaces" in found):
        raise part.where.key("serviceAccounts").error("cannot stand beside principals or namespaces.")
    return found


def _condition(entry: Fields) -> Condition:
    key = entry.required("key")
    if not is_condition_key(key):
        raise entry.where.key("key").error(f"{key!r} is not a key of Istio's; see its list of conditions.")
    values = Values(_strings(entry, "values"), _strings(entry, "notValues"))
    if not (values.any_of or values.none_of):
        raise entry.where.error("needs values or notValues.")
    _check(key, values.any_of, entry.where.key("values"))
    _check(key, values.none_of, entry.where.key("notValues"))
    return Condition(key, values)


def _strings(part: Fields, name: str) -> tuple[str, ...]:
    # To Istio an empty list is an absent one.
    return () if part.raw(name) in (None, []) else part.strings(name)


def _check(name: str, values: tuple[str, ...], where: Where) -> None:
    check = value_check(name)
    for index, value in enumerate(values):
        if check and (problem := check(value)):
            raise where.item(index).error(problem)
    if name in ("serviceAccounts", "source.serviceAccount") and len(values) > _MAX_ACCOUNTS:
        raise where.error(f"holds more than {_MAX_ACCOUNTS} service accounts, which Istio refuses.")


_MAX_ACCOUNTS = 16


def _check_custom(rules: tuple[Rule, ...], where: Where) -> None:
    for index, rule in enumerate(rules):
        asked = [name for source in rule.sources for name in source if name in _NOT_IN_CUSTOM]
        asked += [
            condition.key
            for condition in rule.conditions
            if condition.key in _KEYS_NOT_IN_CUSTOM or condition.key.startswith("request.auth.")
        ]
        if asked:
            raise where.item(index).error(f"{asked[0]} cannot be used with the action CUSTOM.")


def _negation(name: str) -> str:
    return f"not{name[0].upper()}{name[1:]}"


def _with_negations(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names, *map(_negation, names))
