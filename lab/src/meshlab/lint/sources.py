"""Texts of the files that findings are in, for the comments in them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["text_of"]


def text_of(source: str) -> str | None:
    """Return the text of a file; `None` where it is none, such as standard input, or cannot be read."""
    try:
        return Path(source).read_text("utf-8-sig")
    except (OSError, ValueError):
        return None
