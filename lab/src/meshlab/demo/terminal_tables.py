"""Output of the demo: tables on a terminal, the same as plain text in a pipe."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from meshlab.bench.report.terminal import SafeConsole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.demo.function_log import Problem
    from meshlab.demo.ledger import DeadLetter, Ledger
    from meshlab.lab.stack import Started

# Wide enough for the widest table; a pipe has no width of its own.
_PIPE_WIDTH = 150
_MAX_CELL = 34


def console() -> SafeConsole:
    """Return a console for standard output, which honours NO_COLOR and pipes."""
    plain = SafeConsole()
    return plain if plain.is_terminal or "COLUMNS" in os.environ else SafeConsole(width=_PIPE_WIDTH)


def started(parts: Sequence[Started], ready_after_s: float) -> Table:
    """Return a table of what was started, where it listens, and how fast it was."""
    table = _table(f"Started: all ready after {ready_after_s:.2f} s", "part", "listens on", "ready after")
    for part in parts:
        ready = "was there" if part.ready_after_s is None else f"{part.ready_after_s * 1000:.0f} ms"
        table.add_row(part.name, part.address, ready)
    return table


def events(ledger: Ledger, seconds: float, *, lookups: int, inserts: int) -> Table:
    """Return a table of the balance of events, and of what it took.

    Args:
        ledger: The balance.
        seconds: From the first message to the last end.
        lookups: Requests that reached user-profile.
        inserts: Requests that reached BigQuery.
    """
    table = _table(f"Events: settled in {seconds:.2f} s", "outcome", "count")
    table.add_row("messages published", str(ledger.messages))
    table.add_row("  of which repeats of an event", str(ledger.repeats))
    table.add_row("events", str(ledger.events))
    table.add_row("  rows in BigQuery", str(ledger.rows))
    table.add_row("  dead-lettered", str(len(ledger.dead_letters)))
    if ledger.dropped:
        table.add_row("  dropped by the pipeline", str(ledger.dropped))
    table.add_row("  lost", str(len(ledger.lost)))
    table.add_row("lookups in the mesh", str(lookups))
    table.add_row("writes to BigQuery", str(inserts))
    return table


def dead_letters(dead: Sequence[DeadLetter]) -> Table:
    """Return a table of dead letters by reason, each with one of its details."""
    table = _table("Dead letters", "reason", "stage", "count", "for example")
    # Sorted, because the order in which they arrive differs from run to run.
    found = sorted((one.reason, one.stage, one.detail) for one in dead)
    counts = Counter((reason, stage) for reason, stage, _ in found)
    details = {(reason, stage): detail for reason, stage, detail in reversed(found)}
    for (reason, stage), count in counts.most_common():
        table.add_row(reason, stage, str(count), _cell(details[reason, stage], 80))
    return table


def problems(found: Mapping[Problem, int]) -> Table:
    """Return a table of the retries and faults that the function reported."""
    table = _table(
        "Retries and faults, as the function logged them", "reason", "stage", "count", "what it says"
    )
    for problem, count in found.items():
        table.add_row(problem.reason, problem.stage, str(count), _cell(problem.message, 100))
    return table


def rows(table_name: str, found: Sequence[Mapping[str, object]]) -> Table | str:
    """Return the first rows of a table, as the official client reads them back."""
    if not found:
        return f"The table {table_name} has no rows."
    table = _table(
        f"First rows of {table_name}, read back through google-cloud-bigquery",
        *found[0],
    )
    for row in found:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        table.add_column(
            column, overflow="fold", justify="right" if column in ("count", "ready after") else "left"
        )
    return table


def _cell(value: object, width: int = _MAX_CELL) -> str:
    text = " ".join(str(value).split())
    return escape(text if len(text) <= width else f"{text[: width - 1]}…")
