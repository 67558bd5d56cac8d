"""Streaming inserts: which rows of a request are written, and which errors the others get. Pure.

The rules are the service's: without `skipInvalidRows` one bad row keeps the whole request out, and its innocent
neighbours are reported as `stopped`; with it, the good rows are written and only the bad ones reported.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll
"""

from __future__ import annotations

import collections
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshlab.cloud.bigquery.cell_values import BadValueError, Stored, convert, within_parameters
from meshlab.cloud.bigquery.errors import ApiError, invalid, unsupported

if TYPE_CHECKING:
    from meshlab.cloud.bigquery.catalogue import Table
    from meshlab.cloud.bigquery.schema import Field, Schema

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_ROWS = 50_000
MAX_INSERT_ID_CHARS = 128
DEDUPLICATION_WINDOW_S = 60.0
PAST_DAYS = 1825
FUTURE_DAYS = 366

Row = dict[str, "Stored | list[Any] | Row | None"]

_OPTIONS = {"kind", "rows", "skipInvalidRows", "ignoreUnknownValues", "traceId"}


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request: rows with their insertIds, not yet judged."""

    rows: list[tuple[str | None, Mapping[str, Any]]]
    skip_invalid_rows: bool
    ignore_unknown_values: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Disposition of the rows of a request."""

    accepted: list[tuple[str | None, Row]]
    insert_errors: list[dict[str, Any]]


def parse_request(body: Mapping[str, Any]) -> Request:
    """Check a request as a whole.

    Raises:
        ApiError: It has no rows or too many, an option that is not offered, or an insertId that is too long.
    """
    unknown = sorted(key for key, value in body.items() if key not in _OPTIONS and value is not None)
    if unknown:
        raise unsupported(f"{', '.join(unknown)} in insertAll")
    rows = body.get("rows")
    if not isinstance(rows, list) or not rows:
        raise invalid("No rows present in the request.")
    if len(rows) > MAX_ROWS:
        raise invalid(f"too many rows present in the request, limit: {MAX_ROWS} row count: {len(rows)}.")
    return Request(
        [_parse_row(index, row) for index, row in enumerate(rows)],
        bool(body.get("skipInvalidRows")),
        bool(body.get("ignoreUnknownValues")),
    )


def judge(request: Request, schema: Schema, partitions: Partitions | None = None) -> Verdict:
    """Check each row against the schema and apply the rule for requests with bad rows.

    Args:
        request: The rows and options.
        schema: The table's schema.
        partitions: Which partitions take streamed rows; None where the table has none by a column.
    """
    accepted: list[tuple[str | None, Row]] = []
    errors: list[dict[str, Any]] = []
    for index, (insert_id, content) in enumerate(request.rows):
        try:
            row = _record(content, schema, "", request.ignore_unknown_values)
            _check_partition(row, partitions)
            accepted.append((insert_id, row))
        except _RowError as error:
            errors.append(_error(index, "invalid", error.location, str(error)))
    if errors and not request.skip_invalid_rows:
        return Verdict([], _with_stopped(errors, len(request.rows)))
    return Verdict(accepted, errors)


def _check_partition(row: Row, partitions: Partitions | None) -> None:
    if partitions is not None and (problem := partitions.problem(row)):
        raise _RowError(problem, "")


def refuse_missing_defaults(verdict: Verdict, schema: Schema) -> None:
    """Refuse rows without a value for a column that has a default: what insertAll makes of these is not known here.

    Raises:
        ApiError: There is such a row.
    """
    names = [item.name for item in schema.fields if item.default]
    for name in names:
        if any(name not in row for _, row in verdict.accepted):
            raise unsupported(f"default values in insertAll (of the column {name})")


def fail_rows(bad_rows: Mapping[int, str], row_count: int) -> Verdict:
    """Keep a request out because some of its rows met a fault of the service.

    Args:
        bad_rows: The reason of each such row, by its place in the request.
        row_count: How many rows the request has.
    """
    message = "Error encountered during execution. Retrying may solve the problem."
    errors = [_error(index, reason, "", message) for index, reason in bad_rows.items()]
    return Verdict([], _with_stopped(errors, row_count))


@dataclass(frozen=True, slots=True)
class Partitions:
    """The partitions of a table that take streamed rows.

    Source: https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery#time-unit_column_partitioning

    Args:
        table: The table as the service names it, `p:d.t`.
        column: The column that the table is partitioned by.
        now_s: The time, in seconds since the epoch.
    """

    table: str
    column: str
    now_s: float

    @classmethod
    def of(cls, table: Table, now_s: float) -> Partitions | None:
        """Return the partitions of a table; None where it has none by a column."""
        column = table.partition_column()
        return cls(table.resource["id"], column, now_s) if column else None

    def problem(self, row: Row) -> str:
        """Return what is said of a row whose partition is too far in the past or in the future; empty if none is."""
        value = row.get(self.column)
        if not isinstance(value, str):
            return ""
        moment = datetime.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        days = (moment.timestamp() - self.now_s) / 86_400
        if -PAST_DAYS <= days <= FUTURE_DAYS:
            return ""
        return (
            f"Value {round(moment.timestamp() * 1_000_000)} for partition column {self.column} of the destination "
            f"table {self.table} is outside the allowed bounds. You can only stream to partitions of date range "
            f"within {PAST_DAYS} days in the past and {FUTURE_DAYS} days in the future relative to the current "
            "date."
        )


