"""Sample events out of a file, and the parts that a sample does not come with."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from enrichment.documents import strict_json
from enrichment.settings.model import EventShape, Field, FieldType

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When sample events are published and enriched."""

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The example of https://www.w3.org/TR/trace-context/."""


def split(content: bytes) -> Sequence[bytes]:
    """Return the events in a file.

    Args:
        content: One JSON document, a JSON array of events, or a JSON document on each line (NDJSON).

    Returns:
        Each event's bytes as they came. What is none of these is one event, and for its reader to judge.
    """
    if content.lstrip()[:1] == b"[":
        try:
            return [bytes(event) for event in msgspec.json.decode(content, type=list[msgspec.Raw])]
        except msgspec.DecodeError:
            return [content]
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) > 1 and _is_json(lines[0]):
        return lines
    return [content]


def made_up(shape: EventShape) -> bytes:
    """Return an event with every declared field in it."""
    document: dict[str, Any] = {}
    for field in shape.fields:
        inner = document
        for key in field.path[:-1]:
            inner = inner.setdefault(key, {})
        inner.setdefault(field.path[-1], _example(field))
    return msgspec.json.encode(document)


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
