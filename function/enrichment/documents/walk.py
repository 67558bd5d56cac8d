"""Walking down a parsed JSON document."""

from collections.abc import Iterable, Sequence


class NoObjectError(ValueError):
    """Something on the way to a value is neither an object nor null, so there is nothing in it to find."""


def find(document: object, path: Sequence[str]) -> object:
    """Find what stands under a path of keys.

    Args:
        document: Where to start.
        path: The keys to follow; none gives the document.

    Returns:
        The value, or None where it is missing or null, or a part of the way to it is.

    Raises:
        NoObjectError: a part of the way is a string, a number, a boolean or a list.
    """
    for key in path:
        if isinstance(document, dict):
            document = document.get(key)
        elif document is None:
            return None
        else:
            raise NoObjectError
    return document


def value_at(document: object, path: Iterable[str]) -> object:
    """Return what stands under a path of keys; None for nothing, also where a part of the way is no object.

    Args:
        document: Where to start.
        path: The keys to follow; none gives the document.
    """
    for key in path:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document
