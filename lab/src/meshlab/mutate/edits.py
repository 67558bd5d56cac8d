"""Edits of an object that is left as it was, and the changes that every kind has."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

__all__ = ["ANOTHER", "Body", "Changes", "Path", "selector", "with_value", "without"]

Body = dict[str, Any]
Path = tuple[str | int, ...]
Changes = Iterator[tuple[Path, str, Body | None]]

ANOTHER = "another"


def with_value(body: Body, path: Path, value: object) -> Body:
    """Return the object with another value in a field."""
    changed = copy.deepcopy(body)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
    inner[path[-1]] = value
    return changed


def without(body: Body, path: Path) -> Body:
    """Return the object without a field or an entry of a list."""
    changed = copy.deepcopy(body)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def selector(body: Body) -> Changes:
    """Yield the changes of a workload selector."""
    labels = body["spec"].get("selector", {}).get("matchLabels", {})
    for label, value in labels.items():
        place: Path = ("spec", "selector", "matchLabels", label)
        yield place, "selects nothing", with_value(body, place, f"{value}-{ANOTHER}")
    if labels:
        yield ("spec", "selector"), "every workload", without(body, ("spec", "selector"))
