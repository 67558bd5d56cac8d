"""The row an event becomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import msgspec

from enrichment import documents
from enrichment.errors import failure
from enrichment.event import Event
from enrichment.event.message import Message
from enrichment.lookup.profile import Profile
from enrichment.row.column_values import ColumnValueError, Json, convert, is_missing
from enrichment.settings.model import Column, Origin

MAX_ROW_BYTES = 10_000_000
"""Largest row, and largest request, of BigQuery's insertAll (https://cloud.google.com/bigquery/quotas)."""

_REQUEST_BYTES = 1_000  # what the request wraps round its rows, generously


@dataclass(frozen=True, slots=True)
class Row:
    """One row to write.

    Args:
        insert_id: Equal ids within BigQuery's de-duplication window make one row.
        columns: Column name to value, as insertAll takes them; a column without a value is left out. A JSON column
            holds its JSON as text.
        size_bytes: What the row takes in a request, at most.
    """

    insert_id: str
    columns: dict[str, Json]
    size_bytes: int


def build(
    columns: Sequence[Column],
    event: Event,
    profile: Profile | None,
    message: Message,
    trace_id: str,
    enriched_at: datetime,
) -> Row:
    """Joins an event with its profile.

    Args:
        columns: What to write.
        event: The event.
        profile: The profile, None where a row is written without one.
        message: The message that carried the event.
        trace_id: The trace both belong to.
        enriched_at: Now, in UTC.

    Returns:
        The row.

    Raises:
        BadEventError: `column_invalid`, a value does not fit its column; `column_missing`, a required column has none;
            `row_too_large`, BigQuery would refuse the row for its size. The detail names the column, never a value.
    """
    parts = _Parts(event, profile, message, trace_id, enriched_at)
    values: dict[str, Json] = {}
    for column in columns:
        try:
            value = parts.value(column)
        except ColumnValueError as error:
            raise failure(
                "column_invalid",
                f"column {column.name} has the type {column.type}: {column.source} {error}",
            ) from None
        if value is not None:
            values[column.name] = value
        elif column.required:
            raise failure(
                "column_missing",
                f"column {column.name} is required, and there is no {column.source}",
            )
    size = _size(event.event_id, values)
    if size + _REQUEST_BYTES > MAX_ROW_BYTES:
        raise failure("row_too_large", f"the row takes {size} bytes and BigQuery takes {MAX_ROW_BYTES}")
    return Row(event.event_id, values, size)


@dataclass(frozen=True, slots=True)
class _Parts:
    """All that a row is made of."""

    event: Event
    profile: Profile | None
    message: Message
    trace_id: str
    enriched_at: datetime

    def value(self, column: Column) -> "Json | None":
        """What a column gets, None for nothing; ColumnValueError if it cannot hold that."""
        if column.origin in _WITH_TEXT and not column.path and column.type in ("JSON", "STRING"):
            whole = self.event if column.origin is Origin.EVENT else self.profile
            if whole is not None:
                return whole.text  # as it came: nothing is lost in a rewrite
        try:
            found = self._find(column.origin, column.path)
        except documents.NoObjectError:
            raise ColumnValueError("cannot be found, for a part of the way to it is no object") from None
        if is_missing(column, found):
            return cast("Json | None", column.default)
        return convert(column, found)

    def _find(self, origin: Origin, path: tuple[str, ...]) -> object:
        match origin:
            case Origin.EVENT:
                return self._in_event(path)
            case Origin.PROFILE:
                return documents.find(self.profile.document, path) if self.profile else None
            case Origin.MESSAGE:
                return self._in_message(path)
            case Origin.TRACE:
                return self.trace_id
            case Origin.NOW:
                return self.enriched_at

    def _in_event(self, path: tuple[str, ...]) -> object:
        # What was declared is found as it was checked, its default included, and so is what stands inside of it.
        for length in range(len(path), 0, -1):
            if (declared := ".".join(path[:length])) in self.event.values:
                return documents.find(self.event.values[declared], path[length:])
        return documents.find(self.event.document, path)

    def _in_message(self, path: tuple[str, ...]) -> object:
        match path:
            case ("id",):
                return self.message.message_id
            case ("publish_time",):
                return self.message.publish_time
            case ("attributes", name):
                return self.message.attributes.get(name)
            case _:
                return self.message.ordering_key or None


_WITH_TEXT = (Origin.EVENT, Origin.PROFILE)


def _size(insert_id: str, values: dict[str, Json]) -> int:
    """Return what a row takes in a request, which is UTF-8 without blanks."""
    return len(msgspec.json.encode({"json": values, "insertId": insert_id})) + 1  # the comma behind it
