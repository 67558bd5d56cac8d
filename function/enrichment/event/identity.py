"""What names a row, and what tells two events of one name apart.

A row's id is what `[event] id` gives: one value, several that are joined, or the SHA-256 of the data. Joined values are
escaped, so that no two lists of values give one id; an id of more than 128 characters, the longest insertId that
BigQuery takes, is replaced by its SHA-256.

The insertId of a row is its id and a digest of its content. Two deliveries of one event have the same, and BigQuery
drops the second. Two different events with one id do not, so neither is lost without a trace: in the table they are
two rows, which `python -m enrichment sql identity_conflicts` shows.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from enrichment.documents.instant import rfc3339
from enrichment.errors import failure
from enrichment.event.field_values import is_name
from enrichment.event.message import UNNAMED
from enrichment.expressions import EvaluationError, Expression, Scope

MAX_LENGTH = 128
"""Longest insertId that BigQuery takes (https://cloud.google.com/bigquery/quotas#streaming_inserts)."""

MAX_VALUE_LENGTH = 65_536
"""Longest text that may be part of an id, in characters."""

CONTENT = "content"
"""What `[event] id` says where the data itself names the event."""

_HASHED = "sha256:"
_SEPARATOR = "|"
_ESCAPE = str.maketrans({"\\": "\\\\", _SEPARATOR: "\\" + _SEPARATOR})
_CANONICAL = msgspec.json.Encoder(order="deterministic")


def identify(sources: Sequence[Expression], scope: Scope) -> str:
    """Return the id that an event's values make.

    Args:
        sources: Where they come from.
        scope: The event.

    Raises:
        BadEventError: `event_invalid`, one of them is missing or can be no part of an id.
    """
    if len(sources) == 1:
        return shortened(_value(sources[0], scope))
    return joined(*(_value(source, scope) for source in sources))


def joined(*values: str) -> str:
    """Join values so that no two lists give one id, and shorten it."""
    return shortened(_SEPARATOR.join(value.translate(_ESCAPE) for value in values))


def shortened(text: str) -> str:
    """Return a text where it is short enough for an insertId, else its SHA-256."""
    if len(text) <= MAX_LENGTH and not text.startswith(_HASHED):
        return text
    return hashed(text.encode())


def hashed(data: bytes) -> str:
    """Return the SHA-256 of data as an id."""
    return _HASHED + hashlib.sha256(data).hexdigest()


class ContentDigest:
    """A digest of parsed JSON, the same whatever the order of keys and the white space were.

    An event is read once for it, however many items of it are to be distinguished: with 10,000 items in 10 MB, an event
    for each would be 100 GB.

    Args:
        document: What it is of.
        attributes: What belongs to the content beside the event's data.
    """

    def __init__(self, document: object, attributes: Mapping[str, object] | None = None) -> None:
        self._of_document = hashlib.blake2b(_CANONICAL.encode(document), digest_size=12)
        if attributes:
            self._of_document.update(_CANONICAL.encode(attributes))

    def hexdigest(self) -> str:
        """Return 24 hexadecimal digits."""
        return self._of_document.hexdigest()

    def with_item(self, item: object) -> str:
        """Return the digest of the document and one item of it."""
        digest = self._of_document.copy()
        digest.update(_CANONICAL.encode(item))
        return digest.hexdigest()


def suffixed(row_id: str, suffix: str) -> str:
    """Return an id made longer. No two pairs give one id, as long as no suffix has a `|` in it."""
    return shortened(f"{row_id}{_SEPARATOR}{suffix}")


def insert_id(row_id: str, digest: str) -> str:
    """Return the insertId of a row."""
    return suffixed(row_id, digest)


def _value(source: Expression, scope: Scope) -> str:
    try:
        found = source.evaluate(scope)
    except EvaluationError as error:
        raise failure("event_invalid", f"[event] id cannot be read: {source.text} {error}") from None
    match found:
        case None:
            raise failure(
                "event_invalid", f"the message is not an event: {source.text} is missing, and is its id"
            )
        case bool() | float():
            pass
        case int():
            return str(found)
        case datetime():
            return rfc3339(found)
        case str() if found.startswith(UNNAMED) and ("message", "id") in source.paths:
            raise failure(
                "event_invalid",
                "the push names no message, and message.id is the event's id: "
                "give the subscription --push-no-wrapper-write-metadata",
            )
        case str() if is_name(found, MAX_VALUE_LENGTH):
            return found
    raise failure(
        "event_invalid",
        f"the message is not an event: {source.text} is its id, and must be a string of 1 to {MAX_VALUE_LENGTH} "
        "characters, none of them a control character, or a whole number",
    )
