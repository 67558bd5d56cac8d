"""Sample events out of a file, and the parts that a sample does not come with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from enrichment.documents import strict_json
from enrichment.settings.model import EventShape, Field, FieldType, Format

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When sample events are published and enriched."""

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The example of https://www.w3.org/TR/trace-context/."""


def split(content: bytes, *, holds_arrays: bool = False) -> Sequence[bytes]:
    """Return the messages in a file.

    Args:
        content: One JSON document, a JSON array of events, or a JSON document on each line (NDJSON).
        holds_arrays: Whether a JSON array is itself a message.

    Returns:
        Each message's bytes as they came. What is none of these is one message, and for its reader to judge.
    """
    if holds_arrays and _is_json(content):
        return [content]
    if is_array(content) and not holds_arrays:
        try:
            return [bytes(event) for event in msgspec.json.decode(content, type=list[msgspec.Raw])]
        except (msgspec.DecodeError, RecursionError):
            return [content]
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) > 1 and _is_json(lines[0]):
        return lines
    return [content]


def is_array(content: bytes) -> bool:
    """Return whether a file begins as a JSON array."""
    return content.lstrip()[:1] == b"["


def made_up(shape: EventShape) -> tuple[bytes, EventShape]:
    """Return an event with every declared field in it, and all that names it and its rows.

    Args:
        shape: What makes an event.

    Returns:
        The event, and the shape to read it by: without encodings, and as JSON unless a CloudEvent is around it.
    """
    document: dict[str, Any] = {}
    for source in shape.id:
        if source.path[:1] == ("event",):
            _put(document, source.path[1:], "sample id")
    for field in shape.fields:
        _put(document, field.path, _example(field))
    if shape.each is not None and shape.each.path[:1] == ("event",):
        item: dict[str, Any] = {}
        for source in shape.id:
            if source.path[:1] == ("item",):
                _put(item, source.path[1:], "sample id")
        for inner in reversed(shape.each_inside):
            around: dict[str, Any] = {}
            _put(around, inner.path[1:], [item])
            item = around
        _put(document, shape.each.path[1:], [item])
    if shape.format is Format.CLOUDEVENTS:
        envelope = {"specversion": "1.0", "id": "sample id", "source": "//sample", "type": "sample"}
        return msgspec.json.encode({**envelope, "data": document}), replace(shape, encodings=())
    return msgspec.json.encode(document), replace(shape, encodings=(), format=Format.JSON)


def _put(document: dict[str, Any], path: Sequence[str], value: object) -> None:
    """Put a value under a path of keys, unless something else is in its way."""
    for key in path[:-1]:
        document = document.setdefault(key, {})
        if not isinstance(document, dict):
            return
    if path:
        document[path[-1]] = value


def _is_json(line: bytes) -> bool:
    try:
        strict_json.parse(line)
    except (strict_json.NotJsonError, strict_json.NotValidError):
        return False
    return True


def _example(field: Field) -> object:
    match field.type:
        case FieldType.STRING:
            return f"sample {field.name}"[: field.max_length].strip()
        case FieldType.INTEGER:
            return 1
        case FieldType.NUMBER:
            return 1.5
        case FieldType.BOOLEAN:
            return True
        case FieldType.TIMESTAMP:
            return NOW
        case FieldType.JSON:
            return {}
