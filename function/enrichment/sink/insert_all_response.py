"""What an answer to insertAll says, and whether the request is worth another try. Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

InsertErrors = Sequence[Mapping[str, Any]]
"""What BigQuery says of single rows: `{"index": 0, "errors": [{"reason": "invalid", ...}]}`."""


class Refusal(msgspec.Struct, frozen=True):
    """A request that failed as a whole.

    Args:
        status: The HTTP status.
        reasons: Every `reason` that Google gives, in order.
        message: Google's sentence. It may quote values of a row.
    """

    status: int
    reasons: tuple[str, ...] = ()
    message: str = ""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed soon."""
        from enrichment.errors.remote_errors import (  # large tables, which good events do without
            RETRIED_INSERT_REASONS,
            RETRIED_INSERT_STATUSES,
        )

        if self.reasons:
            return self.reasons[0] in RETRIED_INSERT_REASONS
        return self.status in RETRIED_INSERT_STATUSES


def read_answer(status: int, body: bytes) -> "InsertErrors | Refusal":
    """Read an answer.

    Args:
        status: The HTTP status.
        body: The body, not compressed.

    Returns:
        What is said of single rows, empty if all are durable; or why the request failed.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if 200 <= status < 300 and isinstance(document, dict) and "error" not in document:
        found = document.get("insertErrors")
        return _of_rows(found, status) if found else ()
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return Refusal(status)
    listed = error.get("errors")
    reasons = [entry.get("reason") for entry in listed or () if isinstance(entry, dict)]
    return Refusal(
        status,
        tuple(reason for reason in reasons if isinstance(reason, str)),
        str(error.get("message", "")),
    )


class _OfRow(msgspec.Struct):
    index: Annotated[int, msgspec.Meta(ge=0)]
    errors: list[dict[str, Any]]


def _of_rows(found: object, status: int) -> "InsertErrors | Refusal":
    """Return what is said of single rows; a refusal where that cannot be read, for it acknowledges no row."""
    try:
        entries = msgspec.convert(found, list[_OfRow], strict=False)
    except msgspec.ValidationError:
        return Refusal(status)
    return [{"index": entry.index, "errors": entry.errors} for entry in entries]
