"""Checks of numbers that a caller passes, and texts of wrong values for errors."""

import math
from typing import TypeGuard

_MAX_SHOWN_CHARS = 100


def is_number(value: object) -> TypeGuard[int | float]:
    """Report whether this is an int or a float that fits a float, and neither a bool nor NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:
        return False


def shown(value: object) -> str:
    """Return the text of a wrong value for an error: a short plain value itself, any other value's type."""
    if value is None or isinstance(value, str | int | float):
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 - an int with too many digits for `repr`, or a subclass with its own `repr`
            text = ""
        if 0 < len(text) <= _MAX_SHOWN_CHARS:
            return text
    return f"of type {type(value).__name__}"


def is_size(value: object) -> bool:
    """Report whether this is a number of bytes above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def type_problems(**values: object) -> list[str]:
    """Return a sentence for each of these arguments that is neither a str nor None."""
    return [
        f"{name} is of type {type(value).__name__}; it must be a str."
        for name, value in values.items()
        if not isinstance(value, str | None)
    ]
