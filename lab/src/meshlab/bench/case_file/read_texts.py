"""Readers of the texts that occur in many places: workloads, hosts, headers."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from meshlab.bench.case_file.nodes import Cursor

__all__ = [
    "header_list",
    "header_map",
    "header_value",
    "host_port",
    "ip_address",
    "matching",
    "optional_header_map",
    "text_list",
    "text_map",
    "workload_ref",
]

_MAX_PORT = 65_535


def matching(where: Cursor, pattern: str, expected: str) -> str:
    """Return a text of that shape.

    Raises:
        ReadError: It has another.
    """
    text = where.text()
    # `$` of Python also matches before a last line break, the schema's does not.
    if not re.search(pattern, text) or text.endswith("\n"):
        raise where.error(f"{where.said} is not {expected}")
    return text


def workload_ref(where: Cursor) -> WorkloadRef:
    """Return `NAMESPACE/NAME`.

    Raises:
        ReadError: It is something else.
    """
    return WorkloadRef.parse(matching(where, format_words.REF, "a workload; write NAMESPACE/NAME"))


def ip_address(where: Cursor) -> str:
    """Return an IPv4 or IPv6 address in its usual form.

    Raises:
        ReadError: It is none.
    """
    text = matching(where, format_words.IP, "an IP address")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise where.error(f"{text!r} is not an IP address", "meaning") from None


def host_port(where: Cursor) -> tuple[str, int]:
    """Return the parts of `HOST:PORT`.

    Raises:
        ReadError: It is something else.
    """
    text = matching(where, format_words.HOST_PORT, "a host with a port; write HOST:PORT")
    host, _, digits = text.rpartition(":")
    return host, port_number(where, digits)


def port_number(where: Cursor, digits: str) -> int:
    """Return the port that a part of a text writes.

    Raises:
        ReadError: There is no such port.
    """
    if not 0 < len(digits.lstrip("0")) <= len(str(_MAX_PORT)) or not 0 < int(digits) <= _MAX_PORT:
        raise where.error(f"{where.said} has no port from 1 to {_MAX_PORT}", "meaning")
    return int(digits)


def port(where: Cursor) -> int:
    """Return a port."""
    return where.number(1, _MAX_PORT)


def text_list(where: Cursor) -> tuple[str, ...]:
    """Return a list of texts that are not empty.

    Raises:
        ReadError: It is something else.
    """
    return tuple(item.word() for item in where.items())


def text_map(where: Cursor) -> dict[str, str]:
    """Return a mapping of texts.

    Raises:
        ReadError: It is something else.
    """
    return {key: value.text() for key, value in where.entries()}


def header_value(where: Cursor) -> str:
    """Return a header's value; a whole number may stand without quotes.

    Raises:
        ReadError: It is something else, or holds a line break.
    """
    text = str(where.node.value) if where.tag == "int" else where.text()
    if re.search(r"[\r\n\x00]", text):
        raise where.error("a header's value has no line break; write one line")
    return text


def header_map(where: Cursor) -> dict[str, str]:
    """Return headers with one value each."""
    return {name: header_value(value) for name, value in _headers(where)}


def optional_header_map(where: Cursor) -> dict[str, str | None]:
    """Return headers with a value, or with `null` for one that must be absent."""
    return {name: None if value.is_null else header_value(value) for name, value in _headers(where)}


def header_list(where: Cursor) -> tuple[tuple[str, str], ...]:
    """Return headers in order; a list of values repeats the header."""
    found: list[tuple[str, str]] = []
    for name, value in _headers(where):
        found += [(name, header_value(item)) for item in (value.items() if value.is_list else [value])]
    return tuple(found)


def _headers(where: Cursor) -> list[tuple[str, Cursor]]:
    entries = where.entries()
    for name, value in entries:
        if not re.search(format_words.HEADER, name):
            raise value.error(f"{name!r} is not the name of a header; use letters, digits and -")
    return entries
