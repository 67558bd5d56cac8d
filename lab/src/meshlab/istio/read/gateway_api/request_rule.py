"""Shared part of the rules of HTTPRoute and GRPCRoute: filters, backends, and conditions on texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from meshlab.istio.read.gateway_api.filters import Filters, read_filters
from meshlab.istio.read.gateway_api.header_changes import HEADER_NAME
from meshlab.istio.read.gateway_api.references import BACKEND_FIELDS, BackendRef, read_backend
from meshlab.istio.read.gateway_api.schema_values import entries, optional_name, unimplemented
from meshlab.istio.read.re2 import regex_problem
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.istio.read.fields import Fields, Where

__all__ = [
    "Condition",
    "ConditionKind",
    "RequestBackend",
    "RequestRule",
    "check_regex",
    "read_rule_fields",
    "read_text_conditions",
    "rule_entries",
]

ConditionKind = Literal["exact", "prefix", "regex"]
_TEXT_KINDS: dict[str, ConditionKind] = {"Exact": "exact", "RegularExpression": "regex"}
_NOT_IMPLEMENTED = {"sessionPersistence": "Istio does not implement it; every request is balanced anew."}
_MOST = 16


@dataclass(frozen=True)
class Condition:
    """A condition on a text. A `prefix` is one of path segments: `/foo` takes `/foo` and `/foo/…`, not `/foobar`."""

    kind: ConditionKind
    value: str


@dataclass(frozen=True)
class RequestBackend:
    """A backend with filters of its own."""

    backend: BackendRef
    filters: Filters


@dataclass(frozen=True)
class RequestRule:
    """What rules for requests have in common.

    Attributes:
        not_implemented: Fields that Istio does not implement, each with what follows.
    """

    name: str | None
    filters: Filters
    backends: tuple[RequestBackend, ...]
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where


def rule_entries(spec: Fields, fields: Sequence[str]) -> list[Fields]:
    """Return the rules of a route.

    Args:
        spec: The spec of the route.
        fields: The fields that its rules have.

    Raises:
        ManifestError: There are too many, or one has another field.
    """
    return list(entries(spec, "rules", tuple(fields), most=_MOST, passed_over=_NOT_IMPLEMENTED))


def read_rule_fields(rule: Fields, namespace: str, filters: dict[str, str]) -> dict[str, Any]:
    """Return the fields of `RequestRule` by name, for the constructor of one kind of rule.

    Args:
        rule: The rule.
        namespace: The namespace of the route.
        filters: The types of filters that the route may have, each with its field.

    Raises:
        ManifestError: The schema refuses a filter or a backend.
    """
    return {
        "name": optional_name(rule, "name"),
        "filters": read_filters(rule, namespace, filters),
        "backends": tuple(
            RequestBackend(read_backend(entry, namespace), read_filters(entry, namespace, filters))
            for entry in entries(rule, "backendRefs", (*BACKEND_FIELDS, "filters"), most=_MOST)
        ),
        "not_implemented": unimplemented(rule, _NOT_IMPLEMENTED),
        "where": rule.where,
    }


def read_text_conditions(match: Fields, name: str) -> Mapping[str, Condition]:
    """Read conditions on headers or query parameters, by name.

    Raises:
        ManifestError: A name that no header has, a name twice, or a regular expression that RE2 does not have.
    """
    found: dict[str, Condition] = {}
    for entry in entries(match, name, ("type", "name", "value"), most=_MOST):
        key = entry.required("name")
        if not HEADER_NAME.fullmatch(key):
            raise entry.where.key("name").error(f"{key!r} is not a name.")
        if key in found:
            raise entry.where.key("name").error(f"{key!r} stands here twice; keep one.")
        kind = _TEXT_KINDS[entry.choice("type", tuple(_TEXT_KINDS), "Exact")]
        found[key] = Condition(kind, entry.required("value"))
        check_regex(found[key], entry.where.key("value"))
    return found


def check_regex(condition: Condition, where: Where) -> None:
    """Refuse a regular expression that RE2 does not have: with it Envoy refuses all routes of the proxy.

    Raises:
        ManifestError: The condition is such an expression.
    """
    if condition.kind == "regex" and (problem := regex_problem(condition.value)):
        raise where.error(problem)
