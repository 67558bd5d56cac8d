"""Rows of a query's result, by the official client.

The query runs once, when the backfill is begun. Its result lies in a table of BigQuery's own for 24 hours, and shards
are ranges of its rows. So a run that goes on reads the same rows, and pays for no second query.
"""

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

PAGE_ROWS = 5_000


class QueryError(RuntimeError):
    """The query failed; the message says why."""


def run(query: str, project: str) -> tuple[str, int, list[str]]:
    """Run a query.

    Args:
        query: In GoogleSQL.
        project: Who pays.

    Returns:
        The table of its result, how many rows it has, and the names of the columns.

    Raises:
        QueryError: It failed.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        with _client(project) as client:
            job = client.query(query)
            rows = job.result()
            table = job.destination
            if table is None:
                raise QueryError("The query has no result table: write a SELECT.")
            return (
                f"{table.project}.{table.dataset_id}.{table.table_id}",
                int(rows.total_rows or 0),
                [field.name for field in rows.schema],
            )
    except (GoogleAPIError, GoogleAuthError) as error:
        raise QueryError(f"BigQuery refused the query: {error}") from error


def rows(table: str, begin: int, count: int) -> Iterator[Mapping[str, Any]]:
    """Give rows of a result.

    Args:
        table: `project.dataset.table`.
        begin: The first one's number.
        count: How many.

    Raises:
        OSError: They cannot be read; after 24 hours BigQuery removes the result.
    """
    from google.api_core.exceptions import GoogleAPIError

    if count <= 0:
        return
    try:
        with _client(table.partition(".")[0]) as client:
            for row in client.list_rows(
                client.get_table(table), start_index=begin, max_results=count, page_size=PAGE_ROWS
            ):
                yield dict(row)
    except GoogleAPIError as error:
        raise OSError(f"the result of the query cannot be read (it is kept for 24 hours): {error}") from error


def _client(project: str) -> "Client":
    from google.cloud import bigquery

    if not os.environ.get("BIGQUERY_EMULATOR_HOST"):
        return bigquery.Client(project=project)
    from google.auth.credentials import AnonymousCredentials

    return bigquery.Client(project=project, credentials=AnonymousCredentials())
