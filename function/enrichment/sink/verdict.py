"""What insertAll says about each row of a request."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from enrichment.errors import EnrichmentError, Stage, failure
from enrichment.sink.decisions import StoppedError

_COLUMN = re.compile(r"[A-Za-z_]\w{0,299}", re.ASCII)
_MISMATCH = re.compile(
    r"no such field|This field: \w+ is (?:not )?a record|Array specified for non-repeated field"
    r"|Missing required field: Msg_\d+_CLOUD_QUERY_TABLE"
)


def verdicts(insert_errors: Sequence[Mapping[str, Any]], rows: int) -> list[EnrichmentError | None]:
    """Reads the answer to a request without `skipInvalidRows`: it succeeds or fails as one.

    One bad row keeps all of them out, and the innocent ones are marked `stopped`. A row about which nothing is
    said was kept out as well (https://cloud.google.com/bigquery/docs/error-messages).

    Args:
        insert_errors: What `insert_rows_json` returned: `{"index": 0, "errors": [{"reason": "invalid", ...}]}`; empty
            if every row is durable.
        rows: How many rows the request had.

    Returns:
        For each row why it is not durable, or None if it is. BigQuery's messages quote values of the row, so
        only the reason and the column are kept.
    """
    if not insert_errors:
        return [None] * rows
    found: list[EnrichmentError | None] = [_stopped() for _ in range(rows)]
    for entry in insert_errors:
        index = entry["index"]
        for error in entry["errors"]:
            if isinstance(found[index], StoppedError):  # the first that says more than `stopped`
                found[index] = _verdict(error)
    return found


def _stopped() -> StoppedError:
    return StoppedError(Stage.WRITE, "row_stopped", "another row stopped the request")


def _verdict(error: Mapping[str, Any]) -> EnrichmentError:
    reason, where = error.get("reason"), _column(error.get("location"))
    if reason == "stopped":
        return _stopped()
    if reason == "invalid" and _says_mismatch(error):
        return failure(
            "bigquery_schema_mismatch",
            f"the table's columns are not those of pipeline.toml: BigQuery calls {where} invalid",
        )
    if reason == "invalid":
        return failure("row_invalid", f"BigQuery calls {where} invalid")
    if reason in ("notFound", "accessDenied"):
        return failure("bigquery_refused", f"BigQuery answers {reason} for {where}")
    return failure("bigquery_unavailable", f"BigQuery answers {reason} for {where}")


def _says_mismatch(error: Mapping[str, Any]) -> bool:
    """Whether a row is called invalid for the fields it has, at the top or in a record.

    Every row was held to table.json, so the real table is another one, which is our configuration's fault and not the
    event's: to dead-letter for that would throw every event away that comes between a change of the table and
    one of the function. Only the message tells, and it begins with BigQuery's own words: `no such field: plan.`, with
    the location `plan`; `This field: order is not a record.`; `Missing required field: Msg_0_CLOUD_QUERY_TABLE.plan.`,
    with no location.
    """
    return _MISMATCH.match(str(error.get("message"))) is not None


def _column(location: object) -> str:
    """The column that a location such as `items[2].name` is in; what follows may be a name from the event."""
    match = _COLUMN.match(location) if isinstance(location, str) else None
    return match[0] if match else "the row"
