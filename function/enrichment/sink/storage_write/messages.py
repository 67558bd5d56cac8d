"""Messages of the Storage Write API, as far as rows are written: fields, and where the methods are.

The generated classes of google-cloud-bigquery-storage cost 190 ms and 60 MiB of a start. A test compares both.
Source: https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1
"""

from typing import Any, TypeAlias

from enrichment.message_classes import BYTES, INT32, INT64, STRING, Fields, message_classes

SERVICE = "/google.cloud.bigquery.storage.v1.BigQueryWrite/"
"""What the path of each method begins with."""

COMMITTED, PENDING = 1, 2
"""Types of a write stream: rows are visible once appended, or once the stream is committed."""

DEFAULT_VALUE = 2
"""How a column without a value is read: as the column's default, as insertAll does, and not as NULL."""

Message: TypeAlias = Any
"""A message of the API. Its class is made at run time."""

FIELDS: Fields = {
    "Int64Value": {"value": (1, INT64, False)},
    "Timestamp": {"seconds": (1, INT64, False), "nanos": (2, INT32, False)},
    "Any": {"type_url": (1, STRING, False), "value": (2, BYTES, False)},
    "Status": {"code": (1, INT32, False), "message": (2, STRING, False), "details": (3, "Any", True)},
    "ErrorInfo": {"reason": (1, STRING, False)},
    # A message in a message is bytes on the wire: so a descriptor is serialised once and not at each request.
    "ProtoSchema": {"proto_descriptor": (1, BYTES, False)},
    "ProtoRows": {"serialized_rows": (1, BYTES, True)},
    "ProtoData": {"writer_schema": (1, "ProtoSchema", False), "rows": (2, "ProtoRows", False)},
    "AppendRowsRequest": {
        "write_stream": (1, STRING, False),
        "offset": (2, "Int64Value", False),
        "proto_rows": (4, "ProtoData", False),
        "trace_id": (6, STRING, False),
        "default_missing_value_interpretation": (8, INT32, False),
    },
    "AppendResult": {"offset": (1, "Int64Value", False)},
    "RowError": {
        "index": (1, INT64, False),
        "code": (2, INT32, False),
        "message": (3, STRING, False),
    },
    "AppendRowsResponse": {
        "append_result": (1, "AppendResult", False),
        "error": (2, "Status", False),
        "row_errors": (4, "RowError", True),
        "write_stream": (5, STRING, False),
    },
    "StorageError": {"code": (1, INT32, False), "error_message": (3, STRING, False)},
    "WriteStream": {
        "name": (1, STRING, False),
        "type": (2, INT32, False),
        "create_time": (3, "Timestamp", False),
    },
    "CreateWriteStreamRequest": {"parent": (1, STRING, False), "write_stream": (2, "WriteStream", False)},
    "GetWriteStreamRequest": {"name": (1, STRING, False)},
    "FinalizeWriteStreamRequest": {"name": (1, STRING, False)},
    "FinalizeWriteStreamResponse": {"row_count": (1, INT64, False)},
    "BatchCommitWriteStreamsRequest": {"parent": (1, STRING, False), "write_streams": (2, STRING, True)},
    "BatchCommitWriteStreamsResponse": {
        "commit_time": (1, "Timestamp", False),
        "stream_errors": (2, "StorageError", True),
    },
}
STORAGE_ERROR_CODES = (
    "STORAGE_ERROR_CODE_UNSPECIFIED",
    "TABLE_NOT_FOUND",
    "STREAM_ALREADY_COMMITTED",
    "STREAM_NOT_FOUND",
    "INVALID_STREAM_TYPE",
    "INVALID_STREAM_STATE",
    "STREAM_FINALIZED",
    "SCHEMA_MISMATCH_EXTRA_FIELDS",
    "OFFSET_ALREADY_EXISTS",
    "OFFSET_OUT_OF_RANGE",
    "CMEK_NOT_PROVIDED",
    "INVALID_CMEK_PROVIDED",
    "CMEK_ENCRYPTION_ERROR",
    "KMS_SERVICE_ERROR",
    "KMS_PERMISSION_DENIED",
)
"""Names of `StorageError.code`, by their numbers."""

ROW_ERROR_CODES = ("ROW_ERROR_CODE_UNSPECIFIED", "FIELDS_ERROR")
"""Names of `RowError.code`, by their numbers."""

_MADE = message_classes("storage_write", FIELDS)
Int64Value = _MADE["Int64Value"]
ProtoSchema = _MADE["ProtoSchema"]
ProtoRows = _MADE["ProtoRows"]
ProtoData = _MADE["ProtoData"]
AppendRowsRequest = _MADE["AppendRowsRequest"]
AppendRowsResponse = _MADE["AppendRowsResponse"]
Status = _MADE["Status"]
ErrorInfo = _MADE["ErrorInfo"]
StorageError = _MADE["StorageError"]
WriteStream = _MADE["WriteStream"]
CreateWriteStreamRequest = _MADE["CreateWriteStreamRequest"]
GetWriteStreamRequest = _MADE["GetWriteStreamRequest"]
FinalizeWriteStreamRequest = _MADE["FinalizeWriteStreamRequest"]
FinalizeWriteStreamResponse = _MADE["FinalizeWriteStreamResponse"]
BatchCommitWriteStreamsRequest = _MADE["BatchCommitWriteStreamsRequest"]
BatchCommitWriteStreamsResponse = _MADE["BatchCommitWriteStreamsResponse"]
