"""The official client of the Storage Write API against the fake, and messages made for a test."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import grpc
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TYPES = descriptor_pb2.FieldDescriptorProto


class Message:
    """A protobuf message of a test: its descriptor, and rows of it.

    Args:
        fields: Name to type, as in a .proto file: `int64`, `string*` for a repeated one, or another Message.
        known: Files whose types it may name, such as `google/protobuf/timestamp.proto`.
    """

    def __init__(self, fields: Mapping[str, str | Message], known: Sequence[str] = ()) -> None:
        self.descriptor = descriptor_pb2.DescriptorProto(name="Row")
        for number, (name, kind) in enumerate(fields.items(), 1):
            repeated = name.endswith("*")
            field = self.descriptor.field.add(name=name.rstrip("*"), number=number)
            field.label = _TYPES.LABEL_REPEATED if repeated else _TYPES.LABEL_OPTIONAL
            if isinstance(kind, Message):
                nested = self.descriptor.nested_type.add()
                nested.CopyFrom(kind.descriptor)
                nested.name = f"{field.name}_type"
                field.type, field.type_name = _TYPES.TYPE_MESSAGE, nested.name
            elif kind.startswith("google."):
                field.type, field.type_name = _TYPES.TYPE_MESSAGE, f".{kind}"
            else:
                field.type = _TYPES.Type.Value(f"TYPE_{kind.upper()}")
        file = descriptor_pb2.FileDescriptorProto(name="test.proto", syntax="proto2", dependency=known)
        file.message_type.add().CopyFrom(self.descriptor)
        pool = descriptor_pool.DescriptorPool()
        for name in known:
            default: Any = descriptor_pool.Default()
            pool.AddSerializedFile(default.FindFileByName(name).serialized_pb)
        pool.Add(file)
        self._class = message_factory.GetMessageClass(pool.FindMessageTypeByName("Row"))

    def row(self, **values: object) -> bytes:
        """Serialize one row."""
        return bytes(self._class(**values).SerializeToString())


def append(
    message: Message | None, *rows: Mapping[str, object] | bytes, stream: str = "", **options: object
) -> types.AppendRowsRequest:
    """Make a request.

    Args:
        message: The schema that it brings; with rows as mappings this is needed.
        rows: The rows, as values or serialized.
        stream: The stream; a later request may leave it out.
        options: Other fields of the request, such as `offset`.
    """
    data = [row if isinstance(row, bytes) else serialized(message, row) for row in rows]
    request = types.AppendRowsRequest(write_stream=stream, **options)
    if message is not None:
        request.proto_rows.writer_schema.proto_descriptor = message.descriptor
    request.proto_rows.rows.serialized_rows = data
    return request


def serialized(message: Message | None, row: Mapping[str, object]) -> bytes:
    """Serialize a row of a message."""
    assert message is not None
    return message.row(**row)


@contextlib.contextmanager
def write_client(host: str, *, wait: bool = False) -> Iterator[BigQueryWriteClient]:
    """Connect the official client.

    Args:
        host: `127.0.0.1:PORT`, as in BIGQUERY_WRITE_EMULATOR_HOST.
        wait: Whether to wait until the fake answers.
    """
    with grpc.insecure_channel(host) as channel:
        if wait:
            grpc.channel_ready_future(channel).result(timeout=20)
        yield BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))


def storage_errors(details: Sequence[Any]) -> list[types.StorageError]:
    """Return the StorageErrors in the details of a status, as an error or a response has them."""
    wanted = types.StorageError.pb().DESCRIPTOR.full_name
    return [
        types.StorageError.deserialize(item.value)
        for item in details
        if item.type_url == f"type.googleapis.com/{wanted}"
    ]
