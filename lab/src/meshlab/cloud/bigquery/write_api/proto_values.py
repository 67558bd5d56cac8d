"""Values of protobuf fields to the form that the store reads. Pure.

Which protobuf type a column takes is the service's table. What a conversion refuses is worded as far as the service's
words are known, and ends with the field: `... on field bar.`

Source: https://cloud.google.com/bigquery/docs/supported-data-types
"""

from __future__ import annotations

import datetime
import decimal
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2  # type: ignore[import-untyped]

from meshlab.cloud.bigquery.cell_values import BadValueError, Stored, convert

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.cloud.bigquery.write_api.protocol import Proto

_TYPES = descriptor_pb2.FieldDescriptorProto
INT32 = (_TYPES.TYPE_INT32, _TYPES.TYPE_SINT32, _TYPES.TYPE_SFIXED32)
INT64 = (_TYPES.TYPE_INT64, _TYPES.TYPE_SINT64, _TYPES.TYPE_SFIXED64)
UINT32 = (_TYPES.TYPE_UINT32, _TYPES.TYPE_FIXED32)
UINT64 = (_TYPES.TYPE_UINT64, _TYPES.TYPE_FIXED64)
FLOAT = (_TYPES.TYPE_FLOAT, _TYPES.TYPE_DOUBLE)
BOOL = (_TYPES.TYPE_BOOL,)
STRING = (_TYPES.TYPE_STRING,)
BYTES = (_TYPES.TYPE_BYTES,)
ENUM = (_TYPES.TYPE_ENUM,)

# 0001-01-01 to 9999-12-31, in days from the epoch and as the ordinals of Python's dates.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_EPOCH_ORDINAL = 719_163
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FIRST_MICROS, _LAST_MICROS = _FIRST_DAY * 86_400_000_000, (_LAST_DAY + 1) * 86_400_000_000 - 1
_NUMERIC_SCALE = 9


def _bytes(value: bytes | str) -> str:
    data = value.encode() if isinstance(value, str) else value
    # DuckDB's hexadecimal escapes, as `Field.transport` says.
    return "\\x" + data.hex("|").upper().replace("|", "\\x") if data else ""


def _date(days: int) -> str:
    if not _FIRST_DAY <= days <= _LAST_DAY:
        raise BadValueError(f"Date field value is out of range: {days}")
    return datetime.date.fromordinal(days + _EPOCH_ORDINAL).isoformat()


def _timestamp(micros: int) -> str:
    if not _FIRST_MICROS <= micros <= _LAST_MICROS:
        raise BadValueError(f"Timestamp field value is out of range: {micros}")
    return (_EPOCH + datetime.timedelta(microseconds=micros)).isoformat()


def _packed_time(value: int) -> str:
    """Read what CivilTimeEncoder makes: hour, minute, second and microsecond in fields of bits."""
    seconds, micros = value >> 20, value & 0xFFFFF
    try:
        return datetime.time(seconds >> 12, seconds >> 6 & 0x3F, seconds & 0x3F, micros).isoformat()
    except (ValueError, OverflowError):
        raise BadValueError(f"Invalid time value: {value}") from None


def _packed_datetime(value: int) -> str:
    seconds, micros = value >> 20, value & 0xFFFFF
    try:
        return datetime.datetime(  # noqa: DTZ001 - civil time
            seconds >> 26,
            seconds >> 22 & 0xF,
            seconds >> 17 & 0x1F,
            seconds >> 12 & 0x1F,
            seconds >> 6 & 0x3F,
            seconds & 0x3F,
            micros,
        ).isoformat()
    except (ValueError, OverflowError):
        raise BadValueError(f"Invalid datetime value: {value}") from None


def _scaled_numeric(value: bytes) -> str:
    """Read what BigDecimalByteStringEncoder makes: a little-endian integer, scaled by nine digits."""
    scaled = int.from_bytes(value, "little", signed=True)
    with decimal.localcontext(prec=100):
        return str(convert("NUMERIC", f"{decimal.Decimal(scaled).scaleb(-_NUMERIC_SCALE):f}"))


def _number_as_numeric(value: float) -> str:
    return str(convert("NUMERIC", value))


def _by(kind: str) -> Callable[[Any], Stored]:
    return lambda value: convert(kind, _text(value))


def _text(value: str | bytes) -> str:
    # A proto2 field gives bytes that are no UTF-8 as they are.
    if isinstance(value, bytes):
        raise BadValueError("Invalid UTF-8 in string value")
    return value


_CONVERSIONS: dict[str, list[tuple[tuple[int, ...], Callable[[Any], Stored]]]] = {
    "BOOLEAN": [(BOOL + INT32 + INT64 + UINT32 + UINT64, bool)],
    "BYTES": [(BYTES + STRING, _bytes)],
    "DATE": [(INT32 + INT64, _date), (STRING, _by("DATE"))],
    "DATETIME": [(STRING, _by("DATETIME")), (INT64, _packed_datetime)],
    "FLOAT": [(FLOAT, repr)],
    "INTEGER": [(INT32 + INT64 + UINT32 + ENUM, int)],
    "JSON": [(STRING, _by("JSON"))],
    "NUMERIC": [
        (INT32 + INT64 + UINT32 + UINT64 + FLOAT, _number_as_numeric),
        (STRING, _by("NUMERIC")),
        (BYTES, _scaled_numeric),
    ],
    "STRING": [(STRING, _text)],
    "TIME": [(STRING, _by("TIME")), (INT64, _packed_time)],
    "TIMESTAMP": [(INT64 + INT32 + UINT32, _timestamp)],
}
_BY_TYPES = {
    (column, proto): conversion
    for column, rows in _CONVERSIONS.items()
    for protos, conversion in rows
    for proto in protos
}

# Messages that stand for one value. Of these alone a schema may name what it does not contain.
WRAPPERS: dict[str, tuple[str, ...]] = {
    "google.protobuf.BoolValue": ("BOOLEAN",),
    "google.protobuf.BytesValue": ("BYTES", "NUMERIC"),
    "google.protobuf.DoubleValue": ("FLOAT",),
    "google.protobuf.FloatValue": ("FLOAT",),
    "google.protobuf.Int32Value": ("INTEGER",),
    "google.protobuf.Int64Value": ("INTEGER",),
    "google.protobuf.UInt32Value": ("INTEGER",),
    "google.protobuf.StringValue": ("STRING",),
}
TIMESTAMP_MESSAGE = "google.protobuf.Timestamp"


def conversion(field: Proto, column: str) -> Callable[[Any], Stored] | None:
    """Find the conversion of a protobuf field for a column.

    Args:
        field: The field's descriptor.
        column: The column's type, such as `TIMESTAMP`.

    Returns:
        The conversion, which raises BadValueError; None if the column does not take the field's type.
    """
    if field.message_type is not None:
        return _message_conversion(field.message_type, column)
    if field.enum_type is not None and column == "STRING":
        names = {value.number: value.name for value in field.enum_type.values}
        return names.__getitem__
    return _BY_TYPES.get((column, field.type))


def _message_conversion(message: Proto, column: str) -> Callable[[Any], Stored] | None:
    if message.full_name == TIMESTAMP_MESSAGE and column == "TIMESTAMP":
        return lambda value: _timestamp(value.seconds * 1_000_000 + value.nanos // 1000)
    if column not in WRAPPERS.get(message.full_name, ()):
        return None
    inner = _BY_TYPES[column, message.fields_by_name["value"].type]
    return lambda value: inner(value.value)
