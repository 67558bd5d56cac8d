"""JSON Patch (RFC 6902), the operations add, replace and remove: how one recording differs from another."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def patched(document: Any, operations: Sequence[Any]) -> Any:  # noqa: ANN401 - JSON
    """Return a changed copy of a document.

    Args:
        document: JSON.
        operations: Objects with ``op``, ``path`` and, for add and replace, ``value``.

    Raises:
        ValueError: an operation is not one of the three, or its path leads nowhere.
    """
    root = {"": copy.deepcopy(document)}
    for operation in operations:
        try:
            _apply(root, operation["op"], operation["path"], copy.deepcopy(operation.get("value")))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"the operation {operation!r} cannot be applied: {error!r}") from None
    return root[""]


def _apply(root: dict[str, Any], operation: str, path: str, value: Any) -> None:  # noqa: ANN401 - JSON
    *steps, last = path.split("/")
    target: Any = root
    for step in map(_unescaped, steps):
        target = target[int(step)] if isinstance(target, list) else target[step]
    key = _unescaped(last)
    if isinstance(target, list):
        if operation == "add":
            target.insert(len(target) if key == "-" else int(key), value)
            return
        if operation == "remove":
            del target[int(key)]
            return
        index = int(key)
        _ = target[index]
        target[index] = value
        return
    if operation != "add":
        _ = target[key]
    if operation == "remove":
        del target[key]
    elif operation in {"add", "replace"}:
        target[key] = value
    else:
        raise ValueError(f"{operation!r} is not add, replace or remove")


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
