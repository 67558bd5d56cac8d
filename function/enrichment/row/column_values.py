"""Values as BigQuery's insertAll takes them, column type by column type.

BigQuery refuses a whole request for one value that does not fit, and so stops up to 499 rows of other events; hence
every value is checked before it is sent. What a type takes, and how it is written:

==================  ==========================================================================  ==================
column              takes                                                                       written as
==================  ==========================================================================  ==================
STRING              strings, numbers, declared timestamps                                       text
INTEGER             whole numbers of 64 bits, also as text or with a zero fraction              text: JSON's own
                                                                                                numbers are exact
                                                                                                to 2^53 only
FLOAT               numbers, also as text; the texts NaN, Infinity and -Infinity                number, or text
NUMERIC             numbers of at most 29 digits before the point and 9 after, also as text     text
BIGNUMERIC          the same with 38 and 38                                                     text
BOOLEAN             true, false, also as text                                                   true, false
TIMESTAMP           declared timestamps; RFC 3339, or BigQuery's own form, UTC without an       text, UTC
                    offset; numbers: seconds since 1970
DATE                `2026-03-01`                                                                text
DATETIME            date and time without an offset                                             text
TIME                `12:00:00.5`                                                                text
BYTES               base64                                                                      text
GEOGRAPHY           text, WKT or GeoJSON, which BigQuery alone can judge                        text
JSON                anything                                                                    JSON text
RECORD              objects with fields of the table and no others                              object
==================  ==========================================================================  ==================

Sources: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types and, for integers,
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-json. Named time zones are not taken, and neither is
text for a BOOLEAN other than true and false: what BigQuery makes of those is not written down for insertAll.
"""

import binascii
import decimal
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

import msgspec

from enrichment.documents.instant import DATE, DATETIME, TIME, civil, from_unix, parse_timestamp, rfc3339
from enrichment.event.field_values import INT64_MAX, INT64_MIN
from enrichment.settings.model import Column, FieldType, TableField

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


class ColumnValueError(ValueError):
    """A value does not fit its column; the message says what it must be and quotes nothing."""


def is_missing(column: Column | TableField, value: object) -> bool:
    """Whether there is nothing for a column: no list and an empty one are the same to BigQuery."""
    return value is None or (column.repeated and value == [])


def convert(column: Column | TableField, value: object) -> Json:
    """Turns a value into what insertAll takes for a column.

    Args:
        column: The column, or the field of a record.
        value: What there is, not null: parsed JSON, or a `datetime` in UTC.

    Returns:
        The value for the request.

    Raises:
        ColumnValueError: the column cannot hold it.
    """
    if column.repeated:
        if not isinstance(value, list):
            raise ColumnValueError("must be a list")
        return [_convert(column, item) for item in value]
    return _convert(column, value)


def _convert(column: Column | TableField, value: object) -> Json:
    if column.type == "RECORD":
        return _record(column.fields, value)
    return _CONVERSIONS[column.type](value)


def _record(fields: tuple[TableField, ...], value: object) -> Json:
    if not isinstance(value, dict):
        raise ColumnValueError("must be an object")
    if not value.keys() <= {field.name for field in fields}:
        raise ColumnValueError("has a field that the record in the table has not")
    record: dict[str, Json] = {}
    for field in fields:
        found = value.get(field.name)
        if is_missing(field, found):
            if field.required:
                raise ColumnValueError(f"lacks its field {field.name}")
            continue
        try:
            record[field.name] = convert(field, found)
        except ColumnValueError as error:
            raise ColumnValueError(f"is wrong in its field {field.name}, which {error}") from None
    return record


def _string(value: object) -> Json:
    match value:
        case str():
            return value
        case datetime():
            return rfc3339(value)
        case bool():
            pass  # an int to Python, and refused by BigQuery
        case int() | float():
            return msgspec.json.encode(value).decode()
    raise ColumnValueError("must be a string or a number")


def _json(value: object) -> Json:
    return msgspec.json.encode(value).decode()


_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?", re.ASCII)
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}


def _integer(value: object) -> Json:
    match value:
        case bool():
            number = None
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case str() if _INTEGER.fullmatch(value):
            number = int(value)
        case _:
            number = None
    if number is None or not INT64_MIN <= number <= INT64_MAX:
        raise ColumnValueError("must be a whole number of 64 bits")
    return str(number)


def _float(value: object) -> Json:
    if isinstance(value, str):
        if value.lower() in _NOT_FINITE:
            return value
        value = float(value) if _FLOAT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ColumnValueError("must be a number")
    return float(value)


_EXACT = decimal.Context(prec=1_000)  # more than _FLOAT lets through


def _decimal(digits_before: int, digits_after: int) -> Callable[[object], Json]:
    def convert(value: object) -> Json:
        text = value if isinstance(value, str) else repr(value)
        if not isinstance(value, bool) and isinstance(value, str | int | float) and _FLOAT.fullmatch(text):
            number = decimal.Decimal(text).normalize(_EXACT)
            _, digits, exponent = number.as_tuple()
            if (
                isinstance(exponent, int)
                and exponent >= -digits_after
                and len(digits) + exponent <= digits_before
            ):
                return f"{number:f}"
        raise ColumnValueError(
            f"must be a number of at most {digits_before} digits before the point and {digits_after} after it"
        )

    return convert


def _boolean(value: object) -> Json:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ColumnValueError("must be true or false")


def _timestamp(value: object) -> Json:
    try:
        match value:
            case datetime():
                return rfc3339(value)
            case str():
                return rfc3339(parse_timestamp(value))
            case bool():
                pass
            case int() | float():
                return rfc3339(from_unix(value, 0))
    except (ValueError, OverflowError, OSError):
        pass
    raise ColumnValueError("must be a time in the years 1 to 9999, as text or in seconds since 1970")


def _of_calendar(
    shape: re.Pattern[str], what: str, write: Callable[[datetime], str]
) -> Callable[[object], Json]:
    def convert(value: object) -> Json:
        if isinstance(value, str) and (found := shape.fullmatch(value)):
            try:
                return write(civil(found))
            except ValueError:
                pass
        raise ColumnValueError(f"must be {what}")

    return convert


def _bytes(value: object) -> Json:
    if isinstance(value, str):
        try:
            binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            pass
        else:
            return value
    raise ColumnValueError("must be bytes in base64")


def _geography(value: object) -> Json:
    if isinstance(value, str) and value:
        return value
    raise ColumnValueError("must be a geography as text, WKT or GeoJSON")


_CONVERSIONS: dict[str, Callable[[object], Json]] = {
    "STRING": _string,
    "INTEGER": _integer,
    "FLOAT": _float,
    "NUMERIC": _decimal(29, 9),
    "BIGNUMERIC": _decimal(38, 38),
    "BOOLEAN": _boolean,
    "TIMESTAMP": _timestamp,
    "DATE": _of_calendar(DATE, "a date, 2026-03-01", lambda civil: civil.date().isoformat()),
    "DATETIME": _of_calendar(DATETIME, "a date and time without an offset", datetime.isoformat),
    "TIME": _of_calendar(TIME, "a time of day, 12:00:00", lambda civil: civil.time().isoformat()),
    "BYTES": _bytes,
    "GEOGRAPHY": _geography,
    "JSON": _json,
}

TYPES = (*_CONVERSIONS, "RECORD")
"""The types of column that can be written."""
