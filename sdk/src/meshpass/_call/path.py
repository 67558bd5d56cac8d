"""A path template and its values turned into a request target that goes where the template says."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from meshpass._call.url_text import NoTextError, percent_encoded, url_text
from meshpass._errors import InvalidPathValue, InvalidRequest

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# RFC 3986, section 3.3: pchar without percent-encoding, and the slash.
_LITERAL = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
# RFC 3986, sections 3.3 and 3.4, and the characters that URL libraries leave as they are.
_IN_PATH, _IN_QUERY, _ENCODED = r"[!$&-;=@-\[\]^_`a-z{|}~]*", r"[!\"$&-~]*", r"%[0-9A-Fa-f]{2}"
_TARGET = re.compile(
    rf"/(?!/){_IN_PATH}(?:{_ENCODED}{_IN_PATH})*(?:\?{_IN_QUERY}(?:{_ENCODED}{_IN_QUERY})*)?"
)
_DOT_SEGMENT = re.compile(r"(?:\.|%2[Ee]){1,2}")
# Keywords that users of httpx look for, and what this client has in their place.
_OF_HTTPX = {
    "auth": "The token comes from the client's own auth.",
    "cookies": "The client keeps the cookies that its service sets; send others as a header.",
    "follow_redirects": "Redirects are returned and never followed.",
}
# C0, DEL, C1: nothing that names a thing holds them, and they end up in logs.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def fill_path(template: str, values: Mapping[str, object], keywords: Iterable[str] = ()) -> str:
    """Put each value into its place in the template, percent-encoded so that it stays within one segment.

    Args:
        template: A path such as `/profile/{user_id}`, from the service's root.
        values: A `str`, `int`, `date` or `UUID` for each placeholder, and no others.
        keywords: The call's own keywords, to name the one that was meant by a value that has no placeholder.

    Raises:
        InvalidPathValue: a value is empty, `.`, `..` or of another type, or it has control characters or lone
            surrogates.
        InvalidRequest: the template is not a plain path, or values are missing or left over.
    """
    if not isinstance(template, str):
        raise InvalidRequest(f"The path is of type {type(template).__name__}; it must be a str.")
    wanted = _placeholders(template)
    if wanted != values.keys():
        raise _differing(
            template, sorted(wanted - values.keys()), sorted(map(str, values.keys() - wanted)), keywords
        )
    path = _PLACEHOLDER.sub(lambda found: _encode(found[1], values[found[1]]), template)
    if _has_dot_segment(path):
        raise InvalidPathValue(f"The path {template!r} would have a segment '.' or '..' with these values.")
    return path


def check_target(target: str) -> str:
    """Return a path with its query that is encoded already, unchanged.

    Raises:
        InvalidRequest: it is not an origin-form target (RFC 9112, section 3.2.1), it has characters that must be
            encoded, or a segment `.` or `..`.
    """
    if not _TARGET.fullmatch(target):
        raise InvalidRequest(
            "The path or query cannot be sent as it is.",
            hint="It must start with one '/', be percent-encoded and have no fragment.",
        )
    if _has_dot_segment(target.partition("?")[0]):
        raise InvalidRequest("The path has a segment '.' or '..', which may lead to another path.")
    return target


def _has_dot_segment(path: str) -> bool:
    # RFC 3986, section 5.2.4: a dot segment would be removed on the way, together with its neighbour.
    return ("." in path or "%2" in path) and any(
        _DOT_SEGMENT.fullmatch(segment) for segment in path.split("/")
    )


def base_path_problem(path: str) -> str | None:
    """Return why paths cannot be put behind this one, in words that complete "It ..."; None where they can."""
    segments = path.split("/")[1:]
    if "?" in path or "#" in path:
        return "has a query or a fragment"
    if not _LITERAL.fullmatch(path):
        return "has a character that a path cannot hold"
    if any(not segment or _DOT_SEGMENT.fullmatch(segment) for segment in segments):
        return "has a segment that is empty, '.' or '..'"
    return None


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


def _differing(
    template: str, missing: list[str], extra: list[str], keywords: Iterable[str]
) -> InvalidRequest:
    from difflib import get_close_matches

    known = list(keywords)
    hints = []
    for name in extra:
        close = get_close_matches(name, known, 1, 0.6)
        if name in known:
            hints.append(f"This method has no keyword {name}: use `request`.")
        elif close:
            hints.append(f"Did you mean the keyword {close[0]}?")
        elif name in _OF_HTTPX:
            hints.append(_OF_HTTPX[name])
    own = [name for name in missing if name in known]
    if own:
        hints.append(
            f"Give {own[0]} in path_values={{{own[0]!r}: ...}}: the keyword {own[0]} is the call's own."
        )
    wrong = f"has no placeholder {', '.join(extra)}" if extra else ""
    if missing:
        wrong += f"{' and ' if extra else ''}has no value for {', '.join(missing)}"
    return InvalidRequest(f"The path {template!r} {wrong}.", hint=" ".join(hints))


def _encode(name: str, value: object) -> str:
    failure = None
    try:
        text = None if isinstance(value, bool) else url_text(value)
        if text is None:
            raise InvalidPathValue(
                f"The path value {name} is a {type(value).__name__}; it must be a str, an int, a date or a UUID."
            )
        if text in ("", ".", ".."):
            raise InvalidPathValue(
                f"The path value {name} is {text!r}, which cannot be a segment of its own."
            )
        if _CONTROL.search(text):
            raise InvalidPathValue(f"The path value {name} has control characters in it.")
        return percent_encoded(text)
    except NoTextError as exc:
        failure = str(exc)
    raise InvalidPathValue(f"The path value {name} {failure}.")
