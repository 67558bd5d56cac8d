"""Access to the parts of a JSON answer, without assumptions about its shape.

An answer can come from a recording that was edited by hand, or from a newer API. So each function returns an empty
value where the path does not lead to a value of the wanted type.
"""

from __future__ import annotations

from typing import Any


def value(data: Any, *path: str | int) -> Any:  # noqa: ANN401 - JSON
    """Return what lies at a path of keys and indices, or None."""
    for step in path:
        if isinstance(step, int):
            inside = isinstance(data, list) and -len(data) <= step < len(data)
        else:
            inside = isinstance(data, dict) and step in data
        if not inside:
            return None
        data = data[step]
    return data


def text(data: Any, *path: str | int) -> str:  # noqa: ANN401 - JSON
    """Return the string or number at a path as a string, or ""."""
    found = value(data, *path)
    if isinstance(found, bool):
        return str(found).lower()
    return str(found) if isinstance(found, (str, int, float)) else ""


def flag(data: Any, *path: str | int) -> bool:  # noqa: ANN401 - JSON
    """Return whether a path leads to true; bq and annotations write it as a string."""
    return text(data, *path).lower() == "true"


def items(data: Any, *path: str | int) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return the objects of the list at a path, or []."""
    found = value(data, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def strings(data: Any, *path: str | int) -> list[str]:  # noqa: ANN401 - JSON
    """Return the strings of the list at a path, or []."""
    found = value(data, *path)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def table(data: Any, *path: str | int) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return the object at a path with its values as strings, or {}."""
    found = value(data, *path)
    return {str(key): text(found, key) for key in found} if isinstance(found, dict) else {}


def seconds(data: Any, *path: str | int) -> float | None:  # noqa: ANN401 - JSON
    """Return the duration at a path, such as "600s", in seconds; None where there is none.

    Source: https://protobuf.dev/reference/protobuf/google.protobuf/#duration
    """
    written = text(data, *path)
    try:
        return float(written.removesuffix("s")) if written.endswith("s") else None
    except ValueError:
        return None
