"""insertAll by Google's own client for BigQuery, in threads of its own.

The writer that `BIGQUERY_WRITER=google-client` chooses, and the reference in the tests: the other writers of insertAll
send the same and draw the same conclusions. It costs several times the processor time, and 360 modules at the start.
"""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import meshpass
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery import DEFAULT_RETRY

from enrichment.errors import EnrichmentError, FaultError, Stage, of_google_error
from enrichment.row import Row
from enrichment.settings import table_file
from enrichment.settings.model import TableField
from enrichment.sink.base import LastFailures
from enrichment.sink.insert_all import ATTEMPT_TIMEOUT_S, FIRST_DELAY_S, MAX_DELAY_S, refused
from enrichment.sink.insert_all_response import InsertErrors, Refusal
from enrichment.sink.when_to_write import MAX_WRITES, RefusedError


class GoogleClient:
    """A `RowWriter` by `insert_rows_json`.

    Args:
        project: The project that requests are made for. Tables may be in others.
        make_client: Makes Google's client, in a thread, at the first use. When None, the client finds its credentials
            itself, and needs none for an emulator.
    """

    def __init__(self, project: str, make_client: Callable[[], bigquery.Client] | None = None) -> None:
        self._project = project
        self._make_client = make_client or self._made
        self._client: bigquery.Client | None = None
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(MAX_WRITES)
        self._warm = False
        self._failures = LastFailures()

    def warm_up(self) -> None:
        """Start to make the client, while the event's lookup is in flight."""
        if not self._warm:
            self._warm = True
            self._threads.submit(self._connect)

    async def insert(self, table: str, rows: Sequence[Row], deadline: meshpass.Deadline) -> InsertErrors:
        """Write rows in one request, and try again while that may help. See `RowWriter`."""
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._insert, table, rows, deadline)
        try:
            found = await work
            self._failures.forget(table)
            return found  # noqa: TRY300 - what follows is for failures alone
        except Exception as error:
            decided = of_google_error(error, Stage.WRITE, "bigquery", table)
            status = getattr(error, "code", None)
            if status == 413:
                raise refused(Refusal(status), table) from error
            raise (RefusedError(decided) if status == 400 else decided) from error

    def failed_since(self, table: str, began_s: float) -> EnrichmentError | None:
        """Return why a request of the table failed last. See `RowWriter`."""
        return self._failures.since(table, began_s)

    async def created_s(self, table: str, deadline: meshpass.Deadline) -> float | None:
        """Return when a table was created. See `RowWriter`."""

        def get() -> float | None:
            created = self._connect().get_table(table, timeout=deadline.left_s()).created
            return created.timestamp() if created else None

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, get)
        except Exception:  # noqa: BLE001 - the write itself says more of what is wrong
            return None

    async def columns(self, table: str, deadline: meshpass.Deadline) -> tuple[TableField, ...] | None:
        """Return the columns of the real table. See `RowWriter`."""

        def get() -> bytes:
            found = self._connect().get_table(table, timeout=max(0.1, deadline.left_s()))
            return json.dumps(found.to_api_repr()).encode()

        try:
            return table_file.of_resource(
                await asyncio.get_running_loop().run_in_executor(self._threads, get)
            )
        except Exception as error:
            decided = of_google_error(error, Stage.WRITE, "bigquery", table)
            if getattr(error, "code", None) == 403 and isinstance(decided, FaultError):
                return None
            raise decided from error

    async def aclose(self) -> None:
        """Wait for requests under way, and close the connections."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    def _insert(self, table: str, rows: Sequence[Row], deadline: meshpass.Deadline) -> InsertErrors:
        client = self._connect()
        left_s = deadline.left_s()
        if left_s <= 0:
            raise TimeoutError

        def retried(error: Exception) -> bool:
            if not DEFAULT_RETRY._predicate(error):  # noqa: SLF001 - it has no public name
                return False
            if getattr(error, "code", None) is not None:  # an answer
                self._failures.note(table, of_google_error(error, Stage.WRITE, "bigquery", table))
            return True

        errors: InsertErrors = client.insert_rows_json(
            table,
            [row.columns for row in rows],
            row_ids=[row.insert_id for row in rows],
            retry=DEFAULT_RETRY.with_timeout(left_s)
            .with_delay(initial=FIRST_DELAY_S, maximum=MAX_DELAY_S)
            .with_predicate(retried),
            timeout=min(ATTEMPT_TIMEOUT_S, left_s),
        )
        return errors

    def _connect(self) -> bigquery.Client:
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _made(self) -> bigquery.Client:
        emulated = os.environ.get("BIGQUERY_EMULATOR_HOST")
        return bigquery.Client(self._project, AnonymousCredentials() if emulated else None)
