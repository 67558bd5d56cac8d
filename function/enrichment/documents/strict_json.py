"""JSON read so strictly that two readers cannot disagree about what it said."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

MAX_DEPTH = 500
"""Nesting a BigQuery JSON column takes (https://cloud.google.com/bigquery/quotas)."""

MAX_VALUES = 2_000_000
"""Values in one text. Each takes up to a hundred bytes of memory, however short it is in the text."""

TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
"""What is said of a text with more nesting."""

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_SLICE_BYTES = 64 * 1024
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJsonError(ValueError):
    """The bytes are not one JSON text; the message says why and quotes nothing."""


class NotValidError(ValueError):
    """It is JSON, but not what was asked for; the message says why and quotes nothing."""


def parse(data: bytes) -> object:
    """Read one JSON text.

    Beyond RFC 8259's grammar it refuses what parsers read differently from one another, since the columns
    taken from the text and the text itself would then tell different stories: a key named twice in one object
    (section 4), integers outside 64 bits and floats beyond a double (section 6), lone surrogates (section
    8.2), nesting deeper than BigQuery takes, and more values than the memory is sized for.

    Args:
        data: The bytes, UTF-8 without a byte order mark.

    Returns:
        What they say, as `json.loads` would give it.

    Raises:
        NotJsonError: the bytes are not JSON.
        NotValidError: the JSON is ambiguous, or too deep.
    """
    document = _parse(data)
    if not _unambiguous(data, document):
        json.loads(data, object_pairs_hook=_refuse_twins, parse_int=_bounded_int)
    return document


def parse_object(data: bytes) -> dict[str, Any]:
    """Read one JSON text that must be an object.

    Args:
        data: The bytes, as for `parse`.

    Returns:
        The object.

    Raises:
        NotJsonError: the bytes are not JSON.
        NotValidError: the JSON is ambiguous, too deep, or no object.
    """
    document = parse(data)
    if not isinstance(document, dict):
        raise NotValidError("it is not a JSON object")
    return document


def check_values(data: bytes) -> None:
    """Refuse a text of too many values before any of them is built.

    Args:
        data: One JSON text or several.

    Raises:
        NotValidError: There are more than `MAX_VALUES`.
    """
    # A comma or a bracket stands before each value but the first. Those inside of strings count for nothing, and are
    # left out only where they could matter.
    if len(data) > MAX_VALUES and _marks(data) > MAX_VALUES and _marks(_blank_strings(data)) > MAX_VALUES:
        raise NotValidError(f"it holds more than {MAX_VALUES} values: publish less in one message")


def without_strings(text: str) -> str:
    """Return a JSON text with its strings taken out: what is left are numbers, words and marks."""
    return _blank_strings(text.encode()).decode()


def is_finite(value: object) -> bool:
    """Return whether a value can be written in JSON: no nan and no infinity anywhere in it."""
    match value:
        case float():
            return math.isfinite(value)
        case Mapping():
            return all(map(is_finite, value.values()))
        case list():
            return all(map(is_finite, value))
        case _:
            return True


def _blank_strings(data: bytes) -> bytes:
    """Return a JSON text with a blank for each string; of one without an end, all of it is string.

    In slices: a text of 10 MB can hold millions of strings, and each would be an object of its own.
    """
    # Each quotation mark that is left begins or ends a string.
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    found, inside = bytearray(), 0
    for at in range(0, len(plain), _SLICE_BYTES):
        parts = plain[at : at + _SLICE_BYTES].split(b'"')
        found += b" ".join((b"", *parts[1::2]) if inside else parts[::2])
        inside ^= (len(parts) - 1) & 1
    return bytes(found)


def _marks(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _parse(data: bytes) -> object:
    check_values(data)
    try:
        document = msgspec.json.decode(data)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise NotValidError("a number in it is beyond what a double holds: send it as a string") from None
        raise NotValidError(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotJsonError(_problem(data, str(error))) from None
    except UnicodeDecodeError:
        raise NotJsonError("the text is not UTF-8") from None
    except RecursionError:
        raise NotValidError(f"nested deeper than {MAX_DEPTH} levels") from None
    # Each level takes two brackets. Counting them is cheap and can only overestimate; most texts need no closer look.
    if (
        len(data) > 2 * MAX_DEPTH
        and data.count(b"{") + data.count(b"[") > MAX_DEPTH
        and _depth(document) > MAX_DEPTH
    ):
        raise NotValidError(f"nested deeper than {MAX_DEPTH} levels")
    return document


def _problem(data: bytes, parser_says: str) -> str:
    """Say what is wrong with a text. The parser calls some texts truncated that nothing was cut from."""
    if not data.strip():
        return "it is empty"
    if _SURROGATE.search(data):
        try:
            json.dumps(json.loads(data), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "a text in it has half of a surrogate pair, which is no character: correct what cuts texts there"
        except (ValueError, RecursionError):
            pass
    return parser_says


def _unambiguous(data: bytes, document: object) -> bool:
    """Proves, at a fifth of the price of a second reader, that no key was named twice and no integer is too long.

    A colon in a JSON text parts a key from its value or stands in a string. Written anew, the document has those of
    every key and string that it kept, provided that none was escaped (U+003A): then equal counts mean that nothing
    was lost, and a key named twice loses at least the colon after it. And MessagePack has no integers beyond 64 bits.

    Returns:
        Whether it is proven. If not, the text may still be good.
    """
    if b"\\u003" in data or data.count(b":") != msgspec.json.encode(document).count(b":"):
        return False
    try:
        msgspec.msgpack.encode(document)
    except OverflowError:
        return False
    return True


def _depth(document: object) -> int:
    depth, level = 0, [document]
    while level := [value for value in level if isinstance(value, dict | list)]:
        depth += 1
        level = [child for value in level for child in (value.values() if isinstance(value, dict) else value)]
    return depth


def _refuse_twins(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise NotValidError("an object names the same key twice")


def _bounded_int(digits: str) -> None:
    if len(digits) > 20 or not _INT_MIN <= int(digits) <= _INT_MAX:
        raise NotValidError("an integer does not fit into 64 bits: send it as a string")
