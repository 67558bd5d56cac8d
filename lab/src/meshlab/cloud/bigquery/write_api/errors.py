"""Errors of the Storage Write API: a gRPC code, a sentence, and the service's own code in the details.

Source: https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#storageerror
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.write_api.protocol import PACKAGE, message

if TYPE_CHECKING:
    from meshlab.cloud.bigquery.write_api.protocol import Proto


class Code(enum.IntEnum):
    """The gRPC codes that are used here."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class StorageCode(enum.IntEnum):
    """StorageError.StorageErrorCode, those of it that are used here."""

    UNSPECIFIED = 0
    TABLE_NOT_FOUND = 1
    STREAM_ALREADY_COMMITTED = 2
    STREAM_NOT_FOUND = 3
    INVALID_STREAM_TYPE = 4
    INVALID_STREAM_STATE = 5
    STREAM_FINALIZED = 6
    SCHEMA_MISMATCH_EXTRA_FIELDS = 7
    OFFSET_ALREADY_EXISTS = 8
    OFFSET_OUT_OF_RANGE = 9


class WriteError(Exception):
    """A refusal.

    Args:
        code: The gRPC code.
        text: What was refused and why.
        entity: The table or stream, which the service names at the end of the sentence; empty for none.
        storage: The service's own code; for most refusals it has none.
        row_errors: By the row's place in the request, what is wrong with it.
        ends_call: Whether it ends a call of AppendRows. Otherwise it is the response to one request, and the next one
            may succeed.
    """

    def __init__(
        self,
        code: Code,
        text: str,
        entity: str = "",
        storage: StorageCode = StorageCode.UNSPECIFIED,
        *,
        row_errors: dict[int, str] | None = None,
        ends_call: bool = True,
    ) -> None:
        super().__init__(f"{text} Entity: {entity}" if entity else text)
        self.code = code
        self.entity = entity
        self.storage = storage
        self.row_errors = row_errors or {}
        self.ends_call = ends_call

    def storage_error(self) -> Proto:
        """Return the StorageError."""
        return message("StorageError")(code=self.storage, entity=self.entity, error_message=str(self))

    def status(self) -> Proto:
        """Return the google.rpc.Status."""
        status = message("Status")(code=self.code, message=str(self))
        if self.storage:
            url = f"type.googleapis.com/{PACKAGE}.StorageError"
            status.details.add(type_url=url, value=self.storage_error().SerializeToString())
        return status


def invalid(text: str, entity: str = "") -> WriteError:
    """Refuse a request that breaks a rule of the service."""
    return WriteError(Code.INVALID_ARGUMENT, text, entity)


def unsupported(what: str) -> WriteError:
    """Refuse what the service has and this fake has not."""
    return WriteError(Code.UNIMPLEMENTED, f"This fake for BigQuery does not offer {what}.")


def table_not_found(table: str) -> WriteError:
    """Return the error of a missing table in a dataset that exists."""
    return WriteError(Code.NOT_FOUND, "Requested entity was not found.", table, StorageCode.TABLE_NOT_FOUND)


def no_permission(table: str) -> WriteError:
    """Return the error of a table of another project or dataset, whether it exists or not."""
    return WriteError(
        Code.PERMISSION_DENIED,
        f"Permission 'TABLES_UPDATE_DATA' denied on resource '{table}' (or it may not exist).",
    )


def stream_not_found(stream: str) -> WriteError:
    """Return the error of a stream that does not exist."""
    return WriteError(Code.NOT_FOUND, "Requested entity was not found.", stream, StorageCode.STREAM_NOT_FOUND)


def unavailable(text: str) -> WriteError:
    """Return the error of a service that is unavailable for now."""
    return WriteError(Code.UNAVAILABLE, text)


def over_quota(quota: str, stream: str = "") -> WriteError:
    """Return the error of an exceeded quota.

    Args:
        quota: Its name.
        stream: The stream of the one request that this is the response to; empty if the call ends.
    """
    return WriteError(
        Code.RESOURCE_EXHAUSTED,
        f"Exceeds '{quota}' quota, user_id: 1 (status: INSUFFICIENT_TOKENS), you can issue a raise quota request "
        "through Google Cloud Console. Be sure to include this full error message in the request description.",
        stream,
        ends_call=not stream,
    )
