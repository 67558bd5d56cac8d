"""Writer schema of a table and rows in it: columns to a protobuf descriptor, values of insertAll to its messages.

The schema holds what pipeline.toml writes, in the types of table.json, which every value was checked against. So no
request is needed to learn it, and a column that the table has beside those gets its default. A table that does not fit
is refused by BigQuery at the first append.

==============================================  =======  =========================================
column                                          proto2   value
==============================================  =======  =========================================
STRING, JSON, GEOGRAPHY, NUMERIC, BIGNUMERIC,   string   the text, as insertAll takes it
DATETIME, TIME
INTEGER                                         int64
FLOAT                                           double
BOOLEAN                                         bool
TIMESTAMP                                       int64    microseconds since 1970
DATE                                            int32    days since 1970
BYTES                                           bytes    not in base64
RECORD                                          message  a nested type
==============================================  =======  =========================================

Source: https://cloud.google.com/bigquery/docs/supported-data-types
"""

import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto  # type: ignore[import-untyped]

from enrichment.documents.instant import parse_timestamp
from enrichment.row.conversions import Json
from enrichment.settings.model import Column, TableField

CHANGE_TYPE = "_CHANGE_TYPE"
"""The pseudo-column of change data capture (https://cloud.google.com/bigquery/docs/change-data-capture)."""

UPSERT = "UPSERT"

COLUMN_NAME = 454943157
"""The option of a field with the column's name, where no field can have that name (annotations.proto of the API)."""

_Columns = Sequence[Column | TableField]
_Convert = Callable[[Any], Any]

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TYPES = {
    "STRING": FieldDescriptorProto.TYPE_STRING,
    "JSON": FieldDescriptorProto.TYPE_STRING,
    "GEOGRAPHY": FieldDescriptorProto.TYPE_STRING,
    "NUMERIC": FieldDescriptorProto.TYPE_STRING,
    "BIGNUMERIC": FieldDescriptorProto.TYPE_STRING,
    "DATETIME": FieldDescriptorProto.TYPE_STRING,
    "TIME": FieldDescriptorProto.TYPE_STRING,
    "INTEGER": FieldDescriptorProto.TYPE_INT64,
    "FLOAT": FieldDescriptorProto.TYPE_DOUBLE,
    "BOOLEAN": FieldDescriptorProto.TYPE_BOOL,
    "TIMESTAMP": FieldDescriptorProto.TYPE_INT64,
    "DATE": FieldDescriptorProto.TYPE_INT32,
    "BYTES": FieldDescriptorProto.TYPE_BYTES,
    "RECORD": FieldDescriptorProto.TYPE_MESSAGE,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)


class RowValueError(ValueError):
    """A value cannot be written in its column's type. It quotes no value.

    Args:
        column: The column.
    """

    def __init__(self, column: str) -> None:
        super().__init__(f"column {column} has a value of another type")
        self.column = column


class RowSchema:
    """Serialises the rows of one table.

    Args:
        columns: What is written. Of columns with one name the first counts.
        upserts: Whether each row says that it replaces the one with its primary key.

    Attributes:
        descriptor: The writer schema.
    """

    def __init__(self, columns: Iterable[Column | TableField], *, upserts: bool = False) -> None:
        by_name = {column.name.casefold(): column for column in reversed(list(columns))}
        written = list(reversed(by_name.values()))
        self.descriptor = DescriptorProto(name="Row")
        _describe(self.descriptor, written)
        self._further = {CHANGE_TYPE: UPSERT} if upserts else {}
        if upserts:
            self.descriptor.field.add(
                name=CHANGE_TYPE,
                number=len(written) + 1,
                label=FieldDescriptorProto.LABEL_OPTIONAL,
                type=FieldDescriptorProto.TYPE_STRING,
            )
        pool = descriptor_pool.DescriptorPool()
        pool.Add(FileDescriptorProto(name="row.proto", syntax="proto2", message_type=[self.descriptor]))
        self._message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("Row"))
        self._serialize = self._message.SerializeToString  # of the class: a column may have the method's name
        self._conversions = _conversions(written)
        self._names = {
            column.name: name
            for column, name in zip(written, _names(written), strict=True)
            if name != column.name
        }

    def serialize(self, values: dict[str, Json]) -> bytes:
        """Return a row as its message.

        Args:
            values: What is written, by column, as insertAll takes it.

        Raises:
            RowValueError: a value is not of its column's type. Rows that `enrichment.row` built have none.
        """
        found = {**values, **self._further}
        for name, convert in self._conversions:
            if name in found:
                try:
                    found[name] = convert(found[name])
                except (ValueError, TypeError, OverflowError, AttributeError):
                    raise RowValueError(name) from None
        if self._names:
            found = {self._names.get(name, name): value for name, value in found.items()}
        return self._serialize(self._message(**found))  # type: ignore[no-any-return]


