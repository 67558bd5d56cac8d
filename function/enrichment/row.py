"""The row an event becomes. Its columns are described in `table.json`, the one definition of the table."""

import json
from dataclasses import dataclass
from datetime import datetime

from enrichment.event import Event
from enrichment.instant import rfc3339
from enrichment.message import Message
from enrichment.outcome import BadEventError, Stage

MAX_ROW_BYTES = 10_000_000
"""Largest row, and largest request, of BigQuery's insertAll (https://cloud.google.com/bigquery/quotas)."""

_REQUEST_BYTES = 1_000  # what the request wraps round a single row, generously


@dataclass(frozen=True, slots=True)
class Row:
    """One row to write.

    Args:
        insert_id: Equal ids within BigQuery's de-duplication window make one row.
        columns: Column name to value, as insertAll takes them.
    """

    insert_id: str
    columns: dict[str, str]


def build(event: Event, profile: str, message: Message, trace_id: str, enriched_at: datetime) -> Row:
    """Joins an event with its profile.

    Args:
        event: The event.
        profile: The profile, a JSON text.
        message: The message that carried the event.
        trace_id: The trace both belong to.
        enriched_at: Now, in UTC.

    Returns:
        The row. JSON columns hold the JSON text as a string, which is how insertAll takes them.

    Raises:
        BadEventError: `row_too_large`, BigQuery would refuse the row for its size.
    """
    columns = {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "type": event.type,
        "occurred_at": rfc3339(event.occurred_at),
        "event": event.text,
        "profile": profile,
        "message_id": message.message_id,
        "publish_time": rfc3339(message.publish_time or enriched_at),
        "enriched_at": rfc3339(enriched_at),
        "trace_id": trace_id,
    }
    size = _encoded_size(columns)
    if size > MAX_ROW_BYTES:
        raise BadEventError(
            Stage.ROW, "row_too_large", f"the row takes {size} bytes and BigQuery takes {MAX_ROW_BYTES}"
        )
    return Row(event.event_id, columns)


def _encoded_size(columns: dict[str, str]) -> int:
    length = sum(map(len, columns.values()))
    if length * 6 + _REQUEST_BYTES <= MAX_ROW_BYTES:  # no character takes more than the 6 bytes of \uXXXX
        return length
    return len(json.dumps(columns)) + _REQUEST_BYTES
