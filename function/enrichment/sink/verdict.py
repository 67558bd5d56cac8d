"""What BigQuery says of single rows, as one verdict for each row of the request."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from enrichment.errors import POLICY, Disposition, EnrichmentError, Stage, failure
from enrichment.errors.remote_errors import (
    APPEND_MESSAGES,
    INSERT_ERRORS,
    INSERT_MESSAGES,
    OTHER_INSERT_ERROR,
    ROW_ERRORS,
)
from enrichment.sink.when_to_write import StoppedError

_COLUMN = re.compile(r"[A-Za-z_]\w{0,299}", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]{1,64}")
_UNKNOWN = "the row"
_JUDGED = {"invalid", *ROW_ERRORS}
"""What is said of a row whose message may say more."""
_REASONS = {**INSERT_ERRORS, **ROW_ERRORS}
_MESSAGES = [
    (re.compile(known.pattern, re.ASCII), known.reason) for known in (*INSERT_MESSAGES, *APPEND_MESSAGES)
]


def verdicts(
    insert_errors: Sequence[Mapping[str, Any]],
    rows: int,
    table: str,
    different: Mapping[str, str] = MappingProxyType({}),
) -> list[EnrichmentError | None]:
    """Read the answer to a request that succeeds or fails as one: an append, or insertAll without `skipInvalidRows`.

    One bad row keeps all of them out, and its neighbours are marked `stopped`. A row about which nothing is
    said was kept out as well (https://cloud.google.com/bigquery/docs/error-messages).

    Args:
        insert_errors: What was returned, as `insert_rows_json` does: `{"index": 0, "errors": [{"reason": "invalid",
            ...}]}`; empty if every row is durable.
        rows: How many rows the request had.
        table: The table, for the detail.
        different: How columns of the real table differ from table.json, by their names in lower case. A row that is
            refused for one of them is not at fault.

    Returns:
        For each row why it is not durable, or None if it is. BigQuery's messages quote values of the row, so
        only the reason and the column are kept.
    """
    if not insert_errors:
        return [None] * rows
    found: list[EnrichmentError | None] = [_stopped() for _ in range(rows)]
    for entry in insert_errors:
        index = entry["index"]
        if not 0 <= index < rows:  # a negative one would name another row
            raise IndexError
        for error in entry["errors"]:
            if isinstance(found[index], StoppedError):  # the first that says more than `stopped`
                found[index] = _verdict(error, table, different)
    return found


def _stopped() -> StoppedError:
    return StoppedError(Stage.WRITE, "row_stopped", "another row stopped the request")


def _verdict(error: Mapping[str, Any], table: str, different: Mapping[str, str]) -> EnrichmentError:
    said = error.get("reason")
    said = said if isinstance(said, str) and _WORD.fullmatch(said) else "an error without a reason"
    reason, where = _REASONS.get(said, OTHER_INSERT_ERROR), _column(error.get("location"))
    if reason == "row_stopped":
        return _stopped()
    if said in _JUDGED:
        blamed, column = _blamed(str(error.get("message")))
        reason = blamed or reason
        where = column if column and where == _UNKNOWN else where
    why = ""
    if POLICY[reason].disposition is Disposition.DEAD_LETTERED and (why := _difference(where, different)):
        reason = "bigquery_schema_mismatch"
    rule = POLICY[reason]
    what = f"BigQuery calls {where} invalid" if said in _JUDGED else f"BigQuery answers {said} for {where}"
    meaning = why or rule.meaning
    return failure(reason, f"{what} in {table}: {meaning}. To do: {rule.action}.", Stage.WRITE)


def _difference(column: str, different: Mapping[str, str]) -> str:
    """Return how the table's column differs; how any does where BigQuery names none; empty if they are alike."""
    if column == _UNKNOWN:
        return next(iter(different.values()), "")
    return different.get(column.casefold(), "")


def _blamed(message: str) -> tuple[str, str]:
    """Return the reason that a message stands for, empty if none, and the column where only the message names it."""
    for pattern, reason in _MESSAGES:
        if found := pattern.match(message):
            return reason, found.groupdict().get("column") or ""
    return "", ""


def _column(location: object) -> str:
    """Return the column that a location such as `items[2].name` is in; what follows may be a name from the event."""
    match = _COLUMN.match(location) if isinstance(location, str) else None
    return match[0] if match else _UNKNOWN