class Deduplicator:
    """The insertIds that one table has taken lately.

    The service remembers an insertId for about a minute, best effort; this one for exactly `window_s`.

    Args:
        window_s: How long an insertId is remembered after it was first seen, in seconds.
    """

    def __init__(self, window_s: float = DEDUPLICATION_WINDOW_S) -> None:
        self._window_s = window_s
        self._seen: set[str] = set()
        # Not a dictionary alone: to find its oldest key takes longer with each one that was deleted before.
        self._by_time: collections.deque[tuple[float, str]] = collections.deque()

    def admit(self, insert_id: str | None, now_s: float) -> bool:
        """Say whether a row is new, and remember it. A row without an insertId is always new."""
        while self._by_time and now_s - self._by_time[0][0] >= self._window_s:
            self._seen.remove(self._by_time.popleft()[1])
        if not insert_id:
            return True
        if insert_id in self._seen:
            return False
        self._seen.add(insert_id)
        self._by_time.append((now_s, insert_id))
        return True


class _RowError(Exception):
    def __init__(self, message: str, location: str) -> None:
        super().__init__(message)
        self.location = location


def _parse_row(index: int, row: object) -> tuple[str | None, Mapping[str, Any]]:
    content = row.get("json") if isinstance(row, Mapping) else None
    if not isinstance(row, Mapping) or not isinstance(content, Mapping):
        raise invalid(f"The row {index} has no json that is an object.", f"rows[{index}]")
    insert_id = row.get("insertId")
    if insert_id is not None and not isinstance(insert_id, str):
        raise invalid(f"The insertId of row {index} is not a string.", f"rows[{index}].insertId")
    if insert_id and len(insert_id) > MAX_INSERT_ID_CHARS:
        raise invalid(
            f"The insertId of row {index} has {len(insert_id)} characters; the limit is {MAX_INSERT_ID_CHARS}.",
            f"rows[{index}].insertId",
        )
    return insert_id, content


def _record(content: Mapping[str, Any], schema: Schema, path: str, ignore_unknown: bool) -> Row:
    row: Row = {}
    for key, value in content.items():
        field = schema.by_name.get(key.lower())
        if field is None:
            if not ignore_unknown:
                raise _RowError(f"no such field: {key}.", f"{path}{key}")
        elif value is not None:
            where = f"{path}{key}"
            if field.repeated:
                row[field.name] = _array(field, value, where, ignore_unknown)
            else:
                row[field.name] = _single(field, value, where, ignore_unknown)
    for field in schema.fields:
        if field.name not in row:
            if field.required:
                # The service names the message type that it makes of the table, and no location.
                raise _RowError(f"Missing required field: Msg_0_CLOUD_QUERY_TABLE.{path}{field.name}.", "")
            if field.repeated:
                row[field.name] = []
    return row


def _array(field: Field, value: Any, path: str, ignore_unknown: bool) -> list[Any]:  # noqa: ANN401
    if isinstance(value, Mapping) and field.record is not None:
        raise _RowError("Repeated record added outside of an array.", path)
    if not isinstance(value, list):
        raise _RowError(f"Repeated field must be imported as a JSON array. Field: {field.name}.", path)
    items = []
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        if item is None:
            raise _RowError(
                f"Only optional fields can be set to NULL. Field: {field.name}; Value: NULL", where
            )
        items.append(_single(field, item, where, ignore_unknown))
    return items


def _single(field: Field, value: Any, path: str, ignore_unknown: bool) -> Stored | Row:  # noqa: ANN401
    if isinstance(value, list):
        raise _RowError(f"Array specified for non-repeated field: {field.name}.", path)
    if isinstance(value, Mapping) != (field.record is not None):
        raise _RowError(
            f"This field: {field.name} is {'not ' if field.record is None else ''}a record.", path
        )
    if field.record is not None:
        return _record(value, field.record, f"{path}.", ignore_unknown)
    try:
        return within_parameters(field, convert(field.type, value))
    except BadValueError as error:
        raise _RowError(str(error), path) from error


def _with_stopped(errors: list[dict[str, Any]], row_count: int) -> list[dict[str, Any]]:
    """Add those that the bad rows kept out, and put all in the order of the rows."""
    bad = {error["index"] for error in errors}
    stopped = [_error(index, "stopped") for index in range(row_count) if index not in bad]
    return sorted(errors + stopped, key=lambda error: int(error["index"]))


def _error(index: int, reason: str, location: str = "", message: str = "") -> dict[str, Any]:
    error = {"reason": reason, "location": location, "debugInfo": "", "message": message}
    return {"index": index, "errors": [error]}


def too_large(limit_bytes: int) -> ApiError:
    """Refuse a body over the limit."""
    return ApiError(413, "badRequest", f"Request payload size exceeds the limit: {limit_bytes} bytes.")
