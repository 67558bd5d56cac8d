"""Filters that set, add and remove headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.schema_values import entries, header_value_problem, texts
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields

__all__ = ["HEADER_NAME", "HeaderModifier", "read_header_modifier"]

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
"""The name of a header or of a query parameter."""

_MOST = 16


@dataclass(frozen=True)
class HeaderModifier:
    """Changes of headers; the names are in small letters."""

    set: Mapping[str, str]
    add: Mapping[str, str]
    remove: tuple[str, ...]


def read_header_modifier(filter_: Fields, name: str) -> HeaderModifier:
    """Read the settings of a filter that changes headers.

    Raises:
        ManifestError: A name or a value that no header can have.
    """
    modifier = filter_.mapping(name, ("set", "add", "remove"))
    removed = texts(modifier, "remove")
    for index, header in enumerate(removed):
        if not HEADER_NAME.fullmatch(header):
            raise modifier.where.key("remove").item(index).error(f"{header!r} is not the name of a header.")
    return HeaderModifier(_headers(modifier, "set"), _headers(modifier, "add"), removed)


def _headers(modifier: Fields, name: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    written: set[str] = set()
    for entry in entries(modifier, name, ("name", "value"), most=_MOST):
        header, value = entry.required("name"), entry.required("value")
        if not HEADER_NAME.fullmatch(header):
            raise entry.where.key("name").error(f"{header!r} is not the name of a header.")
        if header in written:
            raise entry.where.key("name").error(f"{header!r} stands here twice; keep one.")
        if problem := header_value_problem(value):
            raise entry.where.key("value").error(problem)
        written.add(header)
        # Of names that differ in capital letters alone the first counts.
        found.setdefault(header.lower(), value)
    return found
