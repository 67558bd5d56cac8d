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
from datetime import datetime

import msgspec

from enrichment.documents.instant import rfc3339
from enrichment.row.conversions import (
    ColumnValueError,
    Conversion,
    Json,
    bignumeric,
    date_and_time,
    day,
    decimals,
    floating,
    integer,
    numeric,
    time_of_day,
    timestamp,
)
from enrichment.settings.model import Column, ColumnOptions, FieldType, TableField

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
    return decimals(
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


def _boolean(value: object, _: ColumnOptions) -> Json:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ColumnValueError("must be true or false")


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


_CONVERSIONS: dict[str, Conversion] = {
    "STRING": _string,
    "INTEGER": integer,
    "FLOAT": floating,
    "NUMERIC": numeric,
    "BIGNUMERIC": bignumeric,
    "BOOLEAN": _boolean,
    "TIMESTAMP": timestamp,
    "DATE": day,
    "DATETIME": date_and_time,
    "TIME": time_of_day,
    "BYTES": _bytes,
    "GEOGRAPHY": _geography,
    "JSON": _json,
}

TYPES = (*_CONVERSIONS, "RECORD")
"""The types of column that can be written."""
