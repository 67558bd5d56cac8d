"""Text as a terminal may show it: nothing in it moves the cursor, changes colours or hides what follows.

Manifests, case files, responses and names of files come from elsewhere. All that the bench prints goes through here.
"""

from __future__ import annotations

import json
import re

__all__ = ["JWT", "json_text", "one_line", "visible", "without_tokens"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# The compact form of a JWT (RFC 7515, section 3.1): its header is a JSON object.
JWT = re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]*")
"""What looks like a token."""
# The query parameter in which Istio looks for a token unless a rule names others.
_TOKEN_PARAMETER = re.compile(r"([?&]access_token=)[^&#\s]*", re.IGNORECASE)


def visible(text: str) -> str:
    """Return a text with a replacement character for each control, format or unknown character.

    Line ends and tabs stay. Other white space becomes a space.

    Args:
        text: Any number of lines.
    """
    return text if text.isprintable() else "".join(map(_visible_character, text))


def one_line(text: str, limit: int | None = None) -> str:
    """Return a visible text on one line, cut where it is long.

    Args:
        text: Any number of lines.
        limit: The largest number of characters; without it, nothing is cut.
    """
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def json_text(document: object, *, sort_keys: bool = False) -> str:
    """Return a JSON document in which every character outside of printable ASCII is escaped.

    Args:
        document: What `json.dumps` takes.
        sort_keys: Whether keys are sorted.
    """
    # JSON allows DEL in a string, and `json.dumps` leaves it.
    return json.dumps(document, indent=2, sort_keys=sort_keys).replace("\x7f", "\\u007f")


def _visible_character(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return " " if character.isspace() else _REPLACEMENT


def without_tokens(text: str) -> str:
    """Return a text in which `<token>` stands for each JWT, and for the value of the parameter `access_token`."""
    return _TOKEN_PARAMETER.sub(r"\1<token>", JWT.sub("<token>", text))