def _describe(message: DescriptorProto, columns: _Columns) -> None:
    names = _names(columns)
    taken = {name.casefold() for name in names}
    json_names = Counter(map(_json_name, names))
    for number, (column, name) in enumerate(zip(columns, names, strict=True), start=1):
        field = message.field.add(name=name, number=number, type=_TYPES[column.type], label=_label(column))
        if json_names[_json_name(name)] > 1:  # foo_bar and fooBar are two columns, and one name in JSON
            field.json_name = name
        if name != column.name:
            field.options.MergeFromString(_column_name(column.name))
        if column.type == "RECORD":
            nested = f"record_{number}"
            while nested.casefold() in taken:
                nested += "_"
            field.type_name = nested
            _describe(message.nested_type.add(name=nested), column.fields)


def _label(column: Column | TableField) -> int:
    if column.repeated:
        return int(FieldDescriptorProto.LABEL_REPEATED)
    required = column.required
    return int(FieldDescriptorProto.LABEL_REQUIRED if required else FieldDescriptorProto.LABEL_OPTIONAL)


def _names(columns: _Columns) -> list[str]:
    """Return the names of the fields: the column's own where a field can have it."""
    return [
        column.name if _IDENTIFIER.fullmatch(column.name) else f"column_{column.name.encode().hex()}"
        for column in columns
    ]


def _json_name(name: str) -> str:
    """Return the name of a field in JSON, as protobuf makes it."""
    return re.sub(r"_+(.?)", lambda found: found[1].upper(), name)


def _column_name(name: str) -> bytes:
    """Return the options of a field that holds the column of this name."""
    text = name.encode()
    return _varint(COLUMN_NAME << 3 | 2) + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _conversions(columns: _Columns) -> list[tuple[str, _Convert]]:
    """Return the columns whose values are converted, and how. Most are texts, which stay as they are."""
    found = []
    for column in columns:
        convert = _record(column.fields) if column.type == "RECORD" else _CONVERSIONS.get(column.type)
        if convert is not None:
            found.append((column.name, _each(convert) if column.repeated else convert))
    return found


def _each(convert: _Convert) -> _Convert:
    return lambda values: [convert(value) for value in values]


def _record(fields: _Columns) -> _Convert | None:
    conversions = _conversions(fields)
    names = {
        field.name: name for field, name in zip(fields, _names(fields), strict=True) if name != field.name
    }
    if not conversions and not names:
        return None

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        found = dict(record)
        for name, convert_one in conversions:
            if name in found:
                found[name] = convert_one(found[name])
        return {names.get(name, name): value for name, value in found.items()} if names else found

    return convert


def _microseconds(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = parse_timestamp(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // _MICROSECOND


def _days(text: str) -> int:
    return date.fromisoformat(text).toordinal() - _EPOCH_DAY


_CONVERSIONS: dict[str, _Convert] = {
    "INTEGER": int,
    "FLOAT": float,
    "TIMESTAMP": _microseconds,
    "DATE": _days,
    "BYTES": binascii.a2b_base64,
}
