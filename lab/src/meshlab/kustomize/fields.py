"""Checks of a kustomization's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "boolean",
    "integer",
    "known",
    "listing",
    "mapping",
    "one_of",
    "optional",
    "string",
    "string_list",
    "string_map",
]


def known(value: object, names: Collection[str], where: str) -> dict[str, Any]:
    """Return a mapping that has no other keys than those; `None` reads as empty."""
    found = mapping(value, where)
    for key in found:
        if key not in names:
            raise ManifestError(f"{where}.{key}: not supported; the subset reads {', '.join(names)}.")
    return found


def mapping(value: object, where: str) -> dict[str, Any]:
    """Return a mapping; `None` reads as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ManifestError(f"{where}: expected a mapping, found {value!r}.")
    return value


def listing(value: object, where: str) -> list[object]:
    """Return a list; `None` reads as empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestError(f"{where}: expected a list, found {value!r}.")
    return value


def string(value: object, where: str) -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{where}: expected a string that is not empty, found {value!r}.")
    return value


def optional(value: object, where: str) -> str:
    """Return a string that may be empty; `None` reads as empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ManifestError(f"{where}: expected a string, found {value!r}; quote it.")
    return value


def one_of(value: object, choices: Collection[str], where: str) -> str:
    """Return one of a few strings."""
    if value not in choices:
        raise ManifestError(f"{where}: expected one of {', '.join(choices)}, found {value!r}.")
    return str(value)


def string_list(value: object, where: str) -> list[str]:
    """Return a list of strings."""
    return [string(item, f"{where}[{index}]") for index, item in enumerate(listing(value, where))]


def string_map(value: object, where: str) -> dict[str, str]:
    """Return a mapping of strings to strings; values may be empty."""
    return {key: optional(item, f"{where}.{key}") for key, item in mapping(value, where).items()}


def boolean(value: object, where: str) -> bool:
    """Return a boolean; `None` reads as false."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ManifestError(f"{where}: expected true or false, found {value!r}.")
    return value


def integer(value: object, where: str) -> int:
    """Return a whole number; `None` reads as zero."""
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise ManifestError(f"{where}: expected a whole number, found {value!r}.")
    return value
