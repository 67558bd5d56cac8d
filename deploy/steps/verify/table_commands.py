"""Commands that make or change the table and its view, as SQL.

Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .. import ROOT
from ..cloud import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = ROOT / "function" / "enrichment" / "table.json"

# The API writes a type by either of its names.
_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def wanted_table() -> dict[str, Any]:
    """Return the table as the repository describes it, in the form of BigQuery's API.

    The columns are a file that bq takes. What a list of columns cannot say stands in the file beside it.
    """
    described = json.loads(SCHEMA.read_text(encoding="utf-8"))
    if isinstance(described, dict):
        return described
    layout = json.loads(SCHEMA.with_name(f"{SCHEMA.stem}_layout.json").read_text(encoding="utf-8"))
    return {**layout, "schema": {"fields": described}}


def creation(values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command that creates the table; bq takes no file that describes a whole table."""
    wanted = wanted_table()
    columns = ", ".join(
        f"{fields.text(item, 'name')} {sql_type(item)}{' NOT NULL' if column_form(item).endswith('REQUIRED') else ''}"
        for item in wanted_fields(wanted)
    )
    day = fields.text(wanted, "timePartitioning", "field")
    clustered = ", ".join(fields.strings(wanted, "clustering", "fields"))
    layout = f"{f' PARTITION BY DATE({day})' if day else ''}{f' CLUSTER BY {clustered}' if clustered else ''}"
    return query(values, f"CREATE TABLE IF NOT EXISTS `{values['BIGQUERY_TABLE']}` ({columns}){layout}")


def query(values: Mapping[str, str], sql: str) -> tuple[str, ...]:
    """Return the command that runs a statement."""
    project = values["BIGQUERY_TABLE"].partition(".")[0]
    return ("bq", "query", f"--project_id={project}", "--use_legacy_sql=false", sql)


def sql_type(column: Any) -> str:  # noqa: ANN401 - JSON
    """Return the type of a column as SQL names it."""
    kind = fields.text(column, "type").upper()
    return {api: sql for sql, api in _TYPES.items()}.get(kind, kind)


def wanted_fields(wanted: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return the columns of a described table."""
    return fields.items(wanted, "schema", "fields")


def view_commands(values: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the command that creates the view; its SQL has to be piped into bq."""
    table = values["BIGQUERY_TABLE"]
    sql = f"python -m enrichment sql deduplicated_view --table={table}"
    # Without a project bq takes the one of gcloud's settings, and refuses where there is none.
    pipe = f"cd function && {sql} | bq query --project_id={table.partition('.')[0]} --use_legacy_sql=false"
    return [("sh", "-c", pipe)]


# https://cloud.google.com/bigquery/docs/access-control-basic-roles
_ROLES_OF_A_DATASET = {
    "READER": "roles/bigquery.dataViewer",
    "WRITER": "roles/bigquery.dataEditor",
    "OWNER": "roles/bigquery.dataOwner",
}


def revocation(values: Mapping[str, str], role: str, member: str) -> list[tuple[str, ...]]:
    """Return the command that takes a role on the dataset from a member; [] if the role has no plain name.

    Args:
        values: A checked contract.
        role: What the dataset's answer says, such as ``READER`` or ``roles/bigquery.dataViewer``.
        member: As SQL names it, such as ``specialGroup:allUsers``; from a checked contract or a constant.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-control-language
    """
    full = _ROLES_OF_A_DATASET.get(role, role)
    if not re.fullmatch(r"roles/[A-Za-z.]+|projects/[a-z0-9-]+/roles/[A-Za-z0-9_.]+", full):
        return []
    dataset = values["BIGQUERY_TABLE"].rpartition(".")[0]
    return [query(values, f'REVOKE `{full}` ON SCHEMA `{dataset}` FROM "{member}"')]


def column_form(column: Any) -> str:  # noqa: ANN401 - JSON
    """Return type and mode of a column in one form."""
    kind = fields.text(column, "type").upper()
    return f"{_TYPES.get(kind, kind)} {fields.text(column, 'mode').upper() or 'NULLABLE'}"
