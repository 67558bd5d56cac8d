"""Comparison of the matches of a VirtualService, as written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["conditions", "covers"]

_BY_NAME = ("headers", "withoutHeaders", "queryParams", "sourceLabels")


def conditions(match: Mapping[str, Any]) -> dict[str, Any]:
    """Return a match as written, without its names."""
    return {key: value for key, value in match.items() if key not in ("name", "statPrefix")}


def covers(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    """Return whether a match takes every request that a later one is for.

    Both are as written, without names. A match without conditions takes everything, and is a rule's own affair: it does
    not count here. A later match may ask for more. Paths are compared by prefixes and as a whole, not by expressions.

    Args:
        earlier: The match that is looked at first.
        later: The match after it.
    """
    if not earlier:
        return False
    if earlier == later:
        return True
    if bool(earlier.get("ignoreUriCase")) != bool(later.get("ignoreUriCase")):
        return False
    return all(
        _implies(later.get(key), value, key) for key, value in earlier.items() if key != "ignoreUriCase"
    )


def _implies(narrow: object, wide: object, key: str) -> bool:
    """Return whether what one condition takes is taken by another one of the same kind."""
    if narrow == wide:
        return True
    if not (isinstance(wide, dict) and isinstance(narrow, dict)):
        return False
    if key in _BY_NAME:
        return wide.keys() <= narrow.keys() and all(narrow[name] == value for name, value in wide.items())
    if key != "uri" or len(wide) != 1 or len(narrow) != 1:
        return False
    prefix = wide.get("prefix")
    texts = [narrow.get("prefix"), narrow.get("exact")]
    # Every path begins with a slash, whatever an expression says of the rest.
    return isinstance(prefix, str) and (
        prefix == "/" or any(isinstance(text, str) and text.startswith(prefix) for text in texts)
    )
