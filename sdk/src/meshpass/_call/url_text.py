"""Text of a value in a URL: how numbers, dates and UUIDs are written there, and percent-encoding."""

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    PathValue: TypeAlias = str | int | date | UUID


class NoTextError(Exception):
    """The value has no form in a URL; the message completes "The value ..." and holds nothing of it."""


def url_text(value: object) -> str | None:
    """Return how a str, an int, a date or a UUID is written in a URL; None for a value of another type.

    Raises:
        NoTextError: the number has more digits than Python writes.
    """
    if isinstance(value, str):
        return str.__str__(value)  # the text of a member of an enumeration, and not its name
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError:
            pass
        raise NoTextError("has too many digits")
    # Looked up only here: few calls need them, and their modules take time to load.
    from datetime import date
    from uuid import UUID

    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else None


def percent_encoded(text: str | bytes) -> str:
    """Return the text with everything percent-encoded but RFC 3986's unreserved characters.

    Raises:
        NoTextError: it has lone surrogates in it.
    """
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        pass
    # Raised out of the `except` block: the codec's error holds the whole value.
    raise NoTextError("is not valid Unicode: it has lone surrogates in it")
