"""Rows into one BigQuery table."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import meshpass

from enrichment.errors import (
    BadEventError,
    EnrichmentError,
    TransientError,
    copy_error,
    failure,
    release_frames,
)
from enrichment.row import Row
from enrichment.settings.model import BatchLimits
from enrichment.sink.base import RowWriter
from enrichment.sink.group_commit import GroupCommit
from enrichment.sink.table_watch import TableWatch
from enrichment.telemetry.counters import Count, uncounted

if TYPE_CHECKING:
    from enrichment.sink.table_columns import Columns

RECREATED_HOLD_S = 600.0
"""How long after its creation a recreated table takes no rows, in seconds, unless the settings say otherwise."""


class BigQuerySink:
    """Rows into one BigQuery table, in groups, each row under its own insertId.

    Args:
        table: `project.dataset.table`.
        limits: How much goes into one request.
        client: Writes the rows.
        count: Counts `insert_requests`, `insert_rows` and `insert_rows_resent`.
        watch: Guards against a table that was recreated.
        columns: What is written, as table.json has it: a row that BigQuery refuses where the table differs from that is
            a fault and no bad event. Empty for no such comparison.
    """

    def __init__(
        self,
        table: str,
        limits: BatchLimits,
        client: RowWriter,
        count: Count = uncounted,
        watch: TableWatch | None = None,
        columns: "Columns" = (),
    ) -> None:
        self._table = table
        self._client = client
        self._watch = watch or TableWatch(RECREATED_HOLD_S)
        self._columns = columns
        self._groups = GroupCommit(self._insert, limits, count)

    def warm_up(self) -> None:
        """Start in the background what the first write needs, while the event's lookup is in flight."""
        self._client.warm_up()

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        """Write one row, together with others that come at the same time.

        Args:
            row: The row.
            deadline: When it must be over.

        Raises:
            BadEventError: `row_invalid` or `row_too_large`, BigQuery will never take this row.
            TransientError: BigQuery is unavailable, or over a quota, or too slow for the deadline. Where time ran out
                while refused requests were tried again, it is what they were refused for.
            FaultError: there is no such table, no permission, no credentials, the table has other columns, it was
                recreated a short time ago, or an append is refused for a row that may not be at fault.
        """
        began_s = time.monotonic()
        try:
            await self._groups.write(row, deadline)
        except TransientError as error:
            cause = (
                self._client.failed_since(self._table, began_s) if error.reason == "write_timeout" else None
            )
            if cause is None:
                raise
            raise copy_error(cause) from release_frames(error)

    async def _insert(
        self, rows: Sequence[Row], deadline: meshpass.Deadline
    ) -> Sequence[EnrichmentError | None]:
        if self._watch.claim_look():
            created_s = await self._client.created_s(self._table, deadline)
            if created_s is not None:
                self._watch.saw(created_s)
        if held_s := self._watch.held_s():
            raise failure(
                "bigquery_table_recreated",
                f"{self._table} was deleted and made anew: no row is written for {held_s:.0f} s more, because BigQuery "
                "may acknowledge rows and drop them meanwhile",
            )
        try:
            insert_errors = await self._client.insert(self._table, rows, deadline)
        except EnrichmentError as error:
            if error.reason == "bigquery_not_found":
                self._watch.missed()
            raise
        if not insert_errors:
            return [None] * len(rows)
        from enrichment.sink.verdict import verdicts  # for refused rows alone

        found = verdicts(insert_errors, len(rows), self._table)
        if any(isinstance(verdict, BadEventError) for verdict in found):
            different = await self._differences(deadline)
            return verdicts(insert_errors, len(rows), self._table, different) if different else found
        return found

    async def _differences(self, deadline: meshpass.Deadline) -> dict[str, str]:
        """Return how the real table differs from what is written, as far as it can be read."""
        from enrichment.sink.table_columns import differences  # for refused rows alone

        real = await self._client.columns(self._table, deadline) if self._columns else None
        return {} if real is None else differences(self._columns, real)
