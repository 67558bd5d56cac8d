"""The merge of two lists whose elements are distinguished by key fields.

This is the order of kyaml/yaml/walk/associative_sequence.go, whose results a reader of the API's documentation would
not guess: elements of the patch go first, elements without a key are kept as they are, and of two keys the second may
be missing on either side.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from meshlab.kustomize.yaml_values import forget_lines, plain, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ABSENT", "Absent", "merge"]


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = 0


ABSENT: Final = Absent.ABSENT  # nothing stands there, as opposed to null

Values = tuple[str, ...]  # the values of the key fields of an element; an empty string where one is missing


def merge(
    old: list[Any], new: list[Any], keys: tuple[str, ...], merge_elements: Callable[[Any, Any], Any]
) -> list[Any]:
    """Merge two lists.

    Args:
        old: The list of the object, which is changed. It may be that of the patch.
        new: The list of the patch.
        keys: The fields that distinguish elements; none for a list of scalars.
        merge_elements: Merges two elements, of which either may be `ABSENT`, and returns `ABSENT` to delete.
    """
    names = keys or ("",)
    wanted = list(dict.fromkeys([*_all_values(new, keys), *_all_values(old, keys)]))
    if len(keys) > 1:
        _complete(wanted)
    # A key that no element has is not asked for.
    used = [index for index in range(len(names)) if any(values[index] for values in wanted)]
    used = used or list(range(len(names)))
    used_names = tuple(names[index] for index in used)
    result: list[Any] = []
    forget_lines(old)
    for values in wanted:
        used_values = tuple(values[index] for index in used)
        value = merge_elements(_find(old, used_names, used_values), _find(new, used_names, used_values))
        if value is ABSENT or value is None or value == {}:
            old[:] = _without(old, used_names, used_values)
            continue
        if isinstance(value, dict):
            for name, part in zip(used_names, used_values, strict=True):
                if part:
                    value.setdefault(name, plain(part))
        result = _with(result, value, used_names, used_values)
    return _appended(result, old, used_names) if wanted else old


def _all_values(items: list[Any], keys: tuple[str, ...]) -> list[Values]:
    return [tuple(_part(item, key) for key in keys) if keys else (text(item),) for item in items]


def _part(item: Any, key: str) -> str:  # noqa: ANN401 - any YAML value
    return text(item.get(key)) if isinstance(item, dict) else ""


def _complete(wanted: list[Values]) -> None:
    """Give keys that differ only in what one of them lacks the values of both, in place."""
    for index in range(len(wanted)):
        values = wanted[index]
        for other in range(len(wanted)):
            both = _united(values, wanted[other])
            if both is not None:
                wanted[index] = wanted[other] = both


def _united(one: Values, other: Values) -> Values | None:
    if not any(a == b for a, b in zip(one, other, strict=True)):
        return None
    if any(a and b and a != b for a, b in zip(one, other, strict=True)):
        return None
    return tuple(a or b for a, b in zip(one, other, strict=True))


def _find(items: list[Any], names: Sequence[str], values: Values) -> Any:  # noqa: ANN401 - any YAML value
    pairs = list(zip(names, values, strict=True))
    wanted = [(name, value) for name, value in pairs if value] or pairs
    for item in items:
        if isinstance(item, dict):
            if names[0] and all(name in item and text(item[name]) == value for name, value in wanted):
                return item
        elif not names[0] and text(item) == values[0]:
            return item
    return ABSENT


def _matches(item: Any, names: Sequence[str], values: Sequence[str]) -> bool:  # noqa: ANN401 - any YAML value
    """Return whether an element has those keys. An empty value takes any, and a name without a value is not asked."""
    if not names[0]:
        return text(item) == values[0]
    return isinstance(item, dict) and all(
        name in item and (not value or text(item[name]) == value)
        for name, value in zip(names, values, strict=False)
    )


def _without(items: list[Any], names: Sequence[str], values: Sequence[str]) -> list[Any]:
    return [item for item in _solid(items) if values and not _matches(item, names, values)]


def _with(items: list[Any], element: Any, names: Sequence[str], values: Sequence[str]) -> list[Any]:  # noqa: ANN401
    found, result = False, []
    for item in _solid(items):
        if values and _matches(item, names, values):
            found = True
            result.append(element)
        elif values:
            result.append(item)
    return result if found else [*result, element]


def _appended(result: list[Any], items: list[Any], names: Sequence[str]) -> list[Any]:
    """Put the elements of the object over what was made of them, and those without a key at the end.

    An element without any key drops everything before it, as in kustomize.
    """
    for item in items:
        if not names[0]:
            result = _with(result, item, names, (text(item),))
            continue
        values = []
        for name in names:
            if isinstance(item, dict) and item.get(name) is not None:
                values.append(text(item[name]))
            else:
                result = [*result, item]
        if len(names) > 1:
            # Of several keys one may be missing here; then the others decide, and the element moves to the end.
            result = _without(result, names, values)
        result = _with(result, item, names, values)
    return result


def _solid(items: list[Any]) -> list[Any]:
    return [item for item in items if item is not None and item != {}]
