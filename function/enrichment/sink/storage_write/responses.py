"""Answers to an append, and what follows from each. Pure."""

import enum
import re
from collections.abc import Sequence

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from enrichment.errors import (
    POLICY,
    EnrichmentError,
    Stage,
    failure,
    of_google_answer,
)
from enrichment.errors.remote_errors import (
    APPEND_ERRORS,
    APPEND_MESSAGES,
    GRPC_STATUSES,
    RETRIED_GRPC_CODES,
    AppendError,
)
from enrichment.sink.insert_all_response import InsertErrors
from enrichment.sink.storage_write.messages import (
    ROW_ERROR_CODES,
    STORAGE_ERROR_CODES,
    AppendRowsResponse,
    ErrorInfo,
    Message,
    StorageError,
)
from enrichment.sink.when_to_write import RefusedError

_ERROR_INFO = "/google.rpc.ErrorInfo"
_STORAGE_ERROR = "/google.cloud.bigquery.storage.v1.StorageError"
_MESSAGES = [(re.compile(known.pattern, re.ASCII), known.reason) for known in APPEND_MESSAGES]
_COLUMN = r"(?:[Ff]ield|[Cc]olumn) '?(?:root\.)?(?P<column>[A-Za-z_]\w{0,299})"
_COLUMNS = (re.compile(rf"on {_COLUMN}[\w.\[\]]*'?\.?\Z", re.ASCII), re.compile(_COLUMN, re.ASCII))
"""Where a message names its column: at its end, else anywhere."""
_NAMES = tuple(GRPC_STATUSES)  # by the code's number, behind OK


class AppendResponse(msgspec.Struct, frozen=True):
    """What became of one append.

    Args:
        code: gRPC's name of the status: `OK`, `UNAVAILABLE`.
        storage_code: The name of the StorageError; empty if there is none.
        message: What is said beside that. It may quote values of a row.
        reasons: Google's own reasons, of its ErrorInfo.
        rows: What is said of single rows, none of which was written then.
        offset: The offset that the rows are written at; None where the answer names none.
        answered: Whether the server answered this append: without that its rows may be written.
        stale: Whether a connection that was kept from earlier appends turned out to be closed.
    """

    code: str
    storage_code: str = ""
    message: str = ""
    reasons: tuple[str, ...] = ()
    rows: InsertErrors = ()
    offset: int | None = None
    answered: bool = True
    stale: bool = False

    @property
    def named(self) -> AppendError | None:
        """What is known of the StorageError, or of a gRPC status that stands for one."""
        return APPEND_ERRORS.get(self.storage_code) or APPEND_ERRORS.get(_OFFSETS.get(self.code, ""))


_OFFSETS = {"ALREADY_EXISTS": "OFFSET_ALREADY_EXISTS", "OUT_OF_RANGE": "OFFSET_OUT_OF_RANGE"}

WRITTEN = AppendResponse("OK")
LOST = AppendResponse("DATA_LOSS", message="the stream was given up, and its rows with it")
NO_ANSWER = AppendResponse("DEADLINE_EXCEEDED", message="there was no answer in time", answered=False)
NOT_SENT = AppendResponse("DEADLINE_EXCEEDED", message="its time was over before it was sent")
UNREADABLE = AppendResponse("UNKNOWN", message="the answer cannot be read", answered=False)


class Step(enum.Enum):
    """What to do after an append that did not write its rows."""

    FAIL = enum.auto()
    RETRY = enum.auto()
    NEW_TOKEN = enum.auto()
    NEW_STREAM = enum.auto()


def read_response(data: bytes) -> AppendResponse:
    """Read an AppendRowsResponse. Rows count as written only where the response says so.

    Args:
        data: The message, serialised.
    """
    try:
        response = AppendRowsResponse.FromString(data)
    except DecodeError:
        return UNREADABLE
    row_errors, error = response.row_errors, response.error
    if row_errors:
        rows = [
            {
                "index": found.index,
                "errors": [
                    {
                        "reason": _name(ROW_ERROR_CODES, found.code),
                        "location": _column(found.message),
                        "message": found.message,
                    }
                ],
            }
            for found in row_errors
        ]
        return AppendResponse("INVALID_ARGUMENT", message=error.message, rows=rows)
    if response.HasField("error"):
        return read_status(error, answered=True)
    result = response.append_result
    if result.HasField("offset"):
        return AppendResponse("OK", offset=result.offset.value)
    return WRITTEN if response.HasField("append_result") or response.write_stream else UNREADABLE


def read_status(status: Message, *, answered: bool) -> AppendResponse:
    """Read a `google.rpc.Status` that stands in the place of a result. The code OK in it is an unknown error.

    Args:
        status: The message.
        answered: Whether it is the answer to an append, and not the end of its connection.
    """
    storage, reasons = "", []
    for detail in status.details:
        try:
            if detail.type_url.endswith(_STORAGE_ERROR):
                storage = storage_code(StorageError.FromString(detail.value).code)
            elif detail.type_url.endswith(_ERROR_INFO):
                reasons.append(ErrorInfo.FromString(detail.value).reason)
        except DecodeError:  # the code and the message are left
            continue
    return AppendResponse(_grpc_name(status.code), storage, status.message, tuple(reasons), answered=answered)


def storage_code(number: int) -> str:
    """Return the name of a StorageError's code; empty where this version does not know it."""
    return _name(STORAGE_ERROR_CODES, number)


def _grpc_name(code: int) -> str:
    """Return gRPC's name of the status code of an error (google/rpc/code.proto)."""
    return _NAMES[code - 1] if 1 <= code <= len(_NAMES) else "UNKNOWN"


def step_after(answer: AppendResponse, *, replaceable: bool) -> Step:
    """Decide what to do after an append that was refused or not answered.

    Args:
        answer: The answer.
        replaceable: Whether another stream can take the place of this one.
    """
    if answer.code == "UNAUTHENTICATED":
        return Step.NEW_TOKEN
    named = answer.named
    if named is not None:
        if named.renews and replaceable:
            return Step.NEW_STREAM
        return Step.RETRY if POLICY[named.reason].disposition.status == 503 else Step.FAIL
    return Step.RETRY if answer.code in RETRIED_GRPC_CODES else Step.FAIL


def refused(answer: AppendResponse, table: str) -> EnrichmentError | RefusedError:
    """Return the error that an append ends with.

    Args:
        answer: The last answer.
        table: The table, for the detail.
    """
    reason, column = _blamed(answer.message)
    if answer.named is not None:
        reason = answer.named.reason
    if reason:
        rule = POLICY[reason]
        said = (answer.storage_code or answer.code) + (f" ({column})" if column else "")
        return failure(
            reason,
            f"the Storage Write API answered {said} for {table}: {rule.meaning}. To do: {rule.action}.",
            Stage.WRITE,
        )
    status = GRPC_STATUSES.get(answer.code, 500)
    decided = of_google_answer(status, answer.reasons, answer.message, Stage.WRITE, "bigquery", table)
    return RefusedError(decided) if status == 400 else decided


def _blamed(message: str) -> tuple[str, str]:
    """Return the reason that a message stands for, and the column that it names."""
    for pattern, reason in _MESSAGES:
        if found := pattern.match(message):
            return reason, found.groupdict().get("column") or ""
    return "", ""


def _column(message: str) -> str:
    """Return the column that a message of a row error names; what follows may be a value of the row."""
    for pattern in _COLUMNS:
        if found := pattern.search(message):
            return found["column"]
    return ""


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else ""
