"""Objects as written, for operators: what has another shape than Istio's is passed over, and never raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.mutate.edits import Path

__all__ = ["at", "entries", "mapping", "several", "text", "texts_with_paths", "values"]


def at(holder: object, *path: str | int) -> object:
    """Return what stands at a path; `None` where there is nothing."""
    found: Any = holder
    for key in path:
        if isinstance(found, dict):
            found = found.get(str(key))
        elif isinstance(found, list) and isinstance(key, int) and 0 <= key < len(found):
            found = found[key]
        else:
            return None
    return found


def mapping(holder: object, *path: str | int) -> Mapping[str, Any]:
    """Return the mapping at a path; empty where there is none."""
    found = at(holder, *path)
    return found if isinstance(found, dict) else {}


def text(holder: object, *path: str | int) -> str:
    """Return the string at a path; empty where there is none."""
    found = at(holder, *path)
    return str(found) if isinstance(found, str) else ""


def values(holder: object, *path: str | int) -> Sequence[Any]:
    """Return the list at a path; empty where there is none."""
    found = at(holder, *path)
    return found if isinstance(found, list) else ()


def several(holder: object, *path: str | int) -> bool:
    """Return whether a list has more than one entry, so that one can go and leave a list."""
    return len(values(holder, *path)) > 1


def texts_with_paths(holder: object, *path: str | int) -> Iterator[tuple[Path, str]]:
    """Yield the strings of the list at a path, each with its own path."""
    for index, value in enumerate(values(holder, *path)):
        if isinstance(value, str) and value:
            yield (*path, index), value


def entries(holder: object, *path: str | int) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the mappings of the list at a path, each with its own path."""
    for index, value in enumerate(values(holder, *path)):
        if isinstance(value, dict):
            yield (*path, index), value
