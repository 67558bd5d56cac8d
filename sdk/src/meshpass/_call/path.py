"""A path template and its values turned into a request target that goes where the template says."""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

from meshpass._errors import InvalidPathValue, InvalidRequest

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# RFC 3986, section 3.3: pchar without percent-encoding, and the slash.
_LITERAL = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_DOT_SEGMENT = re.compile(r"(?:\.|%2[Ee]){1,2}")
# C0, DEL, C1: nothing that names a thing holds them, and they end up in somebody's log.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def fill_path(template: str, values: Mapping[str, object]) -> str:
    """Put each value into its place in the template, percent-encoded so that it stays within one segment.

    Args:
        template: A path such as `/profile/{user_id}`, from the service's root.
        values: A `str` or `int` for each placeholder, and no others.

    Raises:
        InvalidPathValue: a value is empty, `.`, `..` or of another type, or it has control characters or lone
            surrogates.
        InvalidRequest: the template is not a plain path, or values are missing or left over.
    """
    wanted = _placeholders(template)
    if wanted != values.keys():
        missing, extra = sorted(wanted - values.keys()), sorted(values.keys() - wanted)
        raise InvalidRequest(
            f"The path {template!r} and its values differ: missing {missing}, left over {extra}."
        )
    path = _PLACEHOLDER.sub(lambda found: _encode(found[1], values[found[1]]), template)
    # RFC 3986, section 5.2.4: a dot segment would be removed on the way, together with its neighbour.
    if ("." in path or "%2" in path) and any(_DOT_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        raise InvalidPathValue(f"The path {template!r} would have a segment '.' or '..' with these values.")
    return path


# A program has a handful of templates and uses them again and again.
@lru_cache(maxsize=256)
def _placeholders(template: str) -> frozenset[str]:
    if "://" in template or template.startswith("//"):
        raise InvalidRequest(
            "The path names another host.", hint="Write the path alone; a client calls its own service only."
        )
    if not template.startswith("/"):
        raise InvalidRequest(f"The path {template!r} does not start with '/'.")
    if "?" in template or "#" in template:
        raise InvalidRequest(
            f"The path {template!r} has a query or fragment.", hint="Pass the query as `params`."
        )
    if "//" in template or not _LITERAL.fullmatch(_PLACEHOLDER.sub("", template)):
        raise InvalidRequest(
            f"The path {template!r} has an empty segment or a character that a path cannot hold.",
            hint="Put what varies into a placeholder, such as {user_id}: its value is encoded.",
        )
    return frozenset(_PLACEHOLDER.findall(template))


def _encode(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidPathValue(
            f"The path value {name} is a {type(value).__name__}; it must be a str or an int."
        )
    text = str(value)
    if text in ("", ".", ".."):
        raise InvalidPathValue(f"The path value {name} is {text!r}, which cannot be a segment of its own.")
    if _CONTROL.search(text):
        raise InvalidPathValue(f"The path value {name} has control characters in it.")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        pass
    # Raised out of the `except` block: the codec's error holds the whole value.
    raise InvalidPathValue(f"The path value {name} is not valid Unicode: it has lone surrogates in it.")
