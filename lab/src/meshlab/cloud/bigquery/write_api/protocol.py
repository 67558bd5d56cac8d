"""Messages of google.cloud.bigquery.storage.v1.BigQueryWrite, described here field by field.

The official package has them, too, and its import takes more processor time than all of this API needs to start. So
they are written down once more, with Google's names and numbers, in a pool of their own. What is not read here is left
out. A message that another file of Google's defines is described by its fields alone: on the wire it is the same.

Source: https://github.com/googleapis/googleapis/tree/master/google/cloud/bigquery/storage/v1
"""

from __future__ import annotations

from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]

Proto: TypeAlias = Any
"""A protobuf message or its class: they are made at run time and have no static types."""

PACKAGE = "google.cloud.bigquery.storage.v1"

_TYPES = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _TYPES.TYPE_STRING,
    "bytes": _TYPES.TYPE_BYTES,
    "int32": _TYPES.TYPE_INT32,
    "int64": _TYPES.TYPE_INT64,
}

# Enumerations are their numbers: an int32 on the wire. A descriptor stays bytes: equal bytes are an equal schema.
_MESSAGES = {
    "Int64Value": "int64 value=1",
    "Timestamp": "int64 seconds=1, int32 nanos=2",
    "Any": "string type_url=1, bytes value=2",
    "Status": "int32 code=1, string message=2, Any* details=3",
    "TableFieldSchema": (
        "string name=1, int32 type=2, int32 mode=3, TableFieldSchema* fields=4, string description=6, "
        "string default_value_expression=10"
    ),
    "TableSchema": "TableFieldSchema* fields=1",
    "WriteStream": (
        "string name=1, int32 type=2, Timestamp create_time=3, Timestamp commit_time=4, TableSchema table_schema=5, "
        "int32 write_mode=7, string location=8"
    ),
    "ProtoSchema": "bytes proto_descriptor=1",
    "ProtoRows": "bytes* serialized_rows=1",
    "ProtoData": "ProtoSchema writer_schema=1, ProtoRows rows=2",
    "ArrowData": "bytes writer_schema=1, bytes rows=2",
    "Interpretation": "string key=1, int32 value=2",
    "CreateWriteStreamRequest": "string parent=1, WriteStream write_stream=2",
    "AppendRowsRequest": (
        "string write_stream=1, Int64Value offset=2, ProtoData proto_rows=4, ArrowData arrow_rows=5, "
        "string trace_id=6, Interpretation* missing_value_interpretations=7, "
        "int32 default_missing_value_interpretation=8"
    ),
    "AppendResult": "Int64Value offset=1",
    "RowError": "int64 index=1, int32 code=2, string message=3",
    "AppendRowsResponse": (
        "AppendResult append_result=1, Status error=2, TableSchema updated_schema=3, RowError* row_errors=4, "
        "string write_stream=5"
    ),
    "GetWriteStreamRequest": "string name=1, int32 view=3",
    "FinalizeWriteStreamRequest": "string name=1",
    "FinalizeWriteStreamResponse": "int64 row_count=1",
    "BatchCommitWriteStreamsRequest": "string parent=1, string* write_streams=2",
    "StorageError": "int32 code=1, string entity=2, string error_message=3",
    "BatchCommitWriteStreamsResponse": "Timestamp commit_time=1, StorageError* stream_errors=2",
    "FlushRowsRequest": "string write_stream=1, Int64Value offset=2",
    "FlushRowsResponse": "int64 offset=1",
}
"""Message to its fields: type, a star where it is repeated, name and number."""


def _describe() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="meshlab/bigquery_write.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            kind, _, rest = text.partition(" ")
            field_name, _, number = rest.partition("=")
            field = message.field.add(name=field_name, number=int(number))
            field.label = _TYPES.LABEL_REPEATED if kind.endswith("*") else _TYPES.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type, field.type_name = _TYPES.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_describe())
_CLASSES = {
    name: message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))
    for name in _MESSAGES
}


def message(name: str) -> Proto:
    """Return the class of a message, such as `AppendRowsRequest`."""
    return _CLASSES[name]


def timestamp(seconds: float) -> Proto:
    """Make a Timestamp, in microseconds as the service's."""
    micros = round(seconds * 1_000_000)
    return message("Timestamp")(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)
