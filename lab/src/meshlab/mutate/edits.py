"""Edits of an object that is left as it was, and changes made of them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ANOTHER",
    "REMOVED",
    "Body",
    "Change",
    "Edit",
    "Path",
    "edited",
    "fits",
    "gone",
    "removed",
    "replaced",
    "with_value",
    "without",
]

Body = dict[str, Any]
Path = tuple[str | int, ...]

ANOTHER = "another"
"""What a name gets that shall be no name of the mesh."""


class _Removed:
    def __repr__(self) -> str:
        return "REMOVED"

    def __reduce__(self) -> str:
        return "REMOVED"  # in another process, too, it is the one below


REMOVED: Final = _Removed()
"""The value of an edit that takes a field, or an entry of a list, away."""


@dataclass(frozen=True)
class Edit:
    """One field or entry with another value.

    Attributes:
        path: Its keys and indices.
        value: The value; `REMOVED` for none.
    """

    path: Path
    value: object = REMOVED


@dataclass(frozen=True)
class Change:
    """One condition of an object, removed or widened.

    Attributes:
        path: The field that it is about.
        words: What is done to it, such as `removed`.
        edits: How; `None` where the whole object is removed.
        weakens: Whether it may let in what was refused before, or leave out a protection. A change that does not can
            only refuse more, or break what worked.
        unseen: Why no request of the bench can show it; empty where one may.
    """

    path: Path
    words: str
    edits: tuple[Edit, ...] | None
    weakens: bool
    unseen: str = ""


def gone(*, weakens: bool = True) -> Change:
    """Return the change that removes the object."""
    return Change((), "removed", None, weakens)


def removed(path: Path, words: str = "removed", *, weakens: bool, unseen: str = "") -> Change:
    """Return the change that removes a field or an entry."""
    return Change(path, words, (Edit(path),), weakens, unseen)


def replaced(path: Path, value: object, words: str, *, weakens: bool, about: Path | None = None) -> Change:
    """Return the change that gives a field or an entry another value.

    Args:
        path: The field.
        value: Its new value.
        words: What is done.
        weakens: As in `Change`.
        about: The field to name, where it is not the changed one.
    """
    return Change(path if about is None else about, words, (Edit(path, value),), weakens)


def edited(body: Mapping[str, Any], edits: tuple[Edit, ...]) -> Body:
    """Return an object with edits. It shares with the original what is not on their ways.

    Raises:
        LookupError: The object has no such place.
        TypeError: There is something else than a mapping or a list on the way.
    """
    changed: Any = body
    for edit in edits:
        changed = _edited(changed, edit.path, edit.value)
    found: Body = changed
    return found


def fits(body: object, edit: Edit) -> bool:
    """Return whether an edit can be made: mappings and lists lead to its place."""
    node: Any = body
    for number, key in enumerate(edit.path):
        is_last = number == len(edit.path) - 1
        if node is None:
            return edit.value is not REMOVED  # what is missing on the way is made
        if isinstance(node, dict):
            if is_last and edit.value is REMOVED:
                return key in node
            node = node.get(key)
        elif isinstance(node, list) and isinstance(key, int) and key < len(node):
            node = node[key]
        else:
            return False
    return True


def with_value(body: Body, path: Path, value: object) -> Body:
    """Return the object with another value in a field."""
    return edited(body, (Edit(path, value),))


def without(body: Body, path: Path) -> Body:
    """Return the object without a field or an entry of a list."""
    return edited(body, (Edit(path),))


def _edited(node: Any, path: Path, value: object) -> Any:  # noqa: ANN401 - any value of a manifest
    if not path:
        return value
    key, *rest = path
    changed = copy.copy(node)
    if rest:
        inner = changed.get(key) if isinstance(changed, dict) else changed[key]
        inner = {} if inner is None else inner
        changed[key] = _edited(inner, tuple(rest), value)
    elif value is REMOVED:
        del changed[key]
    else:
        changed[key] = value
    return changed
