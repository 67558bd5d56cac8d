"""Values that a caller gives: whether they are numbers, and how they are shown in an error."""

import math
from typing import TypeGuard

_MAX_SHOWN_CHARS = 100


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether this is an int or a float, of a size that a float holds, and neither a bool nor NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:
        return False


def shown(value: object) -> str:
    """Return how an error shows a value that is wrong: a plain one on one short line, any other by its type."""
    if value is None or isinstance(value, str | int | float):
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 - an int with more digits than Python writes, or a subclass of the caller's
            text = ""
        if 0 < len(text) <= _MAX_SHOWN_CHARS:
            return text
    return f"of type {type(value).__name__}"
