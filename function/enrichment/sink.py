"""Where rows go: a row handed to a sink is durable when `write` returns, and not before."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from enrichment.outcome import (
    BadEventError,
    EnrichmentError,
    FaultError,
    Stage,
    TransientError,
    of_google_error,
)
from enrichment.row import Row

if TYPE_CHECKING:
    from google.cloud import bigquery

THREADS = 10
"""Writes in flight: as many as the client's connection pool keeps open (requests' default)."""

DEADLINE_S = 10.0
"""Time for one write with its retries. The client's own 10 minutes would outlive any ack deadline."""

ATTEMPT_TIMEOUT_S = 5.0
FIRST_DELAY_S = 0.1


class Sink(Protocol):
    """Where rows go."""

    def warm_up(self) -> None:
        """Starts loading in the background what the first write needs; returns at once."""

    async def write(self, row: Row) -> None:
        """Returns once the row is durable, or raises an EnrichmentError."""


class BigQuerySink:
    """Rows into one BigQuery table by insertAll, each under its own insertId.

    Args:
        table: `project.dataset.table`.
        deadline_s: Time for one write with its retries, in seconds.
        make_client: Makes the client, in a worker thread, at the first use; by default with the credentials
            found in the environment.
    """

    def __init__(
        self,
        table: str,
        deadline_s: float = DEADLINE_S,
        make_client: Callable[[], "bigquery.Client"] | None = None,
    ) -> None:
        self._table = table
        self._deadline_s = deadline_s
        self._make_client = make_client or (lambda: _client_for(table.split(".")[0]))
        self._client: bigquery.Client | None = None
        self._lock = threading.Lock()
        # The client blocks, so it lives in threads of its own: the loop's shared ones stay free for others.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bigquery")
        self._warm = False

    def warm_up(self) -> None:
        """Starts importing the client and finding credentials, while the event's lookup is in flight."""
        if not self._warm:
            self._warm = True
            self._threads.submit(
                self._connect
            )  # a failure shows again, and is dealt with, at the first write

    async def write(self, row: Row) -> None:
        """Writes one row.

        Args:
            row: The row.

        Raises:
            BadEventError: `row_invalid` or `row_too_large`, BigQuery will never take this row.
            TransientError: BigQuery is unavailable, or over a quota.
            FaultError: there is no such table, no permission or no credentials.
        """
        loop = asyncio.get_running_loop()
        try:
            errors = await loop.run_in_executor(self._threads, self._insert, [row])
        except Exception as error:
            if getattr(error, "code", None) == 413:
                raise BadEventError(
                    Stage.WRITE, "row_too_large", "BigQuery calls the row too large"
                ) from error
            raise of_google_error(error, Stage.WRITE, "bigquery", self._table) from error
        failure = verdict(errors, 0)
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Ends the worker threads and the client's connections; for tests, as a function's process is just ended."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    def _insert(self, rows: Sequence[Row]) -> Sequence[Mapping[str, Any]]:
        client = self._connect()
        from google.cloud.bigquery import DEFAULT_RETRY

        errors: Sequence[Mapping[str, Any]] = client.insert_rows_json(
            self._table,
            [row.columns for row in rows],
            row_ids=[row.insert_id for row in rows],
            retry=DEFAULT_RETRY.with_deadline(self._deadline_s).with_delay(initial=FIRST_DELAY_S),
            timeout=min(ATTEMPT_TIMEOUT_S, self._deadline_s),
        )
        return errors

    def _connect(self) -> "bigquery.Client":
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client


def verdict(errors: Sequence[Mapping[str, Any]], index: int) -> EnrichmentError | None:
    """Reads what insertAll says about one row of a request.

    One bad row fails the whole request: the innocent ones are marked `stopped` and are to be sent again
    (https://cloud.google.com/bigquery/docs/error-messages). BigQuery's messages quote values of the row, so
    only the reason and the column are kept.

    Args:
        errors: What `insert_rows_json` returned; empty if every row is durable.
        index: The row's place in the request.

    Returns:
        Why the row is not durable, or None if it is.
    """
    found = [error for entry in errors if entry["index"] == index for error in entry["errors"]]
    if not found:
        # A request without skipInvalidRows succeeds or fails as one, so others' errors stopped this row as
        # well.
        return (
            TransientError(Stage.WRITE, "row_stopped", "another row stopped the request") if errors else None
        )
    first = next((error for error in found if error.get("reason") != "stopped"), found[0])
    reason, location = first.get("reason", "unknown"), first.get("location") or "the row"
    if reason == "stopped":
        return TransientError(Stage.WRITE, "row_stopped", "another row stopped the request")
    if reason == "invalid":
        return BadEventError(Stage.WRITE, "row_invalid", f"BigQuery calls {location} invalid")
    if reason in ("notFound", "accessDenied"):
        return FaultError(Stage.WRITE, "bigquery_refused", f"BigQuery answers {reason} for {location}")
    return TransientError(Stage.WRITE, "bigquery_unavailable", f"BigQuery answers {reason} for {location}")


def _client_for(project: str) -> "bigquery.Client":
    from google.cloud import bigquery

    return bigquery.Client(project=project)
