"""Descriptions as they are written: YAML, checked against a published JSON schema, with the line of every value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
from meshlab.yaml_reader import Ambiguous, LocatedDict, YamlError, parse_located

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["Description", "DescriptionError", "read_descriptions"]

Key = str | int


class DescriptionError(Exception):
    """Descriptions are wrong.

    Attributes:
        problems: One sentence each, beginning with `FILE:LINE:`.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Description:
    """One description.

    Attributes:
        file: Where it is written.
        value: Its fields, as the schema allows them.
    """

    file: Path
    value: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of what is described: the file's, or its directory's where all files have the same name."""
        return self.file.stem

    def problem(self, problem: str, *keys: Key) -> str:
        """Return a sentence about the value at these keys, with file and line."""
        return f"{self.file}:{_line(self.value, keys)}: {problem}"


def read_descriptions(files: Sequence[Path], schema_file: Path) -> list[Description]:
    """Read descriptions of one kind.

    Args:
        files: Where they are written, one in each.
        schema_file: The JSON schema of their kind.

    Raises:
        DescriptionError: With all problems of all files.
    """
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    problems: list[str] = []
    descriptions = []
    for file in files:
        try:
            value = _one_document(file)
        except DescriptionError as error:
            problems.extend(error.problems)
            continue
        description = Description(file, value)
        problems.extend(_duplicates(description, value))
        errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        problems.extend(_schema_problem(description, error) for error in errors)
        descriptions.append(description)
    if problems:
        raise DescriptionError(problems)
    return descriptions


def _one_document(file: Path) -> dict[str, Any]:
    try:
        documents = parse_located(file.read_text(encoding="utf-8"))
    except YamlError as error:
        raise DescriptionError([f"{file}:{error.line}: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError([f"{file}: cannot be read: {error}"]) from None
    if len(documents) != 1 or not isinstance(documents[0][0], dict):
        raise DescriptionError([f"{file}:1: expected one mapping"])
    return documents[0][0]


def _schema_problem(description: Description, error: jsonschema.ValidationError) -> str:
    keys = tuple(error.absolute_path)
    place = ".".join(map(str, keys)) or "the file"
    expected = error.schema.get("description") if isinstance(error.schema, dict) else None
    hint = f" Expected: {expected}" if expected and error.validator != "additionalProperties" else ""
    return description.problem(f"{place}: {error.message}.{hint}", *keys)


def _duplicates(description: Description, value: object, *keys: Key) -> list[str]:
    """Report what would be lost or read in two ways."""
    if isinstance(value, Ambiguous):
        return [
            description.problem(f"{value} is read differently by different YAML readers; quote it.", *keys)
        ]
    problems = []
    if isinstance(value, LocatedDict):
        problems = [
            f"{description.file}:{line}: the key {key} stands here twice."
            for key, line in value.duplicates.items()
        ]
    items: Iterable[tuple[Key, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return problems + [found for key, item in items for found in _duplicates(description, item, *keys, key)]


def _line(value: object, keys: Sequence[Key]) -> int:
    """Return the line of the last of the keys that the file holds."""
    line = 1
    for key in keys:
        lines, items = getattr(value, "lines", {}), value if isinstance(value, dict | list) else {}
        if key not in lines:
            break
        line, value = lines[key], items[key]  # type: ignore[index]  # a list has numbers, a mapping has names
    return line
