"""What the declared fields of an event may hold."""

import math
import re
from collections.abc import Callable

from enrichment.documents.instant import parse_rfc3339
from enrichment.settings.model import Field, FieldType

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

# Control characters have no place in a name: they hide in logs, and break paths and insertIds.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FieldValueError(ValueError):
    """A value is not what its field was declared to hold; the message says what it must be and quotes nothing."""


def checked(field: Field, value: object) -> object:
    """Check a value that is there.

    Args:
        field: What was declared.
        value: What the event holds, not null.

    Returns:
        The value; for a timestamp the `datetime` in UTC.

    Raises:
        FieldValueError: it is not of the declared type, or outside its bounds.
    """
    return _CHECKS[field.type](field, value)


def is_name(value: object, max_length: int) -> bool:
    """Whether a value is a string of 1 to `max_length` characters, none of them a control character."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= max_length
        and (value.isprintable() or _CONTROL.search(value) is None)  # the first is cheap, and mostly so
    )


def _string(field: Field, value: object) -> object:
    if not is_name(value, field.max_length):
        raise FieldValueError(
            f"must be a string of 1 to {field.max_length} characters, none of them a control character"
        )
    return value


def _integer(_: Field, value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool) or not INT64_MIN <= value <= INT64_MAX:
        raise FieldValueError("must be a whole number of 64 bits, written without a fraction")
    return value


def _number(_: Field, value: object) -> object:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise FieldValueError("must be a number")
    return value


def _boolean(_: Field, value: object) -> object:
    if not isinstance(value, bool):
        raise FieldValueError("must be true or false")
    return value


def _timestamp(_: Field, value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_rfc3339(value)
        except ValueError:
            pass
    raise FieldValueError("must be a time of RFC 3339 with an offset, in the years 1 to 9999")


def _json(_: Field, value: object) -> object:
    return value


_CHECKS: dict[FieldType, Callable[[Field, object], object]] = {
    FieldType.STRING: _string,
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.TIMESTAMP: _timestamp,
    FieldType.JSON: _json,
}
