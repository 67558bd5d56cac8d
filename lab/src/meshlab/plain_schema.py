"""A quick look whether texts pass a JSON Schema of common keywords.

The validator of the jsonschema package first checks the schema itself. With its import that takes 0.15 s of processor
time, a third of what a short command needs. Most schemas of KEY=VALUE files have few keywords, and most values pass:
that is decided here. In all other cases the package decides, and says what is wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["plainly_passes"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def plainly_passes(schema: object, values: Mapping[str, str]) -> bool:
    """Return whether a schema is a right one, has no keyword but those known here, and takes the values.

    False says nothing: the schema may be wrong, have other keywords, or refuse a value.

    Args:
        schema: What `json.loads` made of the schema.
        values: The values by key.
    """
    return _is_known(schema) and _takes(schema, values)


def _is_known(schema: object) -> bool:
    """Return whether every part of a schema has known keywords with values of the right kind."""
    if isinstance(schema, bool):
        return True
    return isinstance(schema, dict) and all(
        keyword in _KNOWN and _KNOWN[keyword](value) for keyword, value in schema.items()
    )


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except (re.error, OverflowError, RecursionError):
        return False


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_distinct_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _are_schemas(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_known, value.values()))


_KNOWN: dict[str, Callable[[Any], bool]] = {
    "$comment": _is_text,
    "$schema": lambda value: value == _DIALECT,
    "additionalProperties": _is_known,
    "description": _is_text,
    "enum": _are_distinct_texts,
    "maxLength": _is_length,
    "minLength": _is_length,
    "not": _is_known,
    "pattern": _is_pattern,
    "patternProperties": lambda value: _are_schemas(value) and all(map(_is_pattern, value)),
    "properties": _are_schemas,
    "propertyNames": _is_known,
    "required": _are_distinct_texts,
    "title": _is_text,
    "type": lambda value: value in ("object", "string"),
}


def _takes(schema: Any, value: str | Mapping[str, str]) -> bool:  # noqa: ANN401 - JSON
    """Return what JSON Schema says of a text, or of an object of texts. Keywords for other kinds of values are met."""
    if isinstance(schema, bool):
        return schema
    if ("enum" in schema and value not in schema["enum"]) or (
        "not" in schema and _takes(schema["not"], value)
    ):
        return False
    return _takes_text(schema, value) if isinstance(value, str) else _takes_object(schema, value)


def _takes_text(schema: dict[str, Any], value: str) -> bool:
    return (
        schema.get("type", "string") == "string"
        and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        and ("pattern" not in schema or re.search(schema["pattern"], value) is not None)
    )


def _takes_object(schema: dict[str, Any], values: Mapping[str, str]) -> bool:
    return (
        schema.get("type", "object") == "object"
        and all(key in values for key in schema.get("required", ()))
        and all(_takes(schema.get("propertyNames", True), key) for key in values)
        and all(_takes(part, value) for key, value in values.items() for part in _parts_for(schema, key))
    )


def _parts_for(schema: dict[str, Any], key: str) -> list[Any]:
    """Return the schemas that the value of a key must meet."""
    named = [schema["properties"][key]] if key in schema.get("properties", ()) else []
    matching = [
        part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, key)
    ]
    return [*named, *matching] or [schema.get("additionalProperties", True)]
