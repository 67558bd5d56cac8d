"""Interfaces of a sink, and of what writes its rows."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import meshpass

from enrichment.errors import EnrichmentError
from enrichment.row import Row
from enrichment.sink.insert_all_response import InsertErrors

if TYPE_CHECKING:
    from enrichment.settings.model import TableField


class Sink(Protocol):
    """Where rows go."""

    def warm_up(self) -> None:
        """Start loading in the background what the first write needs; return at once."""

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        """Return once the row is durable.

        Args:
            row: The row.
            deadline: When it must be over.

        Raises:
            BadEventError: no sink will ever take this row.
            TransientError: the row is not known to be durable, and the error will pass.
            FaultError: our configuration keeps it out.
        """


class RowWriter(Protocol):
    """Writes rows into tables of BigQuery, some of them in one request."""

    def warm_up(self) -> None:
        """Start in the background what the first request needs; return at once."""

    async def insert(self, table: str, rows: Sequence[Row], deadline: meshpass.Deadline) -> InsertErrors:
        """Write rows in one request, and try again while that may help.

        Args:
            table: `project.dataset.table`.
            rows: At least one.
            deadline: When it must be over.

        Returns:
            What BigQuery says of single rows; empty if all are durable. If it is not empty none is.

        Raises:
            RefusedError: the request was refused as a whole for something that is in it.
            EnrichmentError: the request failed as a whole, and would fail with other rows as well.
        """

    def failed_since(self, table: str, began_s: float) -> EnrichmentError | None:
        """Return why a request of the table failed last, if that was after a moment and none has succeeded since.

        A request that got no answer in time is no such failure.

        Args:
            table: As for `insert`.
            began_s: The moment, in seconds of `time.monotonic()`.
        """

    async def created_s(self, table: str, deadline: meshpass.Deadline) -> float | None:
        """Return when a table was created, in seconds since the epoch; None where that cannot be read. Never raises."""

    async def columns(self, table: str, deadline: meshpass.Deadline) -> "tuple[TableField, ...] | None":
        """Return the columns of the real table; None where the account may not read them, or the writer does not.

        Raises:
            EnrichmentError: they are not known for now.
        """

    async def aclose(self) -> None:
        """Close connections and whatever else is held."""


class LastFailures:
    """Why requests failed last, by table, while they are tried again."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, EnrichmentError]] = {}

    def note(self, table: str, error: BaseException) -> None:
        """Note a failure. One that concerns a request's own rows says nothing about other requests."""
        if isinstance(error, EnrichmentError):
            self._found[table] = time.monotonic(), error

    def forget(self, table: str) -> None:
        """Note that a request of the table has succeeded."""
        if self._found:
            self._found.pop(table, None)

    def since(self, table: str, began_s: float) -> EnrichmentError | None:
        """Return the failure, if there is one that is not older. See `RowWriter.failed_since`."""
        at_s, error = self._found.get(table, (0.0, None))
        return error if at_s >= began_s else None
