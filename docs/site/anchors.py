"""Anchors of headings, as GitHub makes them, so that one link works on both."""

from __future__ import annotations

import re
from html import unescape

__all__ = ["github_slug"]


def github_slug(heading: str, separator: str) -> str:
    """Return the anchor of a heading: small letters, punctuation dropped, each space a separator."""
    return re.sub(r"[^\w\- ]", "", unescape(heading).lower().strip()).replace(" ", separator)
