"""Dataset, table and view.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...cloud import fields, questions
from ..deployment import finding
from ..table_commands import column_form, query, sql_type, view_commands, wanted_fields, wanted_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..finding import Finding


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the table and its view."""
    if deployment.ok("table"):
        table = deployment.data("table")
        subject = f"the table {questions.table(deployment.values)}"
        if (kind := fields.text(table, "type")) != "TABLE":
            yield finding("table-type", subject, f"type {kind or 'unknown'}", "type TABLE")
        wanted = wanted_table()
        yield from _columns(deployment, table, wanted, subject)
        yield from _partitioning(table, wanted, subject)
        yield from _expiration(deployment, table, subject)
    if deployment.ok("view"):
        yield from _view(deployment)


def _columns(deployment: Deployment, table: Any, wanted: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    values = deployment.values
    change = f"ALTER TABLE `{values['BIGQUERY_TABLE']}`"
    found = {fields.text(item, "name"): column_form(item) for item in fields.items(table, "schema", "fields")}
    described = {fields.text(item, "name"): item for item in wanted_fields(wanted)}
    expected = {name: column_form(item) for name, item in described.items()}
    for name, form in expected.items():
        column = f"{subject}: {name}"
        if name not in found:
            # A column that is added to a table with rows cannot be required.
            add = query(values, f"{change} ADD COLUMN IF NOT EXISTS {name} {sql_type(described[name])}")
            yield finding("table-column-missing", column, "no such column", form, add)
        elif found[name] in {form, form.replace("REQUIRED", "NULLABLE")}:
            continue  # such a column takes every row, and BigQuery cannot make it required
        elif found[name] == form.replace("NULLABLE", "REQUIRED"):
            relax = query(values, f"{change} ALTER COLUMN {name} DROP NOT NULL")
            yield finding("table-column-required", column, found[name], form, relax)
        else:
            yield finding("table-column-differs", column, found[name], form)
    for name in found.keys() - expected.keys():
        if found[name].endswith("REQUIRED"):
            relax = query(values, f"{change} ALTER COLUMN {name} DROP NOT NULL")
            # The name comes from the API, and becomes SQL only if it is a plain name.
            commands = [relax] if re.fullmatch(r"[A-Za-z_]\w{0,299}", name, re.ASCII) else []
            yield finding("table-column-required", f"{subject}: {name}", found[name], "NULLABLE", *commands)


def _partitioning(table: Any, wanted: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    found, expected = _layout(table), _layout(wanted)
    if found != expected:
        yield finding("table-partitioning", subject, found, expected)


def _layout(table: Any) -> str:  # noqa: ANN401 - JSON
    kind = fields.text(table, "timePartitioning", "type")
    column = fields.text(table, "timePartitioning", "field")
    clustered = ", ".join(fields.strings(table, "clustering", "fields"))
    partitions = f"by {kind} of {column or 'arrival'}" if kind else "no partitions"
    return f"{partitions}; clustered by {clustered or 'nothing'}"


def _expiration(deployment: Deployment, table: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    name = questions.table(deployment.values)
    # A zero for "never" is how bq writes a removed expiration.
    if (whole := fields.text(table, "expirationTime")) not in {"", "0"}:
        yield finding(
            "table-expires",
            subject,
            f"the table is deleted at {whole} ms since 1970",
            "never",
            ("bq", "update", "--expiration=0", name),
        )
    if (parts := fields.text(table, "timePartitioning", "expirationMs")) not in {"", "0"}:
        yield finding(
            "table-expires",
            subject,
            f"partitions are deleted after {parts} ms",
            "never",
            ("bq", "update", "--time_partitioning_expiration=0", name),
        )


# No other table, no filter, no limit: one table, all its rows, one row of each event.
_ONE_ROW = re.compile(
    r"SELECT (?:(?!\bFROM\b|;).)+ FROM (?P<table>\S+) QUALIFY ROW_NUMBER ?\( ?\) OVER ?\( ?PARTITION BY "
    r"[`\w., ]+ ORDER BY [`\w., ]+\) = 1 ?;?",
    re.IGNORECASE,
)


def _one_row_an_event(query: str, table: str) -> bool:
    """Return whether a query takes one row for each event of the table, and nothing else."""
    words = re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", query)).strip()
    found = _ONE_ROW.fullmatch(words)
    return found is not None and found["table"].replace("`", "") == table


def _view(deployment: Deployment) -> Iterator[Finding]:
    name = questions.table(deployment.values, view=True)
    query = fields.text(deployment.data("view"), "view", "query")
    table = deployment.values["BIGQUERY_TABLE"]
    if not _one_row_an_event(query, table):
        found = "no view" if not query else "a query that does not take one row for each event of the table"
        yield finding(
            "view-differs",
            f"the view {name}",
            found,
            f"one row for each event of {table}",
            *view_commands(deployment.values),
        )
