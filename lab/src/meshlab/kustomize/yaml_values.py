"""YAML values as kustomize handles them: copies without sharing, and scalars as text."""

from __future__ import annotations

from typing import Any

from meshlab.manifest import ManifestError, parse_yaml
from meshlab.yaml_reader import LocatedDict, LocatedList

__all__ = ["clone", "clone_located", "forget_lines", "like", "plain", "text"]


def clone(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Copy a value without its lines. What an alias of YAML shares between two places becomes two values."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def clone_located(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Copy a value with the lines that its mappings and lists know."""
    if isinstance(value, LocatedDict):
        mapping = LocatedDict((key, clone_located(item)) for key, item in value.items())
        mapping.lines, mapping.duplicates = value.lines, value.duplicates
        return mapping
    if isinstance(value, LocatedList):
        sequence = LocatedList(clone_located(item) for item in value)
        sequence.lines = value.lines
        return sequence
    return clone(value)


def forget_lines(value: object) -> None:
    """Drop the lines of a list whose items move."""
    if isinstance(value, LocatedList):
        value.lines = {}


def text(value: object) -> str:
    """Return a scalar as it is written in YAML, and an empty string for what is no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value)


def plain(written: str) -> object:
    """Return what a scalar without quotes means: a number, a boolean, null or a string."""
    try:
        documents = parse_yaml(written, "")
    except ManifestError:
        return written
    value = documents[0] if len(documents) == 1 else written
    return written if isinstance(value, dict | list) else value


def like(old: object, written: str, where: str) -> object:
    """Return a text as a value of the type that stands there already.

    Args:
        old: The scalar that is replaced.
        written: The text of the new scalar.
        where: The place, for messages.

    Raises:
        ManifestError: The text is no value of that type.
    """
    if isinstance(old, str):
        return written
    value = plain(written)
    wanted = (int, float) if isinstance(old, float) else (type(old),)
    if old is not None and type(value) in wanted:
        return value
    raise ManifestError(
        f"{where}: {written!r} is not of the type of {old!r}, which it replaces; quote the old value."
    )
