"""Descriptions as they are written: YAML, checked against a published JSON schema, with the line of every value."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
from meshlab.yaml_reader import Ambiguous, LocatedDict, YamlError, parse_located

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = [
    "Description",
    "DescriptionError",
    "is_name",
    "is_reserved",
    "read_descriptions",
    "read_loosely",
    "shown",
    "strange_files",
    "validator_of",
]

Key = str | int

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Part of file names, of directories and of names of objects, which may have 63 characters.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_RESERVED_PREFIXES = ("kube-", "gke-", "istio-")
_INTEGERS = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: type(value) is int
)
_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=_INTEGERS)


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
        return f"{self.file}:{self.line(*keys)}: {problem}"

    def line(self, *keys: Key) -> int:
        """Return the line of the last of these keys that the file holds."""
        return _line(self.value, keys)


def read_descriptions(files: Sequence[Path], schema_file: Path) -> list[Description]:
    """Read descriptions of one kind.

    Args:
        files: Where they are written, one in each.
        schema_file: The JSON schema of their kind.

    Raises:
        DescriptionError: With all problems of all files.
    """
    validator = validator_of(schema_file)
    problems: list[str] = []
    descriptions = []
    for file in files:
        try:
            value = _one_document(file)
        except DescriptionError as error:
            problems.extend(error.problems)
            continue
        description = Description(file, value)
        problems.extend(_unreadable(description, value))
        errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        problems.extend(_schema_problem(description, error) for error in errors)
        descriptions.append(description)
    if problems:
        raise DescriptionError(problems)
    return descriptions


def read_loosely(files: Iterable[Path]) -> list[Description]:
    """Return the descriptions that can be read at all, for checks across kinds; those of one kind report the others."""
    found = []
    for file in files:
        try:
            found.append(Description(file, _one_document(file)))
        except DescriptionError:
            continue
    return found


def validator_of(schema_file: Path) -> jsonschema.protocols.Validator:
    """Return what checks a value against a schema; `80.0` is no integer, because Kubernetes takes none."""
    validator: jsonschema.protocols.Validator = _Validator(
        json.loads(schema_file.read_text(encoding="utf-8"))
    )
    return validator


def is_name(text: str) -> bool:
    """Return whether descriptions and what is made from them may have this name."""
    return _NAME.fullmatch(text) is not None


def shown(path: Path) -> str:
    """Return a path on one line."""
    text = str(path)
    return repr(text) if _CONTROL.search(text) else text


def is_reserved(namespace: str) -> bool:
    """Return whether a namespace belongs to Kubernetes, GKE or Istio, and not to a team or a service."""
    return namespace == "default" or namespace.startswith(_RESERVED_PREFIXES)


def strange_files(directory: Path, what: str) -> list[str]:
    """Return a sentence about each file beside descriptions that would be left out, or whose name cannot be used.

    Args:
        directory: Where the descriptions are.
        what: What each of them describes, such as `a team`.
    """
    problems = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if path.suffix != ".yaml":
            problems.append(f"{path}: is no description of {what}; name it NAME.yaml, or move it elsewhere.")
        elif not is_name(path.stem) or path.stem == "kustomization":
            problems.append(
                f"{shown(path)}: {what} is named with at most 30 lower-case letters, digits and hyphens."
            )
    return problems


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


def _unreadable(description: Description, value: object, *keys: Key) -> list[str]:
    """Report what would be lost, read in two ways, or not be seen by a reader of the file."""
    if isinstance(value, Ambiguous):
        return [
            description.problem(f"{value} is read differently by different YAML readers; quote it.", *keys)
        ]
    if isinstance(value, str) and _CONTROL.search(value):
        return [description.problem(f"{value!r} has a line break or a control character.", *keys)]
    problems = []
    if isinstance(value, LocatedDict):
        problems = [
            f"{description.file}:{line}: the key {key} stands here twice."
            for key, line in value.duplicates.items()
        ]
        problems += [
            description.problem(f"the key {key!r} has a line break or a control character.", *keys, key)
            for key in value
            if _CONTROL.search(key)
        ]
    items: Iterable[tuple[Key, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return problems + [found for key, item in items for found in _unreadable(description, item, *keys, key)]


def _line(value: object, keys: Sequence[Key]) -> int:
    """Return the line of the last of the keys that the file holds."""
    line = 1
    for key in keys:
        lines, items = getattr(value, "lines", {}), value if isinstance(value, dict | list) else {}
        if key not in lines:
            break
        line, value = lines[key], items[key]  # type: ignore[index]  # a list has numbers, a mapping has names
    return line
