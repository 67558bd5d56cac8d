"""Rows into one BigQuery table."""

from collections.abc import Sequence

import meshpass

from enrichment.errors import EnrichmentError
from enrichment.row import Row
from enrichment.settings.model import BatchLimits
from enrichment.sink.group_commit import GroupCommit
from enrichment.sink.insert_all import InsertAll
from enrichment.sink.verdict import verdicts
from enrichment.telemetry.counters import Count, uncounted


class BigQuerySink:
    """Rows into one BigQuery table by insertAll, in groups, each row under its own insertId.

    Args:
        table: `project.dataset.table`.
        limits: How much goes into one request.
        client: Sends the requests.
        count: Counts `insert_requests`, `insert_rows` and `insert_rows_resent`.
    """

    def __init__(self, table: str, limits: BatchLimits, client: InsertAll, count: Count = uncounted) -> None:
        self._table = table
        self._client = client
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
            TransientError: BigQuery is unavailable, or over a quota, or too slow for the deadline.
            FaultError: there is no such table, no permission, no credentials, or the table has other columns.
        """
        await self._groups.write(row, deadline)

    async def _insert(
        self, rows: Sequence[Row], deadline: meshpass.Deadline
    ) -> Sequence[EnrichmentError | None]:
        return verdicts(await self._client.insert(self._table, rows, deadline), len(rows))
