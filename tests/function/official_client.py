"""The reference for insertAll: Google's own client for BigQuery, in threads of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import meshpass
from enrichment.errors import Stage, of_google_error
from enrichment.row import Row
from enrichment.sink.answer import InsertErrors, Refusal
from enrichment.sink.decisions import MAX_WRITES, RefusedError
from enrichment.sink.insert_all import ATTEMPT_TIMEOUT_S, FIRST_DELAY_S, MAX_DELAY_S, refused
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery import DEFAULT_RETRY

from .conftest import PROJECT


def anonymous() -> bigquery.Client:
    return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials())


class OfficialClient:
    """An `InsertAll` by `insert_rows_json`.

    Args:
        make_client: Makes Google's client, in a thread, at the first use.
    """

    def __init__(self, make_client: Callable[[], bigquery.Client] = anonymous) -> None:
        self._make_client = make_client
        self._client: bigquery.Client | None = None
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(MAX_WRITES)
        self._warm = False

    def warm_up(self) -> None:
        if not self._warm:
            self._warm = True
            self._threads.submit(self._connect)

    async def insert(self, table: str, rows: Sequence[Row], deadline: meshpass.Deadline) -> InsertErrors:
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._insert, table, rows, deadline)
        try:
            return await work
        except Exception as error:
            decided = of_google_error(error, Stage.WRITE, "bigquery", table)
            status = getattr(error, "code", None)
            if status == 413:
                raise refused(Refusal(status), table) from error
            raise (RefusedError(decided) if status == 400 else decided) from error

    async def created_s(self, table: str, deadline: meshpass.Deadline) -> float | None:
        def get() -> float | None:
            created = self._connect().get_table(table, timeout=deadline.left_s()).created
            return created.timestamp() if created else None

        return await asyncio.get_running_loop().run_in_executor(self._threads, get)

    async def aclose(self) -> None:
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    def _insert(self, table: str, rows: Sequence[Row], deadline: meshpass.Deadline) -> InsertErrors:
        client = self._connect()
        left_s = deadline.left_s()
        if left_s <= 0:
            raise TimeoutError
        errors: InsertErrors = client.insert_rows_json(
            table,
            [row.columns for row in rows],
            row_ids=[row.insert_id for row in rows],
            retry=DEFAULT_RETRY.with_timeout(left_s).with_delay(initial=FIRST_DELAY_S, maximum=MAX_DELAY_S),
            timeout=min(ATTEMPT_TIMEOUT_S, left_s),
        )
        return errors

    def _connect(self) -> bigquery.Client:
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client
