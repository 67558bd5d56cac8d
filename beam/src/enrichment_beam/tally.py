"""What became of one message, collected while the core takes it to its end.

The core logs each end and writes each row through the interfaces that it is given. Those in this module note both for
the message that the current task belongs to, so a driver reports every event and every row without a second core.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import meshpass
from enrichment.dead_letter import DeadLetter
from enrichment.errors import Disposition, Outcome
from enrichment.row import Row
from enrichment.sink import Sink
from enrichment.telemetry.delivery import Delivery
from enrichment.telemetry.log import Log, Severity


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row for a table.

    Args:
        table: `project.dataset.table`.
        insert_id: What BigQuery is to drop repeats by: the same as the function gives the row.
        columns: Column name to value, as insertAll takes them.
    """

    table: str
    insert_id: str
    columns: Mapping[str, object]


@dataclass(slots=True)
class Tally:
    """What became of one message.

    Args:
        outcomes: The end of each event in it.
        rows: How many rows were written, or collected.
        collected: The rows, where they are collected.
        dead_letters: The dead letters, where they are collected.
        lookups: How each lookup was answered: `hit`, `fetched`, `shared`.
        tries: How often it was tried.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    rows: int = 0
    collected: list[TableRow] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)
    tries: int = 1


current: ContextVar[Tally] = ContextVar("tally")
"""The tally of the message that this task belongs to."""


class TallyLog(Log):
    """Log that notes ends in the tally and writes no line: a pipeline has as many events as it has."""

    def __init__(self) -> None:
        super().__init__("", Severity.CRITICAL)

    def delivery(self, outcome: Outcome, delivery: Delivery) -> None:
        """Note how one event ended."""
        tally = current.get()
        tally.outcomes.append(outcome)
        match delivery.cache:
            case str():
                tally.lookups.append(delivery.cache)
            case dict():
                tally.lookups += delivery.cache.values()


class CountingSink:
    """Sink that counts what another one wrote.

    Args:
        sink: Where rows go.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def warm_up(self) -> None:
        """Start what the first write needs."""
        self._sink.warm_up()

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        """Write one row, and count it."""
        await self._sink.write(row, deadline)
        current.get().rows += 1


class CollectingSink:
    """Sink that keeps the rows for a step that comes after.

    Args:
        table: `project.dataset.table`.
    """

    def __init__(self, table: str) -> None:
        self._table = table

    def warm_up(self) -> None:
        """Do nothing: there is no connection."""

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        """Keep one row."""
        tally = current.get()
        tally.rows += 1
        tally.collected.append(TableRow(self._table, row.insert_id, row.columns))


class CollectingDeadLetters:
    """Dead letters kept for a step that comes after."""

    async def publish(self, dead_letter: DeadLetter, deadline: meshpass.Deadline) -> None:
        """Keep one dead letter."""
        current.get().dead_letters.append(dead_letter)


def is_final(outcome: Outcome) -> bool:
    """Return whether nothing is left to do for a message that ended so."""
    return outcome.disposition not in (Disposition.RETRY, Disposition.FAULT)
