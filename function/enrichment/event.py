"""The event inside a message."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from enrichment import strict_json
from enrichment.instant import to_utc
from enrichment.outcome import BadEventError, Stage

MAX_EVENT_ID_LENGTH = 128
"""Longest insertId BigQuery takes (https://cloud.google.com/bigquery/quotas#streaming_inserts)."""

MAX_USER_ID_LENGTH = 256
MAX_TYPE_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event.

    Args:
        event_id: The publisher's own name for it; the same event published twice has the same one.
        user_id: Whose profile to look up.
        type: What happened.
        occurred_at: When, in UTC.
        text: The whole event as it came, JSON.
    """

    event_id: str
    user_id: str
    type: str
    occurred_at: datetime
    text: str


def decode(data: bytes) -> Event:
    """Decodes and validates an event.

    Args:
        data: The message's bytes: a JSON object with `event_id`, `user_id`, `type`, `occurred_at` (RFC 3339
            with an offset) and anything else.

    Returns:
        The event.

    Raises:
        BadEventError: `json_invalid`, it is not JSON; `event_invalid`, it is, but not an event.
    """
    try:
        known = strict_json.decode(data, _KnownFields)
        occurred_at = to_utc(known.occurred_at)
    except strict_json.NotJsonError as error:
        raise BadEventError(Stage.DECODE, "json_invalid", f"the message is not JSON: {error}") from None
    except strict_json.NotValidError as error:
        raise BadEventError(Stage.DECODE, "event_invalid", f"the message is not an event: {error}") from None
    except OverflowError:
        raise BadEventError(
            Stage.DECODE, "event_invalid", "occurred_at lies outside the years 1 to 9999 in UTC"
        ) from None
    return Event(known.event_id, known.user_id, known.type, occurred_at, data.decode())


# Control characters have no place in a name: they hide in logs, and in a path or an insertId they are
# trouble.
_PRINTABLE = r"\A[^\x00-\x1f\x7f]*\Z"


class _KnownFields(msgspec.Struct):
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_EVENT_ID_LENGTH, pattern=_PRINTABLE)]
    user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_USER_ID_LENGTH, pattern=_PRINTABLE)]
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TYPE_LENGTH, pattern=_PRINTABLE)]
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
