"""Checks of a kustomization's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["boolean", "known", "listing", "mapping", "string", "string_map", "strings"]


def known(value: object, names: Collection[str], where: str) -> dict[str, Any]:
    """A mapping that has no other keys than those; `None` reads as empty."""
    found = mapping(value, where)
    for key in found:
        if key not in names:
            raise ManifestError(f"{where}.{key}: not supported; the subset reads {', '.join(names)}.")
    return found


def mapping(value: object, where: str) -> dict[str, Any]:
    """A mapping; `None` reads as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ManifestError(f"{where}: expected a mapping, found {value!r}.")
    return value


def listing(value: object, where: str) -> list[object]:
    """A list; `None` reads as empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestError(f"{where}: expected a list, found {value!r}.")
    return value


def string(value: object, where: str) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{where}: expected a string that is not empty, found {value!r}.")
    return value


def strings(value: object, where: str) -> list[str]:
    """A list of strings."""
    return [string(item, f"{where}[{index}]") for index, item in enumerate(listing(value, where))]


def string_map(value: object, where: str) -> dict[str, str]:
    """A mapping of strings to strings; values may be empty."""
    found = mapping(value, where)
    for key, item in found.items():
        if not isinstance(item, str):
            raise ManifestError(f"{where}.{key}: expected a string, found {item!r}; quote it.")
    return found


def boolean(value: object, where: str) -> bool:
    """A boolean; `None` reads as false."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ManifestError(f"{where}: expected true or false, found {value!r}.")
    return value
