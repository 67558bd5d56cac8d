"""Comparison of the matches of a VirtualService, as written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["conditions", "covers"]


def conditions(match: Mapping[str, Any]) -> dict[str, Any]:
    """Return a match as written, without its names."""
    return {key: value for key, value in match.items() if key not in ("name", "statPrefix")}


def covers(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    """Return whether a match takes every request that a later one is for.

    Both are as written, without names. A match without conditions takes everything, and is a rule's own affair: it does
    not count here. Beside equal conditions only prefixes of the path are compared, as Istio does.

    Args:
        earlier: The match that is looked at first.
        later: The match after it.
    """
    if not earlier:
        return False
    if earlier == later:
        return True
    wide, narrow = earlier.get("uri"), later.get("uri")
    if not (isinstance(wide, dict) and isinstance(narrow, dict)) or len(wide) != 1 or len(narrow) != 1:
        return False
    prefix, other = wide.get("prefix"), narrow.get("prefix")
    if not (isinstance(prefix, str) and isinstance(other, str) and other.startswith(prefix)):
        return False
    if earlier.get("ignoreUriCase") != later.get("ignoreUriCase"):
        return False
    return all(later.get(key) == value for key, value in earlier.items() if key != "uri")
