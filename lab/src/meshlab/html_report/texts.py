"""Texts as a page may hold them, and JSON that cannot end the element that it stands in.

Manifests, case files, headers and bodies come from elsewhere: none of their characters may hide another one, and none
of their tokens may be read in a report that is passed on.
"""

from __future__ import annotations

import json
import re

from meshlab.visible_text import visible

__all__ = ["embedded_json", "shortened"]

# `<` could begin `</script>` or `<!--`, and `&` an entity in a document that is read as XML.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\x7f": "\\u007f"}


def shortened(text: str, length: int) -> str:
    """Return a text of at most this many characters; the middle of a longer one is left out.

    Names of one mesh often begin and end alike, so that both ends are kept.

    Args:
        text: The text.
        length: The largest number of characters, at least 3.
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def embedded_json(document: object) -> str:
    """Return a JSON document for a `<script>` element, in ASCII, in which no character has a meaning in HTML.

    Args:
        document: What `json.dumps` takes. Its texts are made visible ones.
    """
    text = json.dumps(_shown(document), separators=(",", ":"))
    return re.sub("[<>&\x7f]", lambda found: _ESCAPES[found[0]], text)


def _shown(value: object) -> object:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list | tuple) else value
