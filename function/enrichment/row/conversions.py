"""Conversions to numbers and times, and what every conversion of a value for a column gives.

What each type of column takes stands in `column_values`.
"""

import decimal
import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import TypeAlias

from enrichment.documents.instant import (
    DATE,
    DATETIME,
    TIME,
    UNIT_NAMES,
    civil,
    from_unix,
    parse_timestamp,
    rfc3339,
)
from enrichment.event.field_values import INT64_MAX, INT64_MIN
from enrichment.settings.model import ColumnOptions

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json]"

Conversion: TypeAlias = Callable[[object, ColumnOptions], Json]
"""Turns a value that is not null into what insertAll takes for one type of column; ColumnValueError where none does."""


class ColumnValueError(ValueError):
    """A value does not fit its column. The message says what it must be, and quotes no value."""


_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?", re.ASCII)
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}


def integer(value: object, _: ColumnOptions) -> Json:
    """Convert to INTEGER."""
    match value:
        case bool():
            number = None
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case decimal.Decimal() if value == value.to_integral_value(context=_EXACT):
            number = int(value)
        case str() if _INTEGER.fullmatch(value):
            number = int(value)
        case _:
            number = None
    if number is None or not INT64_MIN <= number <= INT64_MAX:
        raise ColumnValueError("must be a whole number of 64 bits")
    return str(number)


def floating(value: object, _: ColumnOptions) -> Json:
    """Convert to FLOAT."""
    if isinstance(value, str):
        if value.lower() in _NOT_FINITE:
            return value
        value = float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ColumnValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:  # an integer that to_number() or sum() gave
        number = math.inf
    if not math.isfinite(number):
        raise ColumnValueError("must be a number")
    return number


_OF_DIGITS = (str, int, float, decimal.Decimal)
_EXACT = decimal.Context(prec=1_000, rounding=decimal.ROUND_HALF_UP)  # more digits than _NUMBER lets through


def decimals(scale: int, lowest: int, highest: int, about: str) -> Conversion:
    """Return the conversion to a number that counts units of its last digit.

    Args:
        scale: Its digits after the point.
        lowest: The lowest number of units.
        highest: The highest.
        about: The same in words.
    """

    def convert(value: object, options: ColumnOptions) -> Json:
        text = str(value) if isinstance(value, str | decimal.Decimal) else repr(value)
        if isinstance(value, bool) or not isinstance(value, _OF_DIGITS) or not _NUMBER.fullmatch(text):
            raise ColumnValueError("must be a number")
        units = decimal.Decimal(text).scaleb(scale, _EXACT)
        whole = units.to_integral_value(context=_EXACT)
        if not options.rounds and whole != units:
            raise ColumnValueError(
                f"has more than the {scale} digits after the point that the type holds: set round = true to round it"
            )
        if not lowest <= whole <= highest:
            raise ColumnValueError(f"must be a number of at most {about}")
        return f"{whole.scaleb(-scale, _EXACT).normalize(_EXACT):f}" if whole else "0"

    return convert


numeric = decimals(9, 1 - 10**38, 10**38 - 1, "29 digits before the point and 9 after it")
"""Convert to NUMERIC."""
bignumeric = decimals(38, -(2**255), 2**255 - 1, "5.78e38, with 38 digits after the point")
"""Convert to BIGNUMERIC."""

_FIRST_DAY = date(1970, 1, 1)
# In the year 2286 each; as the next smaller unit, in April 1970.
_HIGHEST = {"s": 10**10, "ms": 10**13, "us": 10**16, "ns": 10**19}


def _instant(value: object, options: ColumnOptions) -> datetime:
    """Return the instant that a value names; ValueError or OverflowError if it names none."""
    unit = options.unit
    match value:
        case datetime():
            return value
        case bool():
            raise ValueError
        case str() if _NUMBER.fullmatch(value):
            if not unit:
                raise ColumnValueError(f"is a number in a text, and {_advice(float(value))}")
            return _counted(value, unit)
        case str():
            return parse_timestamp(value)
        case int() | float():
            if not unit and abs(value) > _HIGHEST["s"]:
                raise ColumnValueError(_advice(value))
            return _counted(value, unit or "s")
    raise ValueError


def _counted(number: float | str, unit: str) -> datetime:
    try:
        return from_unix(number, unit)
    except ValueError:
        raise ColumnValueError(
            f"must be a time in the years 1 to 9999, and is none as {UNIT_NAMES[unit]} since 1970"
        ) from None


def _advice(number: float) -> str:
    """Say what a number most likely counts."""
    unit = next((unit for unit, highest in _HIGHEST.items() if abs(number) <= highest), "ns")
    return f'looks like {UNIT_NAMES[unit]} since 1970: set unit = "{unit}"'


def timestamp(value: object, options: ColumnOptions) -> Json:
    """Convert to TIMESTAMP."""
    try:
        return rfc3339(_instant(value, options))
    except ColumnValueError:
        raise
    except (ValueError, OverflowError):
        raise ColumnValueError(
            "must be a time in the years 1 to 9999, as text or as a number since 1970: parse_time() reads other forms"
        ) from None


def time_of_day(value: object, options: ColumnOptions) -> Json:
    """Convert to TIME."""
    try:
        if isinstance(value, str) and (found := civil(TIME, value)) is not None:
            return found.time().isoformat()
    except ValueError:
        pass
    if options.unit and isinstance(value, str | int | float) and _NUMBER.fullmatch(str(value)):
        instant = _counted(value, options.unit)
        if instant.date() == _FIRST_DAY:
            return instant.time().isoformat()
    raise ColumnValueError("must be a time of day, 12:00:00, or with unit a number since midnight")


def _of_calendar(form: str, what: str, write: Callable[[datetime], str]) -> Conversion:
    """Return the conversion to civil time. Of an instant it is taken in UTC, where the file gives numbers a unit."""

    def convert(value: object, options: ColumnOptions) -> Json:
        try:
            if isinstance(value, str) and (found := civil(form, value)) is not None:
                return write(found)
            if options.unit:
                return write(_instant(value, options).replace(tzinfo=None))
        except ColumnValueError:
            raise
        except (ValueError, OverflowError):
            pass
        raise ColumnValueError(f"must be {what}")

    return convert


day = _of_calendar(
    DATE,
    "a date, 2026-03-01: date() makes it of a time, unit of a number, and date(parse_time()) of other forms",
    lambda civil: civil.date().isoformat(),
)
"""Convert to DATE."""
date_and_time = _of_calendar(
    DATETIME, "a date and time without an offset: with unit, other times are taken in UTC", datetime.isoformat
)
"""Convert to DATETIME."""
