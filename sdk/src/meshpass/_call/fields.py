"""Header fields of a request: which names and values can be sent, and which are the client's own."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from meshpass._errors import InvalidRequest
from meshpass._values import shown

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

# RFC 9110, section 5.6.2 (token) and 5.5 (field-value, without the obsolete bytes).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
OWN_HEADERS = frozenset({"authorization", "host", "content-length", "transfer-encoding", "connection"})
"""Headers that the client sets itself, in lower case."""


def is_field_name(name: object) -> bool:
    """Return whether this is a name of a header that may be added to a request."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and name.lower() not in OWN_HEADERS


def is_field_value(value: object) -> bool:
    """Return whether a header can have this value."""
    return isinstance(value, str) and _VALUE.fullmatch(value) is not None


def checked_headers(headers: Headers) -> dict[str, str]:
    """Return these headers with their names in lower case.

    Raises:
        InvalidRequest: a name or a value cannot be sent, or the header is the client's own.
    """
    checked: dict[str, str] = {}
    for name, value in _pairs(headers):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidRequest(f"The header name {shown(name)} is not one that a header can have.")
        if name.lower() in OWN_HEADERS:
            raise InvalidRequest(f"The header {name} is set by the client itself and cannot be given.")
        if not isinstance(value, str):
            raise InvalidRequest(
                f"The value of the header {name} is of type {type(value).__name__}; it must be a str."
            )
        if not _VALUE.fullmatch(value):
            raise InvalidRequest(
                f"The value of the header {name} has line breaks, control or non-ASCII characters."
            )
        checked[name.lower()] = value
    return checked


def _pairs(headers: Headers) -> Iterable[tuple[Any, Any]]:
    if isinstance(headers, Mapping):
        return headers.items()
    pairs = list(headers) if isinstance(headers, Iterable) and not isinstance(headers, str | bytes) else None
    if pairs is None or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise InvalidRequest("`headers` must be a mapping of names to values, or pairs of them.")
    return pairs
