"""Names, lists and durations as the schemas of the Gateway API have them.

What the schema refuses never reaches a cluster, so it is refused here, too.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Fields, Where, spec_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from meshlab.manifest import Manifest

__all__ = [
    "GATEWAY_API",
    "checked_spec",
    "creation_time",
    "duration_s",
    "entries",
    "header_value_problem",
    "hostnames",
    "metadata_map",
    "optional_name",
    "required_name",
    "texts",
    "unimplemented",
    "whole_number",
]

GATEWAY_API = "gateway.networking.k8s.io"

_LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOSTNAME = re.compile(rf"(?:\*\.)?{_NAME.pattern}")
_DURATION = re.compile("(?:[0-9]{1,5}(?:h|ms|m|s)){1,4}")
_MAX_NAME = 253
_HEADER_VALUE = re.compile(r"[!-~]+(?:[\t ]?[!-~]+)*")
# A percent sign is written twice, or opens a variable of Envoy's access log format.
_HEADER_FORMAT = re.compile(r"(?:[^%]|%%|%[^%()]+(?:\([^)]*\) *)?%)*")


def checked_spec(
    manifest: Manifest,
    known: Collection[str],
    *,
    annotations: Collection[str] = (),
    labels: Collection[str] = (),
    namespaced: bool = True,
    passed_over: Mapping[str, str] | None = None,
) -> Fields:
    """Return the `spec` of an object, after a check of everything around it.

    Args:
        manifest: The object.
        known: The fields of `spec` that the caller reads.
        annotations: Istio's annotations that the caller reads.
        labels: Istio's labels that the caller reads.
        namespaced: Whether the kind has namespaces.
        passed_over: The fields of `spec` that Istio does not act on, each with what follows.

    Raises:
        ManifestError: An unknown field beside or in `spec`, a label or annotation of Istio's, or no namespace.
    """
    return spec_of(
        manifest,
        known,
        annotations=annotations,
        labels=labels,
        passed_over=passed_over,
        namespaced=namespaced,
    )


def creation_time(manifest: Manifest) -> dt.datetime:
    """Return when an object was created, as an export from a cluster says.

    Raises:
        ManifestError: What stands there is no time.
    """
    written = manifest.created
    if not written:
        # A file says nothing of an object's age. Istio then has the zero time, which is older than any other.
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    try:
        moment = dt.datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        problem = f"{written!r} is not a time such as 2026-01-31T12:00:00Z; correct or remove it."
        raise Where(manifest).key("metadata", "creationTimestamp").error(problem)
    return moment


def metadata_map(manifest: Manifest, name: str) -> Mapping[str, str]:
    """Return the labels or the annotations of an object; empty where they are no mapping, which `load_mesh` refuses."""
    metadata = manifest.body.get("metadata")
    values = metadata.get(name) if isinstance(metadata, dict) else None
    return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}


def unimplemented(fields: Fields, names: Mapping[str, str]) -> tuple[tuple[Where, str], ...]:
    """Return the fields that are written and that Istio does not implement, each with what follows.

    Args:
        fields: The mapping.
        names: The fields, each with what Istio does instead.
    """
    return tuple(
        (fields.where.key(name), text) for name, text in names.items() if fields.raw(name) is not None
    )


def entries(
    fields: Fields,
    name: str,
    known: Collection[str],
    *,
    most: int = 64,
    passed_over: Mapping[str, str] | None = None,
) -> tuple[Fields, ...]:
    """Return the mappings of a list; an empty list counts as absent.

    Raises:
        ManifestError: It is no list of mappings, or has more entries than the schema allows.
    """
    if fields.raw(name) in (None, []):
        return ()
    found = fields.items(name, known, passed_over=passed_over)
    if len(found) > most:
        raise fields.where.key(name).error(f"has {len(found)} entries; the schema allows {most}.")
    return found


def texts(fields: Fields, name: str) -> tuple[str, ...]:
    """Return a list of strings; an empty list counts as absent."""
    return () if fields.raw(name) in (None, []) else fields.strings(name)


def hostnames(fields: Fields, name: str = "hostnames") -> tuple[str, ...]:
    """Return a list of host names, which may begin with `*.`.

    Raises:
        ManifestError: One of them is refused by the schema.
    """
    found = texts(fields, name)
    for index, host in enumerate(found):
        if problem := hostname_problem(host):
            raise fields.where.key(name).item(index).error(problem)
    return found


def hostname_problem(host: str, *, wildcard: bool = True) -> str | None:
    """Return what the schema finds wrong with a host name, `None` where it finds nothing."""
    pattern = _HOSTNAME if wildcard else _NAME
    if len(host) <= _MAX_NAME and pattern.fullmatch(host):
        return None
    example = "shop.example or *.shop.example" if wildcard else "shop.example"
    return f"{host!r} is not a host name; write it in small letters, like {example}."


def required_name(fields: Fields, name: str, *, pattern: bool = False) -> str:
    """Return a name that must be there.

    Args:
        fields: The mapping.
        name: The field.
        pattern: Whether only small letters, digits, dashes and dots are allowed.

    Raises:
        ManifestError: It is missing, or no name.
    """
    value = fields.required(name)
    if len(value) > _MAX_NAME or (pattern and not _NAME.fullmatch(value)):
        raise fields.where.key(name).error(f"{value!r} is not a name; use small letters, digits, - and dots.")
    return value


def optional_name(fields: Fields, name: str) -> str | None:
    """Return a name of small letters, digits, dashes and dots, `None` where the field is absent.

    Raises:
        ManifestError: It is no name.
    """
    if fields.raw(name) is None:
        return None
    return required_name(fields, name, pattern=True)


def whole_number(fields: Fields, name: str, low: int, high: int, default: int | None = None) -> int | None:
    """Return a whole number within limits, `default` where the field is absent.

    Raises:
        ManifestError: It lies outside.
    """
    if fields.raw(name) is None:
        return default
    value = fields.integer(name)
    if value is None or not low <= value <= high:
        raise fields.where.key(name).error(f"expected a whole number from {low} to {high}, found {value}.")
    return value


def duration_s(fields: Fields, name: str) -> float | None:
    """Return a duration in seconds, `None` where the field is absent.

    Raises:
        ManifestError: It is not of the form that the Gateway API has (GEP-2257).
    """
    if fields.raw(name) is None:
        return None
    text = fields.string(name)
    if not _DURATION.fullmatch(text):
        raise fields.where.key(name).error(f"{text!r} is not a duration; write it like 500ms, 10s or 1m30s.")
    return fields.duration_s(name)


def header_value_problem(value: str) -> str | None:
    """Return why Envoy or the schema refuses the value of a header that is set or added, `None` where neither does."""
    if not _HEADER_VALUE.fullmatch(value):
        return "only printable ASCII is allowed, without blanks at the ends."
    if not _HEADER_FORMAT.fullmatch(value):
        return "has a lone %, with which Envoy refuses all routes of the proxy; write %% for the sign itself."
    return None
