"""AuthorizationPolicy as written, read strictly.

Istio drops a rule (ALLOW) or a condition (DENY) that it cannot use, and logs that. The lab refuses the policy instead.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.attachment import TARGET_REFS, Attachment, read_attachment
from meshlab.istio.read.fields import Fields, Where, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.manifest import Manifest

__all__ = ["AuthorizationPolicy", "Condition", "Values", "read_authorization_policy"]

SOURCE_FIELDS = (
    "principals",
    "requestPrincipals",
    "serviceAccounts",
    "namespaces",
    "remoteIpBlocks",
    "ipBlocks",
)
"""The fields of a source, in the order in which istiod writes their conditions."""

OPERATION_FIELDS = ("hosts", "methods", "paths", "ports")
"""The fields of an operation, in the order in which istiod writes their conditions."""

KEYS = (
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
)
"""The keys of a condition that take no name in brackets."""

_BRACKETED = re.compile(
    r"(?:request\.headers\[[^\[\]]+\]|request\.auth\.claims(?:\[[^\[\]]+\])+|experimental\.envoy\.filters\.[^\[]+\[[^\[\]]+\])"
)
_UNSUPPORTED_TEMPLATE = re.compile(r"/\{\w+=\*\*?\}|\{\w*\}|/\*\*?|\*\*?/")
"""What Istio refuses beside `{*}` and `{**}` (`pkg/config/security/security.go#CheckValidPathTemplate`)."""

_DRY_RUN = "istio.io/dry-run"


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
    """A policy as read."""

    attachment: Attachment
    action: Literal["ALLOW", "DENY"]
    dry_run: bool
    rules: tuple[Rule, ...] = field(default=())


def read_authorization_policy(manifest: Manifest) -> AuthorizationPolicy:
    """Read and check an AuthorizationPolicy.

    Raises:
        ManifestError: An unknown field, key or action, or a value that Envoy could not match.
    """
    refused = {**TARGET_REFS, "provider": "external authorization is not supported; use ALLOW or DENY."}
    spec = spec_of(manifest, ("selector", "action", "rules"), refused, annotations=(_DRY_RUN,))
    action = cast("Literal['ALLOW', 'DENY']", spec.choice("action", ("ALLOW", "DENY"), "ALLOW"))
    # An ALLOW policy without rules is the idiom for "nothing is allowed"; an empty list says the same.
    written = () if spec.raw("rules") in (None, []) else spec.items("rules", ("from", "to", "when"))
    if action == "DENY" and not written:
        raise spec.where.key("rules").error(
            "missing; a DENY policy without rules denies nothing. Istio refuses it."
        )
    return AuthorizationPolicy(
        attachment=read_attachment(spec),
        action=action,
        dry_run=_dry_run(manifest),
        rules=tuple(_rule(rule) for rule in written),
    )


def _dry_run(manifest: Manifest) -> bool:
    annotations = manifest.body["metadata"].get("annotations") or {}
    setting = annotations.get(_DRY_RUN, "false")
    if setting not in ("true", "false"):
        where = Where(manifest).key("metadata", "annotations", _DRY_RUN)
        raise where.error(f'{setting!r} is neither "true" nor "false".')
    return bool(setting == "true")


def _rule(rule: Fields) -> Rule:
    return Rule(
        sources=tuple(
            _values(entry.mapping("source", _with_negations(SOURCE_FIELDS), _SOURCE_REFUSED), SOURCE_FIELDS)
            for entry in rule.items("from", ("source",))
        ),
        operations=tuple(
            _values(entry.mapping("operation", _with_negations(OPERATION_FIELDS)), OPERATION_FIELDS)
            for entry in rule.items("to", ("operation",))
        ),
        conditions=tuple(_condition(entry) for entry in rule.items("when", ("key", "values", "notValues"))),
    )


_SOURCE_REFUSED = dict.fromkeys(
    ("trustDomains", "notTrustDomains"),
    "older supported Istio releases do not know it; write the trust domain into principals.",
)


def _values(part: Fields, names: tuple[str, ...]) -> Mapping[str, Values]:
    found = {}
    for name in names:
        positive, negative = part.strings(name), part.strings(_negation(name))
        if positive or negative:
            _check(name, positive, part.where.key(name))
            _check(name, negative, part.where.key(_negation(name)))
            found[name] = Values(positive, negative)
    if not found:
        raise part.where.error("is empty and would match anything; name a field, or leave the entry out.")
    if "serviceAccounts" in found and ("principals" in found or "namespaces" in found):
        raise part.where.key("serviceAccounts").error("cannot stand beside principals or namespaces.")
    return found


def _condition(entry: Fields) -> Condition:
    key = entry.required("key")
    if key not in KEYS and not _BRACKETED.fullmatch(key):
        raise entry.where.key("key").error(
            f"{key!r} is not a key that the lab knows; see Istio's list of conditions."
        )
    values = Values(entry.strings("values"), entry.strings("notValues"))
    if not (values.any_of or values.none_of):
        raise entry.where.error("needs values or notValues.")
    _check(key, values.any_of, entry.where.key("values"))
    _check(key, values.none_of, entry.where.key("notValues"))
    return Condition(key, values)


def _check(name: str, values: tuple[str, ...], where: Where) -> None:
    check = _CHECKS.get(name)
    for index, value in enumerate(values):
        if check and (problem := check(value)):
            raise where.item(index).error(problem)


def _block_problem(value: str) -> str | None:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return f"{value!r} is neither an address nor a range such as 10.0.0.0/8."
    return None if network.version in (4, 6) else "unknown address family."


def _port_problem(value: str) -> str | None:
    if value.isascii() and value.isdigit() and int(value) < 65536:
        return None
    return f"{value!r} is not a port; write the number in quotes."


def _path_problem(value: str) -> str | None:
    if "{*}" not in value and "{**}" not in value:
        # Istio would take any other template as literal text, which no path ever equals.
        return f"{value!r}: only {{*}} and {{**}} are templates." if "{" in value or "}" in value else None
    if _UNSUPPORTED_TEMPLATE.search(value.replace("{*}", "@").replace("{**}", "@")):
        return f"{value!r} mixes templates with other wildcards; use only {{*}} and {{**}}."
    if value.count("{**}") > 1 or re.search(r"\{\*\*\}.*\{\*\}", value):
        return f"{value!r}: {{**}} must be the last template."
    return None


def _account_problem(value: str) -> str | None:
    if value.count("/") > 1 or "*" in value:
        return f"{value!r} is not a service account; write name or namespace/name, without wildcards."
    return None


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "ports": _port_problem,
    "destination.port": _port_problem,
    "paths": _path_problem,
    "serviceAccounts": _account_problem,
    **dict.fromkeys(
        ("ipBlocks", "remoteIpBlocks", "source.ip", "remote.ip", "destination.ip"), _block_problem
    ),
}


def _negation(name: str) -> str:
    return f"not{name[0].upper()}{name[1:]}"


def _with_negations(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names, *map(_negation, names))
