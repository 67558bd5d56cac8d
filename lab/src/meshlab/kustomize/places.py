"""Places in an object: a mapping or list, and the key or index in it."""

from __future__ import annotations

from typing import Any

from meshlab.quick_dataclass import dataclass

__all__ = ["Place", "root"]


@dataclass(frozen=True)
class Place:
    """One place in an object.

    Attributes:
        container: The mapping or list.
        key: The key or index in it.
        created: Whether nothing stood there before.
    """

    container: Any
    key: Any
    created: bool = False

    @property
    def value(self) -> Any:  # noqa: ANN401 - any YAML value may stand there
        """Return what stands there, `None` where nothing does yet."""
        if isinstance(self.container, dict):
            return self.container.get(self.key)
        return self.container[self.key]

    def put(self, value: object) -> None:
        """Write a value there."""
        self.container[self.key] = value


def root(body: dict[str, Any]) -> Place:
    """Return the place of a whole object."""
    return Place({"": body}, "")
