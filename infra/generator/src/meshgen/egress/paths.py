"""Path patterns of an AuthorizationPolicy: which ones are taken, what they match, and paths that just miss them.

Istio compares the path without its query, after Envoy normalised it. `*` at the end matches any rest, `{*}` one
segment, `{**}` at the end any number of segments.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["matches", "near_misses", "path_problem", "sample"]

# RFC 3986, section 3.3: characters of a segment that need no escape.
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()+,;=:@-]+")
_ONE, _REST = "{*}", "{**}"
_FILLING = "a"


def path_problem(pattern: str) -> str:
    """Return what is wrong with a pattern; empty for nothing."""
    if not pattern.startswith("/"):
        return f"{pattern!r} does not begin with /."
    for character, what in (("?", "query"), ("#", "fragment")):
        if character in pattern:
            return f"{pattern!r}: a policy compares the path alone; remove the {what}."
    if "%" in pattern:
        return f"{pattern!r}: Envoy decodes what it can before the policy sees it; write the characters themselves."
    if pattern == "/":
        return ""
    *segments, last = pattern[1:].split("/")
    templated = _ONE in pattern or _REST in pattern
    for segment in segments:
        if wrong := _segment_problem(pattern, segment, templated=templated):
            return wrong
    if last == "" or last == _REST:
        return ""
    if last == "*" or (last.endswith("*") and _SEGMENT.fullmatch(last[:-1])):
        return f"{pattern!r}: a pattern with {_ONE} ends with {_REST}, not with *." if templated else ""
    return _segment_problem(pattern, last, templated=templated)


def matches(pattern: str, path: str) -> bool:
    """Whether a policy with this pattern takes a path."""
    if _ONE in pattern or _REST in pattern:
        parts = re.split(r"(\{\*\*?\})", pattern)
        expression = "".join({_ONE: "[^/]+", _REST: ".*"}.get(part, re.escape(part)) for part in parts)
        return re.fullmatch(expression, path) is not None
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def sample(pattern: str) -> str:
    """Return a path that a pattern takes."""
    filled = pattern.replace(_REST, _FILLING).replace(_ONE, _FILLING)
    return f"{filled[:-1]}{_FILLING}" if filled.endswith("*") else filled


def near_misses(pattern: str, taken: Iterable[str]) -> list[str]:
    """Return paths that are like those of a pattern, and that none of the taken patterns takes.

    Args:
        pattern: The pattern.
        taken: Every pattern that is allowed.
    """
    path = sample(pattern)
    parent = path.rstrip("/").rpartition("/")[0] or "/"
    candidates = (
        f"{path}-near-miss",
        f"{path.rstrip('/')}/near-miss",
        f"/near-miss{path}",
        parent,
        "/",
        "/near-miss",
    )
    allowed = list(taken)
    return [
        candidate
        for candidate in dict.fromkeys(candidates)
        if not any(matches(other, candidate) for other in allowed)
    ]


def _segment_problem(pattern: str, segment: str, *, templated: bool) -> str:
    if segment == "":
        return f"{pattern!r} has an empty segment (//)."
    if segment.partition(";")[0] in (".", ".."):
        return (
            f"{pattern!r}: Envoy resolves {segment} before the policy sees the path, so this never matches."
        )
    if segment == _REST:
        return f"{pattern!r}: {_REST} stands only at the end."
    if segment == _ONE:
        return ""
    if "*" in segment or "{" in segment or "}" in segment:
        where = f"write {_ONE} for one segment" if not templated else f"{_ONE} is a whole segment"
        return f"{pattern!r}: * stands only at the end; {where}."
    if not _SEGMENT.fullmatch(segment):
        return f"{pattern!r} has a character that no path has: {_first_odd(segment)!r}."
    return ""


def _first_odd(segment: str) -> str:
    return next(one for one in segment if not _SEGMENT.fullmatch(one))
