"""Values as BigQuery's insertAll takes them, column type by column type.

BigQuery refuses a whole request for one value that does not fit, and so stops up to 499 rows of other events; hence
every value is checked before it is sent. What a type takes, and how it is written:

==================  ==========================================================================  ==================
column              takes                                                                       written as
==================  ==========================================================================  ==================
STRING              strings, numbers, declared timestamps; of `maxLength` characters at most    text
INTEGER             whole numbers of 64 bits, also as text or with a zero fraction              text: JSON's own
                                                                                                numbers are exact
                                                                                                to 2^53 only
FLOAT               numbers, also as text; the texts NaN, Infinity and -Infinity                number, or text
NUMERIC             numbers of at most 29 digits before the point and 9 after, or those of its   text
                    `precision` and `scale`, also as text; more digits after the point are
                    rounded where `round = true`
BIGNUMERIC          the same from -2^255 to 2^255 - 1 units of 10^-38: 38 digits before the     text
                    point and some of 39
BOOLEAN             true, false, also as text                                                   true, false
TIMESTAMP           declared timestamps; RFC 3339, or BigQuery's own form, UTC without an       text, UTC
                    offset; numbers since 1970, seconds unless `unit` says otherwise
DATE                `2026-03-01`; with a `unit`, what TIMESTAMP takes, in UTC                   text
DATETIME            date and time without an offset; with a `unit`, as DATE                     text
TIME                `12:00:00.5`; with a `unit`, a number since midnight                        text
BYTES               base64                                                                      text
GEOGRAPHY           text, WKT or GeoJSON, which BigQuery alone can judge; a GeoJSON object      text
JSON                anything                                                                    JSON text
RECORD              objects with fields of the table, and others where `unknown_fields` is      object
                    `"ignore"`: those are left out
==================  ==========================================================================  ==================

Sources: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types and, for integers,
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-json. Named time zones are not taken, and neither is
text for a BOOLEAN other than true and false: what BigQuery makes of those is not written down for insertAll.
"""

import binascii
import decimal
import json
import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import TypeAlias

import msgspec

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
from enrichment.settings.model import Column, ColumnOptions, FieldType, TableField

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json]"

ALIASES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
"""Names of a type that BigQuery takes besides the one that it answers with."""

_TEXT = {"STRING", "JSON"}
_NUMBERS = {"INTEGER", "FLOAT", "NUMERIC", "BIGNUMERIC", "TIMESTAMP"} | _TEXT
_SCALARS = {"BOOLEAN", "DATE", "DATETIME", "TIME", "BYTES", "GEOGRAPHY"} | _NUMBERS

TAKEN_BY: dict[FieldType, set[str]] = {
    FieldType.STRING: _SCALARS,
    FieldType.INTEGER: _NUMBERS,
    FieldType.NUMBER: _NUMBERS,
    FieldType.BOOLEAN: {"BOOLEAN", "JSON"},
    FieldType.TIMESTAMP: {"TIMESTAMP"} | _TEXT,
    FieldType.JSON: _SCALARS | {"RECORD"},
}
"""The types of column that can take a field's values, or some of them."""

TAKEN_BY_KIND: dict[str, set[str]] = {
    "string": _SCALARS,
    "number": _NUMBERS,
    "boolean": {"BOOLEAN", "JSON"},
    "array": {"JSON"},
    "object": {"JSON", "RECORD", "GEOGRAPHY"},
}
"""The same for the JSON type of an expression's value. A REPEATED column of any type takes an array."""

_AS_IS = ColumnOptions()


class ColumnValueError(ValueError):
    """A value does not fit its column. The message says what it must be, and quotes no value."""


def is_missing(column: Column | TableField, value: object) -> bool:
    """Return whether there is nothing for a column: no list and an empty one are the same to BigQuery."""
    return value is None or (column.repeated and value == [])


