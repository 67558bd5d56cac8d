"""Dataset, table and view.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ... import ROOT
from ...cloud import fields, questions
from ..deployment import finding
from .reading import view_commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..findings import Finding

SCHEMA = ROOT / "function" / "enrichment" / "table.json"

# bq and the API write a type by either of its names.
_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the table and its view."""
    if deployment.ok("table"):
        table = deployment.data("table")
        subject = f"the table {questions.table(deployment.values)}"
        wanted = json.loads(SCHEMA.read_text(encoding="utf-8"))
        yield from _columns(table, wanted, subject)
        yield from _partitioning(table, wanted, subject)
        yield from _expiration(deployment, table, subject)
    if deployment.ok("view"):
        yield from _view(deployment)


def _columns(table: Any, wanted: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    found = {fields.text(item, "name"): _form(item) for item in fields.items(table, "schema", "fields")}
    expected = {
        fields.text(item, "name"): _form(item)
        for item in (fields.items(wanted, "schema", "fields") or fields.items(wanted))
    }
    for name, form in expected.items():
        column = f"{subject}: {name}"
        if name not in found:
            yield finding("table-column-missing", column, "no such column", form)
        elif found[name] != form:
            yield finding("table-column-differs", column, found[name], form)
    for name in found.keys() - expected.keys():
        if found[name].endswith("REQUIRED"):
            yield finding("table-column-required", f"{subject}: {name}", found[name], "NULLABLE")


def _form(column: Any) -> str:  # noqa: ANN401 - JSON
    kind = fields.text(column, "type").upper()
    return f"{_TYPES.get(kind, kind)} {fields.text(column, 'mode').upper() or 'NULLABLE'}"


def _partitioning(table: Any, wanted: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    if not isinstance(wanted, dict):
        return
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


def _view(deployment: Deployment) -> Iterator[Finding]:
    name = questions.table(deployment.values, view=True)
    query = re.sub(r"\s+", " ", fields.text(deployment.data("view"), "view", "query"))
    table = deployment.values["BIGQUERY_TABLE"]
    from_table = f"`{table}`" in query.replace("`.`", ".")
    if not (from_table and "ROW_NUMBER()" in query.upper()):
        found = "no view" if not query else "a query that does not take one row for each event of the table"
        yield finding(
            "view-differs",
            f"the view {name}",
            found,
            f"one row for each event of {table}",
            *view_commands(deployment),
        )
