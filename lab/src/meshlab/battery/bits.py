"""Sets of small numbers as the bits of one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["numbers_in"]


def numbers_in(bits: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, the smallest first."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
