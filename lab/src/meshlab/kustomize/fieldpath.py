"""Field paths of replacements and variables: `spec.hosts.*`, `containers.[name=app].image`, `data.[jwks.json]`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshlab.kustomize.places import Place, root
from meshlab.kustomize.yaml_values import plain, text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find", "look_up", "split"]


class _NoWayError(Exception):
    """A path leads through a value of another shape."""


def split(path: str) -> list[str]:
    r"""Return the parts of a path. A dot within brackets, or after a backslash, belongs to the part."""
    pieces = [piece.replace("\0", ".") for piece in path.replace("\\.", "\0").split(".")]
    if len(pieces) > 1 and not pieces[0]:
        del pieces[0]
    parts: list[str] = []
    while pieces:
        part = pieces.pop(0)
        if part.startswith("[") and not part.endswith("]"):
            while pieces and not part.endswith("]"):
                part = f"{part}.{pieces.pop(0)}"
            part = part if "=" in part else part.strip("[]")
        parts.append(part)
    return parts


def look_up(body: dict[str, Any], parts: list[str]) -> Any:  # noqa: ANN401 - any YAML value
    """Return the value that a path leads to, or `None` where there is none.

    An element that is chosen by a field is the first of which the field has exactly that value.
    """
    value: Any = body
    for part in (stripped for stripped in map(str.strip, parts) if stripped):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list):
            value = _element(value, part)
        else:
            return None
    return value


def _element(items: list[Any], part: str) -> Any:  # noqa: ANN401 - any YAML value
    if part == "-":
        return items[-1] if items else None
    if part.isdigit():
        return items[int(part)] if int(part) < len(items) else None
    name, equals, wanted = part[1:-1].partition("=")
    if not (equals and _is_choice(part)):
        return None
    return next((item for item in items if _field_text(item, name) == wanted), None)


def find(body: dict[str, Any], path: str, make: type | None) -> list[Place]:
    """Return every place in an object that a path leads to.

    An element that is chosen by a field is any of which the field contains what the pattern says: kustomize takes the
    part behind the equals sign as a regular expression that may match anywhere.

    Args:
        body: The object.
        path: The field path.
        make: The type of the value that is going to stand there, where missing fields are made; else `None`.
    """
    parts = split(path)
    try:
        return list(_walk(root(body), parts, make))
    except _NoWayError:
        return []


def _walk(place: Place, parts: list[str], make: type | None) -> Iterator[Place]:
    if not parts:
        yield place
        return
    part, rest, value = parts[0], parts[1:], place.value
    if part.isdigit():
        yield from _walk_index(value, int(part), rest, make)
    elif _is_choice(part):
        yield from _walk_choice(value, part, rest, make)
    elif part == "*":
        for index in range(len(_listed(value))):
            yield from _walk(Place(value, index), rest, make)
    elif isinstance(value, dict):
        missing = part not in value
        if missing and make is None:
            return
        if missing or (value[part] is None and make is not None and rest):
            value[part] = _blank(rest, make)
        yield from _walk(Place(value, part, missing), rest, make)
    elif value is not None:
        raise _NoWayError


def _walk_index(value: object, index: int, rest: list[str], make: type | None) -> Iterator[Place]:
    items = _listed(value)
    created = index == len(items) and make is not None
    if created:
        items.append(_blank(rest, make))
    if index >= len(items):
        raise _NoWayError
    yield from _walk(Place(items, index, created), rest, make)


def _walk_choice(value: object, part: str, rest: list[str], make: type | None) -> Iterator[Place]:
    items = _listed(value)
    name, equals, pattern = part[1:-1].partition("=")
    if not equals:
        raise _NoWayError
    found = [index for index, item in enumerate(items) if _contains(_field_text(item, name), pattern)]
    if not found and make is not None:
        items.append({name: plain(pattern)} if name else plain(pattern))
        found = [len(items) - 1]
    for index in found:
        yield from _walk(Place(items, index), rest if name else [], make)


def _contains(found: str | None, pattern: str) -> bool:
    try:
        return found is not None and re.search(pattern, found) is not None
    except re.error:
        raise _NoWayError from None


def _field_text(item: object, name: str) -> str | None:
    if not name:
        return None if isinstance(item, dict | list) else text(item)
    if not isinstance(item, dict) or name not in item or isinstance(item[name], dict | list):
        return None
    return text(item[name])


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _NoWayError
    return value


def _is_choice(part: str) -> bool:
    return part.startswith("[") and part.endswith("]")


def _blank(rest: list[str], make: type | None) -> object:
    if not rest:
        return make() if make in (dict, list) else ""
    return [] if rest[0].isdigit() or _is_choice(rest[0]) else {}
