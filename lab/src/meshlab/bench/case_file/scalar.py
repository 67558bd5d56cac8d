"""Texts as scalars of a case file, for programs that write one."""

from __future__ import annotations

import json
import re

from meshlab.bench.case_file.nodes import compose

__all__ = ["scalar"]


def scalar(text: str) -> str:
    """Return a text as a YAML scalar, in quotes only where it needs them."""
    if (
        text.isprintable()
        and re.search(r"^[A-Za-z0-9/]", text)
        and not re.search(r"[\[\]{},\x00-\x1f]|: |:$| #", text)
    ):
        root, problems = compose(f"key: {text}", "")
        if root is not None and not problems:
            value = root.by_key().get("key")
            if value is not None and value.is_text and value.text() == text:
                return text
    return "".join(map(_escaped, json.dumps(text, ensure_ascii=False)))


def _escaped(character: str) -> str:
    """Return a character as it may stand between a YAML scalar's double quotes."""
    return character if character.isprintable() else f"\\U{ord(character):08x}"
