"""Changes of the headers of requests and responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.istio.read.virtual_service.protobuf_values import HEADER_NAME
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where

__all__ = ["HeaderChanges", "Headers", "is_authority", "read_headers"]

_HEADER_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f]*")
# A percent sign is written twice, or opens a variable of Envoy's access log format.
_HEADER_FORMAT = re.compile(r"(?:[^%]|%%|%[^%()]+(?:\([^)]*\) *)?%)*")


@dataclass(frozen=True)
class HeaderChanges:
    """Changes of the headers of a request or a response."""

    set: Mapping[str, str]
    add: Mapping[str, str]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class Headers:
    """Changes of headers on the way to a service and back."""

    request: HeaderChanges
    response: HeaderChanges


def is_authority(header: str) -> bool:
    """Return whether changing this header changes the authority of the request."""
    return header.lower() in (":authority", "host")


def read_headers(fields: Fields) -> Headers | None:
    """Read `headers`, `None` where it is absent.

    Raises:
        ManifestError: A change that Istio's validation or Envoy refuses.
    """
    if fields.raw("headers") is None:
        return None
    headers = fields.mapping("headers", ("request", "response"))
    return Headers(
        _header_changes(headers, "request", may_set_authority=True),
        _header_changes(headers, "response", may_set_authority=False),
    )


def _header_changes(headers: Fields, name: str, *, may_set_authority: bool) -> HeaderChanges:
    changes = headers.mapping(name, ("set", "add", "remove"))
    for place in ("set", "add"):
        for header, value in changes.string_map(place).items():
            where = changes.where.key(place).key(header)
            if not (may_set_authority and is_authority(header)):
                _check_header_name(header, where)
            if not _HEADER_VALUE.fullmatch(value):
                raise where.error("has a control character, which no header can have.")
            if not _HEADER_FORMAT.fullmatch(value):
                raise where.error("has a lone %; write %% for the sign itself, or %VARIABLE%.")
    for index, header in enumerate(changes.strings("remove")):
        _check_header_name(header, changes.where.key("remove").item(index))
    return HeaderChanges(
        changes.string_map("set"), changes.string_map("add"), tuple(changes.strings("remove"))
    )


def _check_header_name(header: str, where: Where) -> None:
    if header.startswith(":") or header.lower() == "host":
        problem = f"{header} cannot be changed here; use rewrite.authority, or set it in headers.request."
        raise where.error(problem)
    if not HEADER_NAME.fullmatch(header):
        raise where.error(f"{header!r} is not the name of a header.")
