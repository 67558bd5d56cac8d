"""Interface of a sink."""

from typing import Protocol

import meshpass

from enrichment.row import Row


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
