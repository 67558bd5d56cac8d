"""Instants as this function reads and writes them: RFC 3339 with an offset in, UTC out.

Digits beyond the microsecond are cut off and never rounded, wherever a time comes from: rounding could move an event
into the next second, day or year.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Annotated

import msgspec

# Not compiled here: that would take a millisecond of the start, and few columns need them.
_CLOCK = r"(?P<hour>\d\d?):(?P<minute>\d\d?)(?::(?P<second>\d\d?)(?:\.(?P<fraction>\d{0,9}))?)?"
DATE = r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)"
"""Form of a DATE in BigQuery."""
TIME = _CLOCK
"""Form of a TIME in BigQuery."""
DATETIME = rf"{DATE}(?:[ Tt]{_CLOCK})?"
"""Form of a DATETIME in BigQuery."""
_ZONE = r" ?(?:[Zz]|UTC|(?P<sign>[+-])(?P<hours>\d\d?)(?::?(?P<minutes>[0-5]\d))?)?"
_TIMESTAMP = DATETIME.replace("-", "[-/]") + _ZONE
_MAX_OFFSET = timedelta(hours=14)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND_DIGITS = 6
_ASCII_DIGITS = "0123456789"
_MAX_MICROSECONDS = 10**18  # far beyond the year 9999, and small enough for timedelta
_EXACT = Context(prec=1_000, rounding=ROUND_FLOOR)  # more digits than a text of a number may have

UNITS: Mapping[str, Decimal] = {
    "d": Decimal(86_400_000_000),
    "s": Decimal(1_000_000),
    "ms": Decimal(1_000),
    "us": Decimal(1),
    "ns": Decimal("0.001"),
}
"""What a number for a time may count since 1970, and how many microseconds one of them is."""

UNIT_NAMES: Mapping[str, str] = {
    "d": "days",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
"""The same for people."""


def to_utc(instant: datetime) -> datetime:
    """Return the same instant in UTC; OverflowError where UTC falls outside the years 1 to 9999."""
    return instant.astimezone(UTC)


def parse_rfc3339(text: str) -> datetime:
    """Read an instant of RFC 3339 (section 5.6) into UTC.

    Args:
        text: Date, time and offset. A leap second is refused: neither Python nor BigQuery can hold one.

    Raises:
        ValueError: It is none, has no offset, or lies outside the years 1 to 9999 in UTC; quotes nothing.
    """
    if (point := text.find(".") + 1) and text[point : (cut := point + _MICROSECOND_DIGITS)].isdigit():
        text = text[:cut] + text[cut:].lstrip(_ASCII_DIGITS)  # msgspec would round
    try:
        return to_utc(msgspec.convert({"at": text}, _Instant).at)
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError):
        raise ValueError("it is no instant of RFC 3339 with an offset, in the years 1 to 9999") from None


def parse_timestamp(text: str) -> datetime:
    """Read a time of RFC 3339 or of BigQuery's own form into UTC; without an offset it is UTC.

    Raises:
        ValueError: It is none; quotes nothing.
        OverflowError: UTC falls outside the years 1 to 9999.
    """
    found = re.fullmatch(_TIMESTAMP, text, re.ASCII)
    if found is None:
        raise ValueError("the text is no time")
    return _civil(found).replace(tzinfo=UTC) - _offset(found)


def civil(form: str, text: str) -> datetime | None:
    """Return the date, the time of day or both that a text holds; None where it has another form.

    Args:
        form: `DATE`, `TIME` or `DATETIME`.
        text: The text.

    Raises:
        ValueError: The calendar has no such day or time.
    """
    found = re.fullmatch(form, text, re.ASCII)
    return None if found is None else _civil(found)


def _civil(found: re.Match[str]) -> datetime:
    parts = found.groupdict()

    def number(name: str, otherwise: int) -> int:
        return int(parts.get(name) or otherwise)

    return datetime(  # noqa: DTZ001 - civil time; a timestamp adds its zone
        number("year", 1),
        number("month", 1),
        number("day", 1),
        number("hour", 0),
        number("minute", 0),
        number("second", 0),
        int((parts.get("fraction") or "").ljust(_MICROSECOND_DIGITS, "0")[:_MICROSECOND_DIGITS]),
    )


def from_unix(number: float | str, unit: str) -> datetime:
    """Return the instant that a number of units after 1970 names.

    Args:
        number: The number, or a text of it. A fraction counts as it is written: 0.1 is a tenth.
        unit: A name of `UNITS`.

    Raises:
        ValueError: It is not finite, or lies outside the years 1 to 9999; quotes nothing.
    """
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError("the number is not finite")
    exact = _EXACT.multiply(Decimal(number if isinstance(number, str) else repr(number)), UNITS[unit])
    if abs(exact) < _MAX_MICROSECONDS:
        try:
            return _EPOCH + timedelta(microseconds=math.floor(exact))
        except OverflowError:
            pass
    raise ValueError("the number names no time in the years 1 to 9999")


def check_time_format(form: str) -> None:
    """Check the form of a time, in the directives of `strptime`.

    Raises:
        ValueError: Python does not know it, or it needs names of time zones, which depend on the machine.
    """
    if "%Z" in form.replace("%%", ""):
        raise ValueError("%Z depends on the machine: write %z for an offset, or the name itself, such as GMT")
    probe = datetime(2026, 3, 1, tzinfo=UTC).strftime(form)
    try:
        datetime.strptime(probe, form)  # noqa: DTZ007 - it is tried, and not used
    except (ValueError, IndexError, re.error):
        raise ValueError("it is no form of a time, such as %d/%m/%Y %H:%M:%S") from None


def parse_in_form(text: str, form: str) -> datetime:
    """Read a time of a given form into UTC; without an offset it is UTC.

    Args:
        text: The time.
        form: The directives of Python's `strptime`.

    Raises:
        ValueError: The text has another form; quotes nothing.
        OverflowError: UTC falls outside the years 1 to 9999.
    """
    try:
        found = datetime.strptime(text, form)  # noqa: DTZ007 - without an offset it is UTC, below
    except (ValueError, IndexError, re.error):
        raise ValueError("the text has another form") from None
    return to_utc(found) if found.tzinfo else found.replace(tzinfo=UTC)


def rfc3339(instant: datetime) -> str:
    """Write a UTC instant as RFC 3339 with a `Z`, to the microsecond, as BigQuery's TIMESTAMP reads it."""
    # As `isoformat`, in a tenth of its time.
    text: str = msgspec.to_builtins(instant)
    return text


def _offset(found: re.Match[str]) -> timedelta:
    offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    if offset > _MAX_OFFSET:
        raise ValueError("no such offset")
    return -offset if found["sign"] == "-" else offset


# A Struct, because msgspec looks into an annotated type at every call and into a Struct once.
class _Instant(msgspec.Struct):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
