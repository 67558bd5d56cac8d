"""Schemas of writers: a descriptor against a table's columns, and rows decoded by both. Pure.

A writer's schema is read as proto2, as the service does: a field that is not on the wire has no value, and the zero of
a proto3 field without `optional` is not on the wire. What is on the wire and not in the descriptor is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from meshlab.cloud.bigquery.cell_values import BadValueError, within_parameters
from meshlab.cloud.bigquery.change_capture import CHANGE_SEQUENCE_NUMBER, CHANGE_TYPE
from meshlab.cloud.bigquery.write_api.errors import Code, StorageCode, WriteError, invalid
from meshlab.cloud.bigquery.write_api.proto_values import TIMESTAMP_MESSAGE, WRAPPERS, conversion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.cloud.bigquery.insert_all import Row
    from meshlab.cloud.bigquery.schema import Field, Schema
    from meshlab.cloud.bigquery.write_api.protocol import Proto

_FILE = "BqMessage.proto"
_KNOWN_FILES = ("google/protobuf/wrappers.proto", "google/protobuf/timestamp.proto")
_PSEUDO_COLUMNS = {name.lower(): name for name in (CHANGE_TYPE, CHANGE_SEQUENCE_NUMBER)}
_REQUIRED = descriptor_pb2.FieldDescriptorProto.LABEL_REQUIRED
_OPTIONAL = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL


class RowError(Exception):
    """A row does not fit; the message is the one for `row_errors`."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One row.

    Attributes:
        row: Its columns, in the form that the store reads.
        pseudo: The values of pseudo-columns, by name.
    """

    row: Row
    pseudo: Mapping[str, str]


class Decoder:
    """Reads the rows of a writer for one table.

    Attributes:
        pseudo_columns: Those that the writer's schema has, such as `_CHANGE_TYPE`.
        missing: Columns of the table that the writer's schema has not, in lower case.
    """

    def __init__(self, message: Proto, record: _Record, pseudo: Mapping[int, str]) -> None:
        self._class = message
        self._record = record
        self._pseudo = pseudo
        self.pseudo_columns = frozenset(pseudo.values())
        self.missing = record.missing

    def decode(self, data: bytes) -> Decoded:
        """Read one row; columns without a value are not in it, but for repeated ones.

        Raises:
            RowError: A value does not fit its column, or the bytes are no such message.
        """
        try:
            message = self._class.FromString(data)
        except DecodeError:
            raise RowError("The row cannot be parsed with the writer's schema.") from None
        if not self._pseudo:
            return Decoded(self._record.read(message, ""), {})
        pseudo = {
            self._pseudo[field.number]: str(value)
            for field, value in message.ListFields()
            if field.number in self._pseudo
        }
        return Decoded(self._record.read(message, ""), pseudo)


@lru_cache(maxsize=64)
def compile_schema(descriptor: bytes, schema: Schema, stream: str) -> Decoder:
    """Check a writer's schema against a table, and make what reads its rows.

    Args:
        descriptor: The serialized DescriptorProto.
        schema: The table's columns.
        stream: The stream that it came for, for errors.

    Raises:
        WriteError: It is no valid schema, has a field that the table has not, or one of another type.
    """
    message = _message_class(descriptor, stream)
    pseudo = {
        field.number: _PSEUDO_COLUMNS[field.name.lower()]
        for field in message.DESCRIPTOR.fields
        if field.name.lower() in _PSEUDO_COLUMNS
    }
    extra: list[str] = []
    record = _Record(message.DESCRIPTOR, schema, "", extra, set(pseudo), stream)
    if extra:
        raise WriteError(
            Code.INVALID_ARGUMENT,
            f"Input schema has more fields than BigQuery schema, extra fields: '{','.join(extra)}'",
            stream,
            StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS,
        )
    return Decoder(message, record, pseudo)


class _Record:
    """Reads one message as a record."""

    def __init__(
        self,
        message: Proto,
        schema: Schema,
        path: str,
        extra: list[str],
        passed: set[int],
        stream: str,
    ) -> None:
        self._by_number: dict[int, tuple[str, Callable[[Any, str], Any] | None]] = dict.fromkeys(
            passed, ("", None)
        )
        self._repeated = [item.name for item in schema.fields if item.repeated]
        found = set()
        for field in message.fields:
            if field.number in passed:
                continue
            column = schema.by_name.get(field.name.lower())
            if column is None:
                extra.append(f"{path}{field.name}")
                continue
            found.add(column.name)
            read = self._reader(field, column, f"{path}{column.name}", extra, stream)
            self._by_number[field.number] = (column.name, read)
        self.missing = frozenset(item.name for item in schema.fields if item.name not in found)
        # Of the first level the connection decides, which knows the defaults.
        self._required = [item.name for item in schema.fields if item.required] if path else []

    def read(self, message: Proto, path: str) -> Row:
        row: Row = {name: [] for name in self._repeated}
        for field, value in message.ListFields():
            name, read = self._by_number[field.number]
            if read is not None:
                row[name] = read(value, f"{path}{name}")
        for name in self._required:
            if name not in row:
                raise RowError(f"Missing required value on field {path}{name}.")
        return row

    def _reader(
        self,
        field: Proto,
        column: Field,
        path: str,
        extra: list[str],
        stream: str,
    ) -> Callable[[Any, str], Any]:
        single: Callable[[Any, str], Any]
        if column.record is not None and field.message_type is not None:
            single = _nested(_Record(field.message_type, column.record, f"{path}.", extra, set(), stream))
        else:
            convert = None if column.record else conversion(field, column.type)
            if convert is None:
                raise _mismatch(field, column, path, stream)
            single = _checked(convert, column)
        if field.is_repeated != column.repeated:
            raise _mismatch(field, column, path, stream)
        if not column.repeated:
            return single
        return lambda values, where: [single(value, where) for value in values]


def _nested(record: _Record) -> Callable[[Any, str], Any]:
    return lambda value, path: record.read(value, f"{path}.")


def _checked(convert: Callable[[Any], Any], column: Field) -> Callable[[Any, str], Any]:
    def read(value: Any, path: str) -> Any:  # noqa: ANN401
        try:
            return within_parameters(column, convert(value))
        except BadValueError as error:
            raise RowError(f"{error} on field {path}.") from None

    return read


def _mismatch(field: Proto, column: Field, path: str, stream: str) -> WriteError:
    kind = descriptor_pb2.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    repeated = "repeated " if field.is_repeated else ""
    wanted = f"{'REPEATED ' if column.repeated else ''}{column.type}"
    return invalid(
        f"The proto field mismatched with BigQuery field at {path}, the proto field type {repeated}{kind}, "
        f"BigQuery field type {wanted}.",
        stream,
    )


def _message_class(descriptor: bytes, stream: str) -> Proto:
    try:
        message = descriptor_pb2.DescriptorProto.FromString(descriptor)
    except DecodeError:
        raise invalid("Invalid proto schema: it is no DescriptorProto.", stream) from None
    if not message.field:
        raise invalid(f"Invalid proto schema: {_FILE}: {message.name} has no fields.", stream)
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, syntax="proto2")
    known = _normalize(message, message.name, stream)
    file.message_type.add().CopyFrom(message)
    pool = descriptor_pool.DescriptorPool()
    if known:
        _add_known(pool)
        file.dependency.extend(_KNOWN_FILES)
    try:
        pool.Add(file)
        found = pool.FindMessageTypeByName(message.name)
        return message_factory.GetMessageClass(found)
    except (TypeError, KeyError, ValueError) as error:
        raise invalid(f"Invalid proto schema: {_FILE}: {error}", stream) from None


def _normalize(message: descriptor_pb2.DescriptorProto, path: str, stream: str) -> bool:
    """Refuse what proto2 has not, and let a required field be missing; return whether known types are used."""
    known = False
    for field in message.field:
        if field.proto3_optional:
            raise invalid(
                f"Invalid proto schema: {_FILE}: {path}.{field.name}: The [proto3_optional=true] option may only be "
                f"set on proto3 fields, not {path}.{field.name}",
                stream,
            )
        # A row without it is refused by name, and only if the table requires it.
        if field.label == _REQUIRED:
            field.label = _OPTIONAL
        name = field.type_name.lstrip(".")
        known = known or name in WRAPPERS or name == TIMESTAMP_MESSAGE
    for nested in message.nested_type:
        known = _normalize(nested, f"{path}.{nested.name}", stream) or known
    return known


def _add_known(pool: Proto) -> None:
    from google.protobuf import timestamp_pb2, wrappers_pb2

    for module in (wrappers_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