def convert(column: Column | TableField, value: object, options: ColumnOptions = _AS_IS) -> Json:
    """Turn a value into what insertAll takes for a column.

    Args:
        column: The column, or the field of a record.
        value: What there is, not null: parsed JSON, or a `datetime` in UTC.
        options: How to convert where that is a choice.

    Returns:
        The value for the request.

    Raises:
        ColumnValueError: The column cannot hold it.
    """
    if column.repeated:
        if not isinstance(value, list):
            raise ColumnValueError(
                f"must be a list, and is {_kind(value)}: to_array(...)[] makes one of a single value"
            )
        if None in value:
            raise ColumnValueError("has null in its list, which BigQuery takes in none: add [] to drop nulls")
        return [_convert(column, item, options) for item in value]
    if column.max_length or column.type == "RECORD":
        return _convert(column, value, options)
    return _CONVERSIONS[column.type](value, options)


def _convert(column: Column | TableField, value: object, options: ColumnOptions) -> Json:
    if column.type == "RECORD":
        return _record(column.fields, value, options)
    found = _CONVERSIONS[column.type](value, options)
    if column.max_length and column.type in ("NUMERIC", "BIGNUMERIC"):
        return _of_precision(column, found, options)
    if column.max_length:
        check_length(column, found)
    return found


def _of_precision(column: Column | TableField, found: Json, options: ColumnOptions) -> Json:
    """Return a number with the digits that its column has; refuse one that has more.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#parameterized_decimal_type

    Raises:
        ColumnValueError: It has more.
    """
    highest = 10**column.max_length - 1
    return _decimal(
        column.scale,
        -highest,
        highest,
        f"{column.max_length - column.scale} digits before the point, as the column has",
    )(found, options)


def check_length(column: Column | TableField, value: Json) -> None:
    """Refuse a value that is longer than its column.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#parameterized_data_types

    Raises:
        ColumnValueError: It is.
    """
    if column.max_length and isinstance(value, str):
        is_bytes = column.type == "BYTES"
        length = len(binascii.a2b_base64(value)) if is_bytes else len(value)
        if length > column.max_length:
            unit = "bytes" if is_bytes else "characters"
            raise ColumnValueError(
                f"must have at most {column.max_length} {unit}, as the column has: truncate() shortens a text"
            )


def _record(fields: tuple[TableField, ...], value: object, options: ColumnOptions) -> Json:
    if not isinstance(value, dict):
        raise ColumnValueError(f"must be an object, and is {_kind(value)}")
    if not options.ignores_unknown_fields and (unknown := value.keys() - {field.name for field in fields}):
        raise ColumnValueError(_unknown_fields(unknown))
    record: dict[str, Json] = {}
    for field in fields:
        found = value.get(field.name)
        if is_missing(field, found):
            if field.required:
                raise ColumnValueError(f"lacks its field {field.name}")
            continue
        try:
            record[field.name] = convert(field, found, options)
        except ColumnValueError as error:
            raise ColumnValueError(f"is wrong in its field {field.name}, which {error}") from None
    return record


_MAX_NAME = 80  # of a field's name in a message: the event chooses it


def _unknown_fields(unknown: set[str]) -> str:
    first = json.dumps(min(unknown)[:_MAX_NAME])
    more = f" and {len(unknown) - 1} more fields" if len(unknown) > 1 else ""
    return (
        f"has the field {first}{more}, which the record in the table does not have: add it to the table, or set "
        'unknown_fields = "ignore"'
    )


def _kind(value: object) -> str:
    """Return the JSON type of a value with its article."""
    match value:
        case bool():
            return "a boolean"
        case list():
            return "a list"
        case dict():
            return "an object"
        case int() | float():
            return "a number"
    return "a string"


def _string(value: object, _: ColumnOptions) -> Json:
    match value:
        case str():
            return value
        case datetime():
            return rfc3339(value)
        case bool():
            pass  # an int to Python, and refused by BigQuery
        case int() | float():
            return msgspec.json.encode(value).decode()
        case decimal.Decimal():
            return str(value)
    raise ColumnValueError(
        f"must be a string or a number, and is {_kind(value)}: to write it as JSON text, put to_string() around it"
    )


def _json(value: object, _: ColumnOptions) -> Json:
    return msgspec.json.encode(value).decode()


_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?", re.ASCII)
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}


