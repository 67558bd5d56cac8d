"""Checks and conversions of single values in streaming inserts. Pure.

Each conversion takes a value as it came in JSON and returns it in the form that the store reads, or raises
`BadValueError` with the service's own wording where that is known. What passes here cannot fail in the store.

Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import json
import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.cloud.bigquery.schema import Field

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_NUMERIC_LIMIT = decimal.Decimal(10) ** 29
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
_CLOCK = r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,6}))?)?"
_DAY = r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
_DATE = re.compile(_DAY, re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_DATETIME = re.compile(rf"{_DAY}(?:[ T]{_CLOCK})?", re.ASCII | re.IGNORECASE)
_TIMESTAMP = re.compile(
    rf"({_DATETIME.pattern})\s?(Z|UTC|[+-]\d{{1,2}}(?::?\d{{2}})?)?", re.ASCII | re.IGNORECASE
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

Stored = str | int | bool


class BadValueError(ValueError):
    """A value does not fit its field; the message is the one for `insertErrors`."""


def convert(kind: str, value: str | float | bool) -> Stored:
    """Convert one scalar of a row.

    Args:
        kind: The field's type, such as `TIMESTAMP`.
        value: A string, number or boolean, as it came in JSON.

    Returns:
        The value in the form that the store reads from JSON.

    Raises:
        BadValueError: The value does not fit the type.
    """
    return _CONVERSIONS[kind](value)


def within_parameters(field: Field, value: Stored) -> Stored:
    """Apply the parameters of a type, as in STRING(10) and NUMERIC(5, 2).

    Args:
        field: The column, or the field of a record.
        value: The converted value.

    Returns:
        The value, rounded to the scale.

    Raises:
        BadValueError: It is beyond them. The service's own wording is not known.
    """
    if field.max_length and isinstance(value, str):
        length = value.count("\\x") if field.type == "BYTES" else len(value)
        if length > field.max_length:
            raise BadValueError(
                f"Field {field.name}: {field.type}({field.max_length}) has maximum length {field.max_length} but got "
                f"a value with length {length}"
            )
    if field.precision:
        with decimal.localcontext(prec=100):
            unit = decimal.Decimal(1).scaleb(-field.scale)
            rounded = decimal.Decimal(str(value)).quantize(unit, decimal.ROUND_HALF_UP)
        if abs(rounded) >= decimal.Decimal(10) ** (field.precision - field.scale):
            raise BadValueError(
                f"Field {field.name}: NUMERIC({field.precision}, {field.scale}) has precision {field.precision} and "
                f"scale {field.scale} but got a value that is not in range"
            )
        return f"{rounded:f}"
    return value


def _string(value: str | float | bool) -> str:
    if isinstance(value, bool):
        raise BadValueError("Conversion from bool to std::string is unsupported.")
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadValueError("Invalid UTF-8 in string value.") from error
    return text


def _bytes(value: str | float | bool) -> str:
    if isinstance(value, str):
        try:
            data = base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            pass
        else:
            return "".join(f"\\x{byte:02X}" for byte in data)
    return _bad("Cannot convert value to bytes, which must be in base64 (bad value)", value)


def _integer(value: str | float | bool) -> int:
    number: int | None = None
    if isinstance(value, str):
        if _INTEGER.fullmatch(value):
            number = int(value)
    elif not isinstance(value, bool) and value == value // 1:
        number = int(value)
    if number is None or not _INT64_MIN <= number <= _INT64_MAX:
        _bad("Cannot convert value to integer (bad value)", value)
    return number


def _float(value: str | float | bool) -> str:
    if isinstance(value, bool) or (isinstance(value, str) and not _FLOAT.fullmatch(value)):
        _bad("Cannot convert value to floating point (bad value)", value)
    try:
        return repr(float(value))
    except OverflowError:
        return _bad("Cannot convert value to floating point (bad value)", value)


def _boolean(value: str | float | bool) -> bool:
    if isinstance(value, bool):
        return value
    known = _BOOLEANS.get(str(value).lower())
    return _bad("Cannot convert value to boolean (bad value)", value) if known is None else known


def _numeric(value: str | float | bool) -> str:
    if not isinstance(value, bool):
        try:
            number = decimal.Decimal(value if isinstance(value, str) else repr(value))
        except decimal.InvalidOperation:
            number = decimal.Decimal("NaN")
        if number.is_finite() and number.copy_abs() < _NUMERIC_LIMIT:
            exponent = number.normalize(decimal.Context(prec=100)).as_tuple().exponent
            if isinstance(exponent, int) and exponent >= -9:
                return f"{number:f}"
    return _bad("Invalid NUMERIC value", value)


def _timestamp(value: str | float | bool) -> str:
    moment = None
    try:
        if isinstance(value, str):
            match = _TIMESTAMP.fullmatch(value)
            if match is not None:
                offset = _offset(match[9])
                moment = _moment(*match.groups()[1:8]).replace(tzinfo=datetime.UTC) - offset
            elif _FLOAT.fullmatch(value):
                moment = _after_epoch(value)
        elif not isinstance(value, bool):
            moment = _after_epoch(repr(value))
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise BadValueError(
            f"Could not parse '{_shown(value)}' as a timestamp. Required format is YYYY-MM-DD HH:MM[:SS[.SSSSSS]] "
            "or YYYY/MM/DD HH:MM[:SS[.SSSSSS]]"
        )
    return moment.isoformat()


def _datetime(value: str | float | bool) -> str:
    match = _DATETIME.fullmatch(value) if isinstance(value, str) else None
    try:
        return _moment(*match.groups()).isoformat() if match else _bad("Invalid datetime", value)
    except ValueError:
        return _bad("Invalid datetime", value)


def _date(value: str | float | bool) -> str:
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    try:
        return _moment(*match.groups()).date().isoformat() if match else _bad("Invalid date", value)
    except ValueError:
        return _bad("Invalid date", value)


def _time(value: str | float | bool) -> str:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    try:
        clock = _moment("1970", "1", "1", *match.groups()).time() if match else None
    except ValueError:
        clock = None
    return clock.isoformat() if clock else _bad("Invalid time", value)


def _json(value: str | float | bool) -> str:
    try:
        parsed = json.loads(value, parse_constant=_refuse_constant) if isinstance(value, str) else value
        text = json.dumps(parsed, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"Invalid JSON value: {_shown(value)}") from error
    return text


def _moment(
    year: str,
    month: str,
    day: str,
    hour: str | None = None,
    minute: str | None = None,
    second: str | None = None,
    fraction: str | None = None,
) -> datetime.datetime:
    return datetime.datetime(  # noqa: DTZ001 - civil time; a timestamp adds its zone
        int(year),
        int(month),
        int(day),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        int((fraction or "0").ljust(6, "0")),
    )


def _offset(zone: str | None) -> datetime.timedelta:
    if not zone or zone.upper() in ("Z", "UTC"):
        return datetime.timedelta(0)
    digits = zone[1:].replace(":", "")
    hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
    if hours > 14 or minutes > 59:
        raise ValueError(f"no such offset: {zone}")
    offset = datetime.timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset


def _after_epoch(seconds: str) -> datetime.datetime:
    microseconds = int(decimal.Decimal(seconds).scaleb(6).to_integral_value())
    return _EPOCH + datetime.timedelta(microseconds=microseconds)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _bad(what: str, value: object) -> NoReturn:
    raise BadValueError(f"{what}: {_shown(value)}")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 256 else f"{text[:256]}..."


_CONVERSIONS: dict[str, Callable[[str | float | bool], Stored]] = {
    "STRING": _string,
    "BYTES": _bytes,
    "INTEGER": _integer,
    "FLOAT": _float,
    "NUMERIC": _numeric,
    "BOOLEAN": _boolean,
    "TIMESTAMP": _timestamp,
    "DATE": _date,
    "TIME": _time,
    "DATETIME": _datetime,
    "JSON": _json,
}
