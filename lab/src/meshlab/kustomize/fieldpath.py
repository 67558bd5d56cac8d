"""Field paths of replacements: `spec.rules.0.hosts.*`, `containers.[name=app].image`, `data.[jwks.json]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Place", "find", "split"]

_PART = re.compile(r"\[[^\]]*\]|(?:\\.|[^.\[\\])+")


@dataclass(frozen=True)
class Place:
    """One place in an object: the mapping or list, and the key or index in it."""

    container: Any
    key: Any

    @property
    def value(self) -> Any:  # noqa: ANN401 - any YAML value may stand there
        """What stands there, `None` where nothing does yet."""
        if isinstance(self.container, dict):
            return self.container.get(self.key)
        return self.container[self.key]

    def put(self, value: object) -> None:
        """Write a value there."""
        self.container[self.key] = value


def split(path: str) -> list[str]:
    """The parts of a path. A dot within brackets, or after a backslash, belongs to the part."""
    return [part.replace("\\.", ".") for part in _PART.findall(path)]


def find(body: dict[str, Any], path: str, *, create: bool = False) -> list[Place]:
    """Every place in an object that a path leads to.

    Args:
        body: The object.
        path: The field path.
        create: Make the mappings on the way, and find a last key that is not there yet.
    """
    places = [Place({"": body}, "")]
    for part in split(path):
        places = [below for place in places for below in _step(place, part, create=create)]
    return places


def _step(place: Place, part: str, *, create: bool) -> Iterator[Place]:
    value = place.value
    if value is None and create and not part.isdigit() and "=" not in part:
        value = {}
        place.put(value)
    if part == "*":
        keys = range(len(value)) if isinstance(value, list) else ()
        yield from (Place(value, key) for key in keys)
    elif part.startswith("[") and "=" in part:
        name, _, wanted = part[1:-1].partition("=")
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if (item == wanted) if not name else isinstance(item, dict) and str(item.get(name)) == wanted:
                yield Place(value, index)
    elif isinstance(value, list):
        if part.isdigit() and int(part) < len(value):
            yield Place(value, int(part))
    elif isinstance(value, dict):
        key = part[1:-1] if part.startswith("[") else part
        if key in value or create:
            yield Place(value, key)