def _integer(value: object, _: ColumnOptions) -> Json:
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


def _float(value: object, _: ColumnOptions) -> Json:
    if isinstance(value, str):
        if value.lower() in _NOT_FINITE:
            return value
        value = float(value) if _FLOAT.fullmatch(value) else None
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
_EXACT = decimal.Context(prec=1_000, rounding=decimal.ROUND_HALF_UP)  # more digits than _FLOAT lets through
_NUMERIC_LIMIT = 10**38  # of NUMERIC in units of its last digit: 29 digits before the point, 9 after
_BIGNUMERIC_LIMIT = (
    2**255
)  # of BIGNUMERIC in units of its last digit, which makes 39 digits before the point, 38 after


def _decimal(scale: int, lowest: int, highest: int, about: str) -> Callable[[object, ColumnOptions], Json]:
    """Return the conversion to a number that counts units of its last digit, from `lowest` to `highest` of them."""

    def convert(value: object, options: ColumnOptions) -> Json:
        text = str(value) if isinstance(value, str | decimal.Decimal) else repr(value)
        if isinstance(value, bool) or not isinstance(value, _OF_DIGITS) or not _FLOAT.fullmatch(text):
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


def _boolean(value: object, _: ColumnOptions) -> Json:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ColumnValueError("must be true or false")


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
        case str() if _FLOAT.fullmatch(value):
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


def _timestamp(value: object, options: ColumnOptions) -> Json:
    try:
        return rfc3339(_instant(value, options))
    except ColumnValueError:
        raise
    except (ValueError, OverflowError):
        raise ColumnValueError(
            "must be a time in the years 1 to 9999, as text or as a number since 1970: parse_time() reads other forms"
        ) from None


def _time(value: object, options: ColumnOptions) -> Json:
    try:
        if isinstance(value, str) and (found := civil(TIME, value)) is not None:
            return found.time().isoformat()
    except ValueError:
        pass
    if options.unit and isinstance(value, str | int | float) and _FLOAT.fullmatch(str(value)):
        instant = _counted(value, options.unit)
        if instant.date() == _FIRST_DAY:
            return instant.time().isoformat()
    raise ColumnValueError("must be a time of day, 12:00:00, or with unit a number since midnight")


_FIRST_DAY = date(1970, 1, 1)


def _of_calendar(
    form: str, what: str, write: Callable[[datetime], str]
) -> Callable[[object, ColumnOptions], Json]:
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


def _bytes(value: object, _: ColumnOptions) -> Json:
    if isinstance(value, str):
        try:
            binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            pass
        else:
            return value
    raise ColumnValueError("must be bytes in base64")


def _geography(value: object, _: ColumnOptions) -> Json:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return msgspec.json.encode(value).decode()
    raise ColumnValueError("must be a geography: a GeoJSON object, or WKT or GeoJSON as text")


_CONVERSIONS: dict[str, Callable[[object, ColumnOptions], Json]] = {
    "STRING": _string,
    "INTEGER": _integer,
    "FLOAT": _float,
    "NUMERIC": _decimal(
        9, 1 - _NUMERIC_LIMIT, _NUMERIC_LIMIT - 1, "29 digits before the point and 9 after it"
    ),
    "BIGNUMERIC": _decimal(
        38,
        -_BIGNUMERIC_LIMIT,
        _BIGNUMERIC_LIMIT - 1,
        "5.78e38, with 38 digits after the point",
    ),
    "BOOLEAN": _boolean,
    "TIMESTAMP": _timestamp,
    "DATE": _of_calendar(
        DATE,
        "a date, 2026-03-01: date() makes it of a time, unit of a number, and date(parse_time()) of other forms",
        lambda civil: civil.date().isoformat(),
    ),
    "DATETIME": _of_calendar(
        DATETIME,
        "a date and time without an offset: with unit, other times are taken in UTC",
        datetime.isoformat,
    ),
    "TIME": _time,
    "BYTES": _bytes,
    "GEOGRAPHY": _geography,
    "JSON": _json,
}

TYPES = (*_CONVERSIONS, "RECORD")
"""The types of column that can be written."""
