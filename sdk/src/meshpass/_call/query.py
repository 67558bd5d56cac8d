"""Query of a request: its parameters as text, percent-encoded."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from meshpass._call.url_text import NoTextError, percent_encoded, url_text
from meshpass._errors import InvalidRequest

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal
    from uuid import UUID

    Param: TypeAlias = str | int | float | bool | date | Decimal | UUID | None
    Params: TypeAlias = Mapping[str, Param | Sequence[Param]] | Sequence[tuple[str, Param | Sequence[Param]]]


def encode_query(params: "Params") -> str:
    """Return the parameters as a query, without the question mark.

    True and False become `true` and `false` and None an empty value, as in httpx. A sequence makes one pair for each
    item.

    Raises:
        InvalidRequest: a name or a value has no form in a query.
    """
    pairs: list[str] = []
    for name, value in _items(params):
        if not isinstance(name, str):
            raise InvalidRequest(f"A name in `params` is of type {type(name).__name__}; it must be a str.")
        values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
        failure = None
        try:
            key = percent_encoded(name)
            pairs += [f"{key}={percent_encoded(_text(each))}" for each in values]
        except NoTextError as exc:
            failure = f"The value of {name[:100]!r} in `params` {exc}."
        if failure is not None:
            raise InvalidRequest(failure)
    return "&".join(pairs)


def _items(params: "Params") -> Iterable[tuple[object, object]]:
    if isinstance(params, Mapping):
        return params.items()
    is_list = isinstance(params, Sequence) and not isinstance(params, str | bytes)
    if not is_list or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in params):
        raise InvalidRequest("`params` must be a mapping of names to values, or a list of pairs.")
    return params


def _text(value: object) -> str | bytes:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = url_text(value)
    if text is not None:
        return text
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return float.__repr__(value)
    from decimal import Decimal

    if isinstance(value, Decimal):
        return str(value)
    raise NoTextError(
        f"is of type {type(value).__name__}; it must be a str, a number, a bool, a date, a UUID or None"
    )
