"""Rows into BigQuery, by the official client."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import meshpass

from enrichment import google_imports
from enrichment.errors import EnrichmentError, Stage, failure, of_google_error
from enrichment.row import Row
from enrichment.settings.model import BatchLimits
from enrichment.sink.decisions import MAX_WRITES, RefusedError
from enrichment.sink.group_commit import GroupCommit
from enrichment.sink.table_watch import TableWatch
from enrichment.sink.verdict import verdicts
from enrichment.telemetry.counters import Count, uncounted

if TYPE_CHECKING:
    from google.cloud import bigquery

ATTEMPT_TIMEOUT_S = 5.0
"""How long the client waits for a connection, and again for an answer, before it tries once more, in seconds."""

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 1.0
"""Bounds of the client's delay between attempts, in seconds. Its own minute would outlast most outages."""


RECREATED_HOLD_S = 600.0
"""How long after its creation a recreated table takes no rows, in seconds, unless the settings say otherwise."""


class BigQuerySink:
    """Rows into one BigQuery table by insertAll, in groups, each row under its own insertId.

    Args:
        table: `project.dataset.table`.
        limits: How much goes into one request.
        make_client: Makes the client, in a worker thread, at the first use; by default with the credentials
            found in the environment.
        count: Counts `insert_requests`, `insert_rows` and `insert_rows_resent`.
        watch: Guards against a table that was recreated.
    """

    def __init__(
        self,
        table: str,
        limits: BatchLimits,
        make_client: "Callable[[], bigquery.Client] | None" = None,
        count: Count = uncounted,
        watch: TableWatch | None = None,
    ) -> None:
        self._table = table
        self._watch = watch or TableWatch(RECREATED_HOLD_S)
        self._make_client = make_client or (lambda: _client_for(table.split(".")[0]))
        self._client: bigquery.Client | None = None
        self._lock = threading.Lock()
        # The client blocks, so it lives in threads of its own: the loop's shared ones stay free for others.
        self._threads = ThreadPoolExecutor(MAX_WRITES, thread_name_prefix="bigquery")
        self._warm = False
        self._groups = GroupCommit(self._insert, limits, count)

    def warm_up(self) -> None:
        """Start importing the client and finding credentials, while the event's lookup is in flight."""
        if not self._warm:
            self._warm = True
            self._threads.submit(self._connect)  # a failure shows again at the first write

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        """Write one row, together with others that come at the same time.

        Args:
            row: The row.
            deadline: When it must be over.

        Raises:
            BadEventError: `row_invalid` or `row_too_large`, BigQuery will never take this row.
            TransientError: BigQuery is unavailable, or over a quota, or too slow for the deadline.
            FaultError: there is no such table, no permission, no credentials, the table has other columns, or it was
                recreated a short time ago.
        """
        await self._groups.write(row, deadline)

    def close(self) -> None:
        """End the worker threads and the client's connections; for tests, as a function's process is just ended."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    async def _insert(
        self, rows: Sequence[Row], deadline: meshpass.Deadline
    ) -> Sequence[EnrichmentError | None]:
        loop = asyncio.get_running_loop()
        try:
            errors = await loop.run_in_executor(self._threads, self._insert_all, rows, deadline)
        except EnrichmentError:
            raise
        except Exception as error:
            status = getattr(error, "code", None)
            if status == 404:
                self._watch.missed()
            if status == 413:
                too_large = failure("row_too_large", "BigQuery calls the row too large", Stage.WRITE)
                raise RefusedError(too_large) from error
            decided = of_google_error(error, Stage.WRITE, "bigquery", self._table)
            if status == 400:
                raise RefusedError(decided) from error
            raise decided from error
        return verdicts(errors, len(rows))

    def _insert_all(self, rows: Sequence[Row], deadline: meshpass.Deadline) -> Sequence[Mapping[str, Any]]:
        client = self._connect()
        from google.cloud.bigquery import DEFAULT_RETRY

        left_s = deadline.left_s()
        if left_s <= 0:
            raise TimeoutError
        if self._watch.claim_look():
            self._look(client, min(ATTEMPT_TIMEOUT_S, left_s))
        if held_s := self._watch.held_s():
            raise failure(
                "bigquery_table_recreated",
                f"{self._table} was deleted and made anew: no row is written for {held_s:.0f} s more, because BigQuery "
                "may acknowledge rows and drop them meanwhile",
            )
        # Its own limit, 10 minutes, would outlive any acknowledgement deadline. An attempt that starts just
        # within ours may still take its timeout, but no event waits for that.
        retry = DEFAULT_RETRY.with_timeout(left_s).with_delay(initial=FIRST_DELAY_S, maximum=MAX_DELAY_S)
        errors: Sequence[Mapping[str, Any]] = client.insert_rows_json(
            self._table,
            [row.columns for row in rows],
            row_ids=[row.insert_id for row in rows],
            retry=retry,
            timeout=min(ATTEMPT_TIMEOUT_S, left_s),
        )
        return errors

    def _look(self, client: "bigquery.Client", timeout_s: float) -> None:
        """Note when the table was created. A look that fails is no reason not to write: the write itself says more."""
        with contextlib.suppress(Exception):
            # One try: its type says Retry, and its code takes None for no retry.
            once: Any = None
            created = client.get_table(self._table, retry=once, timeout=timeout_s).created
            if created is not None:
                self._watch.saw(created.timestamp())

    def _connect(self) -> "bigquery.Client":
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client


def _client_for(project: str) -> "bigquery.Client":
    with google_imports.GOOGLE:
        from google.cloud import bigquery

    return bigquery.Client(project=project)
