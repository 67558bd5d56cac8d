"""Results for the last few objects, found by what they are and not by what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """What was made of the last objects. A proxy that goes back to a configuration needs none of it made again.

    Comparing two configurations takes as long as making something of one, so an object is found by identity alone. It
    must not be changed as long as it is used here.

    Args:
        make: Makes the result of an object.
        size: How many objects are kept, with their results.
    """

    def __init__(self, make: Callable[[K], V], size: int = 2) -> None:
        self._make = make
        self._size = size
        self._kept: list[tuple[K, V]] = []

    def of(self, made_of: K) -> V:
        """Return the result of an object."""
        found = next((each for each in self._kept if each[0] is made_of), None)
        if found is None:
            found = (made_of, self._make(made_of))
        others = [each for each in self._kept if each is not found]
        self._kept = [found, *others][: self._size]
        return found[1]
