"""Paths as Envoy compares them, as far as that helps to choose which ones to send.

Istio's default is `normalization: BASE` (RFC 3986, section 6.2.2): unreserved characters are decoded and dot segments
removed. What Envoy really makes of a path is seen in its verdict.
"""

from __future__ import annotations

import re

__all__ = ["disguised", "normalized"]

_UNRESERVED = re.compile(r"%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aA]|5[fF]|6[1-9a-fA-F]|7[0-9aA]|7[eE])")


def normalized(path: str) -> str:
    """Return a path without encoded unreserved characters and dot segments.

    A dot segment may have parameters (`..;x`). One that is encoded and has parameters stays as it is then.
    """
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        plain = _UNRESERVED.sub(lambda found: chr(int(found[1], 16)), segment)
        up = plain == ".." or segment.startswith("..;")
        here = plain == "." or segment.startswith(".;")
        if up and kept:
            kept.pop()
        if not (up or here):
            kept.append(plain)
        elif number == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def disguised(path: str) -> str:
    """Return a path whose dot segments are encoded, so that they stay; the same where it has none."""
    return "/".join(
        segment.replace(".", "%2e") if segment.startswith((".;", "..;")) else segment
        for segment in path.split("/")
    )
