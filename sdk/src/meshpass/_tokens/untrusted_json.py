"""Reading of JSON from servers and files, without exceptions for any content."""

import json
import math
from typing import Any


def json_object(data: bytes | str) -> dict[str, Any]:
    """Return a JSON object; an empty one for any other content, so that callers find each field missing."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def seconds(value: object) -> float | None:
    """Return a number of seconds from a number or text; None for any other value, infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < _LATEST_S else None


# The year 9999, the last that a `datetime` can hold.
_LATEST_S = 253_402_300_800.0
