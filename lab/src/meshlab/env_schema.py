"""JSON Schemas of KEY=VALUE files: `NAME.schema.json` beside `NAME.env` says what the values may be.

A ConfigMap that a kustomization generates from such a file, and values for cases, are then checked before anything is
made of them. The values of a KEY=VALUE file are texts, so a schema describes an object of strings.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import jsonschema

__all__ = ["schema_of", "schema_problems"]

_SHOWN = 200


def schema_of(env_file: Path) -> Path | None:
    """Return the schema beside a KEY=VALUE file; None where there is none.

    Args:
        env_file: The file, such as `values.env`.
    """
    found = env_file.with_name(f"{env_file.stem}.schema.json")
    return found if found.is_file() else None


def schema_problems(schema_text: str, values: Mapping[str, str]) -> list[str]:
    """Return what is wrong with values, one sentence each; empty for nothing.

    No reference to another document is followed, so nothing is fetched.

    Args:
        schema_text: The text of the schema.
        values: The values by key.

    Raises:
        ValueError: The text is no JSON Schema; the message completes the sentence "FILE ...".
    """
    import referencing

    validator = _validator(schema_text)
    try:
        errors = sorted(validator.iter_errors(dict(values)), key=lambda error: list(error.absolute_path))
    except referencing.exceptions.Unresolvable as error:
        raise ValueError(f"refers to another document, and nothing is fetched: {error.ref}") from None
    return [_sentence(error) for error in errors]


@lru_cache(maxsize=32)
def _validator(schema_text: str) -> jsonschema.Draft202012Validator:
    """Return what checks values. That the schema is one takes longer to check than most values do."""
    import jsonschema
    import referencing

    try:
        schema = json.loads(schema_text)
        jsonschema.Draft202012Validator.check_schema(schema)
    except (ValueError, jsonschema.SchemaError) as error:
        message = getattr(error, "message", str(error))
        raise ValueError(f"is no JSON Schema: {message[:_SHOWN]}") from None
    return jsonschema.Draft202012Validator(schema, registry=referencing.Registry())


def _sentence(error: jsonschema.ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path))
    described = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    # The message of a pattern quotes all of it, which says less than what the schema's author wrote.
    what = (
        f"is {ascii(error.instance)[:_SHOWN]}, which the schema refuses"
        if error.validator in ("pattern", "not")
        else error.message[:_SHOWN]
    )
    sentence = f"{key} {what}." if key else f"{what}."
    return f"{sentence} {described}".strip()
