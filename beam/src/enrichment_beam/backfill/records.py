"""Records of files, tables and subscriptions as messages.

A record that is a message has the fields of one, by the names that Google's own exports use:

- a line of JSON: `data` (base64), `attributes`, `messageId`, `publishTime` and `orderingKey`, as in a push and in what
  `gcloud pubsub subscriptions pull --format=json` prints of one; all of it may stand under `message`
- a record of Avro or a row: `data`, `attributes`, `message_id`, `publish_time` and `ordering_key`, as subscriptions
  write them that export to Cloud Storage or to BigQuery with metadata
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from enrichment.core.received import Received
from enrichment.documents import strict_json
from enrichment.documents.instant import parse_rfc3339, rfc3339
from enrichment.errors import EnrichmentError, failure
from enrichment.event.message import Message

from enrichment_beam.messages import received, unreadable

MAX_RECORD_BYTES = 14_000_000
"""Longest record. A message has at most 10 MB (https://cloud.google.com/pubsub/quotas#resource_limits), in base64 a
third more."""

_MAX_ID = 128


def _other(value: object) -> str:
    """Return a value of a type that JSON has none for: an INTERVAL of BigQuery, as BigQuery writes it."""
    parts = [getattr(value, name, None) for name in _INTERVAL]
    if not all(isinstance(part, int) for part in parts):
        raise TypeError(f"values of the type {type(value).__name__} cannot be written as JSON")
    years, months, days, hours, minutes, seconds, micros = [int(part or 0) for part in parts]
    span, clock = 12 * years + months, (3600 * hours + 60 * minutes + seconds) * 1_000_000 + micros
    whole, fraction = divmod(abs(clock), 1_000_000)
    text = f"{'-' * (span < 0)}{abs(span) // 12}-{abs(span) % 12} {days} {'-' * (clock < 0)}"
    text += f"{whole // 3600}:{whole // 60 % 60}:{whole % 60}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


_INTERVAL = ("years", "months", "days", "hours", "minutes", "seconds", "microseconds")
_JSON = msgspec.json.Encoder(decimal_format="number", enc_hook=_other)
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


class EventRecords:
    """Records that are events, without a message around them.

    Each has a message id made of the input's name and its place in it, so it is the same in every run.

    Args:
        began_at: What stands for the publish time where no field does, RFC 3339.
        publish_time: Path of the field of the event that stands for it; empty for none.
    """

    def __init__(self, began_at: str, publish_time: str = "") -> None:
        self._began_at = began_at
        self._path = publish_time.split(".")[1:] if publish_time else []

    def read(self, data: bytes, name: str, place: int) -> Received:
        """Return an event as a message.

        Args:
            data: The event.
            name: The input's name.
            place: Its place in it.
        """
        return received(data, {}, message_id(name, place), self._published(data))

    def is_undated(self, found: Received) -> bool:
        """Return whether an event lacks the field that stands for its publish time, or it holds no time."""
        if not self._path or not isinstance(found.message, Message):
            return False
        # Microseconds of a clock: no event has this time by itself.
        return found.message.publish_time == parse_rfc3339(self._began_at)

    def _published(self, data: bytes) -> str:
        if not self._path:
            return self._began_at
        try:
            found: Any = msgspec.json.decode(data)
            for name in self._path:
                found = found[name]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, IndexError):
            return self._began_at  # the core says what is wrong with the event, if anything is
        return found if isinstance(found, str) and _is_instant(found) else self._began_at


class _Wire(msgspec.Struct, rename="camel"):
    data: bytes = b""
    attributes: dict[str, str] | None = None
    message_id: str = ""
    publish_time: str = ""
    ordering_key: str = ""


class _Around(msgspec.Struct):
    message: _Wire


def of_json_message(line: bytes) -> Received:
    """Return a line of JSON that is a message.

    One that is none becomes a bad event, `envelope_invalid`. Its dead letter has the whole line: the data alone would
    lose the attributes.
    """
    try:
        if "message" in msgspec.json.decode(line, type=dict[str, msgspec.Raw]):
            found = msgspec.json.decode(line, type=_Around).message
        else:
            found = msgspec.json.decode(line, type=_Wire)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
        return unreadable(line, failure("envelope_invalid", f"the line holds no message of Pub/Sub: {said}"))
    made = received(
        found.data, found.attributes or {}, found.message_id, found.publish_time, found.ordering_key
    )
    return unreadable(line, made.message) if isinstance(made.message, EnrichmentError) else made


def of_fields(fields: Mapping[str, Any]) -> Received:
    """Return a record of Avro, or a row of a table, that is a message.

    One whose attributes cannot be read becomes a bad event, `envelope_invalid`. Its dead letter has the whole record as
    JSON.
    """
    try:
        attributes = _attributes(fields.get("attributes"))
    except ValueError as error:
        problem = f"the record holds no message of Pub/Sub: its attributes are {error}"
        return unreadable(of_event_fields(fields), failure("envelope_invalid", problem))
    published = fields.get("publish_time")
    if isinstance(published, datetime):
        published = rfc3339(published.astimezone(UTC) if published.tzinfo else published.replace(tzinfo=UTC))
    return received(
        _data(fields.get("data")),
        attributes,
        str(fields.get("message_id") or ""),
        str(published or ""),
        str(fields.get("ordering_key") or ""),
    )


def of_event_fields(fields: Mapping[str, Any]) -> bytes:
    """Return a record of Avro, or a row, that is an event, as JSON: times as RFC 3339, bytes as base64."""
    try:
        found = _JSON.encode(fields)
    except UnicodeEncodeError:
        return _as_it_is(fields)
    # NaN and Infinity would be null, which is another value.
    return _as_it_is(fields) if b"null" in found and not strict_json.is_finite(fields) else found


def _as_it_is(fields: Mapping[str, Any]) -> bytes:
    """Return a record with what JSON cannot hold, for the core to name: NaN, Infinity, half of a surrogate pair."""
    return json.dumps(msgspec.to_builtins(fields, enc_hook=_other)).encode()


def is_message(names: "set[str]") -> bool:
    """Return whether fields of these names are those of a message."""
    return {"data", "message_id", "publish_time"} <= names


def message_id(name: str, place: int) -> str:
    """Return the message id of an event without one: the end of the input's name, its digest, and the place in it.

    Files in different folders often have one name (`dt=2026-01-01/part-0000.jsonl`), so the digest is of all of it.
    """
    suffix = f"-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:8]}:{place}"
    plain = _UNPRINTABLE.sub("_", name.rstrip("/").rpartition("/")[2])
    return f"{plain[-(_MAX_ID - len(suffix)) :]}{suffix}"


def _data(found: object) -> bytes:
    match found:
        case bytes():
            return found
        case str():
            return found.encode(errors="surrogatepass")
        case None:
            return b""
        case _:
            return of_event_fields({"": found})[len(b'{"":') : -1].strip()


def _attributes(found: object) -> dict[str, str]:
    """Return attributes; raise ValueError, which completes the sentence "they are ...", where they are none."""
    if found is None or found == "":
        return {}
    if isinstance(found, str):  # a subscription of BigQuery writes them as JSON in a column of text
        try:
            found = strict_json.parse(found.encode())
        except UnicodeEncodeError:
            raise ValueError("a text with half of a surrogate pair") from None
        except ValueError as error:
            raise ValueError(f"no JSON object that can be read: {error}") from None
    if isinstance(found, Mapping):
        return {
            str(name): value if isinstance(value, str) else json.dumps(value) for name, value in found.items()
        }
    if isinstance(found, list):  # a repeated record of key and value
        pairs = [one for one in found if isinstance(one, Mapping) and "key" in one]
        if len(pairs) == len(found):
            return {str(one["key"]): str(one.get("value") or "") for one in pairs}
    raise ValueError("neither an object nor pairs of key and value")


def _is_instant(text: str) -> bool:
    try:
        parse_rfc3339(text)
    except ValueError:
        return False
    return True


__all__ = [
    "MAX_RECORD_BYTES",
    "EventRecords",
    "is_message",
    "message_id",
    "of_event_fields",
    "of_fields",
    "of_json_message",
]
