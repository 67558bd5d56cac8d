"""Interfaces of a sink, and of what writes its rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import meshpass

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

    async def created_s(self, table: str, deadline: meshpass.Deadline) -> float | None:
        """Return when a table was created, in seconds since the epoch; None where that cannot be read. Never raises."""

    async def columns(self, table: str, deadline: meshpass.Deadline) -> "tuple[TableField, ...] | None":
        """Return the columns of the real table; None where the account may not read them, or the writer does not.

        Raises:
            EnrichmentError: they are not known for now.
        """

    async def aclose(self) -> None:
        """Close connections and whatever else is held."""
