"""Text as a terminal or report may show it: no character of it acts, and no token of it can be read.

Manifests, case files, responses and names of files come from elsewhere. All that the bench prints goes through here.
"""

from __future__ import annotations

import json
import re

__all__ = [
    "JWT",
    "in_words",
    "json_text",
    "one_line",
    "shown_value",
    "visible",
    "without_log_commands",
    "without_tokens",
]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# The compact form of a JWS (RFC 7515, section 3.1) or JWE (RFC 7516, section 3.1), or its beginning where a text was
# cut: the header is a JSON object.
JWT = re.compile(r"eyJ[\w-]+\.(?:[\w-]*\.){0,3}[\w-]+")
"""What looks like a token."""
# What the runner of a CI system takes for a command in a log: GitHub's `::name key=value::text` at the begin of a line
# (actions/runner, src/Runner.Common/ActionCommand.cs), and `##[name]`, `##vso[name]` or `##teamcity[name]` anywhere.
_LOG_COMMAND = re.compile(r"^[^\S\n]*:(?=:[A-Za-z][^\n]*?::)|#(?=#\w*\[)", re.MULTILINE)
# The query parameter in which Istio looks for a token unless a rule names others. The value may stand in JSON.
_TOKEN_PARAMETER = re.compile(r"""([?&]access_token=)[^&#\s"'<>\\]+""", re.IGNORECASE)


def visible(text: str, *, keep_tokens: bool = False) -> str:
    """Return a text without tokens, and with a replacement character for each control, format or unknown character.

    Line ends and tabs stay. Other white space becomes a space. What looks like a token becomes `<token>`.

    Args:
        text: Any number of lines.
        keep_tokens: Whether tokens stay, for a configuration that a proxy takes.
    """
    seen = text if text.isprintable() else "".join(map(_visible_character, text))
    return seen if keep_tokens else without_tokens(seen)


def without_log_commands(text: str) -> str:
    """Return a text in which no line is a command to the runner of a CI system that reads the log.

    A space parts what would begin the command. The text must be whole lines, as they are printed: where a long line is
    wrapped, any of its words may begin the next one.

    Args:
        text: Any number of lines.
    """
    return _LOG_COMMAND.sub(r"\g<0> ", text)


def one_line(text: str, limit: int | None = None) -> str:
    """Return a visible text on one line, cut where it is long.

    Args:
        text: Any number of lines.
        limit: The largest number of characters; without it, nothing is cut.
    """
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def json_text(document: object, *, sort_keys: bool = False, keep_tokens: bool = False) -> str:
    """Return a JSON document without tokens, in which every character outside of printable ASCII is escaped.

    Args:
        document: What `json.dumps` takes.
        sort_keys: Whether keys are sorted.
        keep_tokens: Whether tokens stay.
    """
    # JSON allows DEL in a string, and `json.dumps` leaves it.
    text = json.dumps(document, indent=2, sort_keys=sort_keys).replace("\x7f", "\\u007f")
    text = text.replace("##", "#\\u0023")  # the same text for a reader of JSON, and no command in a log
    return text if keep_tokens else without_tokens(text)


def in_words(value: object) -> str:
    """Return a value of YAML or JSON for a sentence: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def shown_value(value: object) -> str:
    """Return a value of YAML or JSON for a sentence: a text in quotes, anything else as JSON."""
    return repr(value) if isinstance(value, str) else in_words(value)


def _visible_character(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return " " if character.isspace() else _REPLACEMENT


def without_tokens(text: str) -> str:
    """Return a text in which `<token>` stands for each JWT, and for the value of the parameter `access_token`."""
    return _TOKEN_PARAMETER.sub(r"\1<token>", JWT.sub("<token>", text))
