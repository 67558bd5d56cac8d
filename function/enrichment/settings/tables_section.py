"""The part of `pipeline.toml` that sends events to several tables: `[[tables]]` and `unmatched`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from enrichment.expressions import ExpressionError, compile_expression
from enrichment.settings import table_file
from enrichment.settings.event_section import Declared
from enrichment.settings.model import Column, Table, TableField, Unmatched
from enrichment.settings.toml_section import Section, shown

ReadColumns = Callable[[Section, Mapping[str, TableField] | None], tuple[Column, ...]]
"""Reads `[columns]` of one table, checked against its schema."""

# https://cloud.google.com/bigquery/docs/tables#table_naming
_TABLE = re.compile(r"(?:[a-z0-9.:-]+\.\w+\.)?[\w -]+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read(
    file: Section, problems: list[str], declared: Declared, folder: Path, read_columns: ReadColumns
) -> tuple[Table, ...]:
    """Read `[[tables]]` and note the mistakes.

    Args:
        file: The file as a whole.
        problems: Where mistakes of the schema files are noted.
        declared: What makes an event.
        folder: Where the schema files are: the pipeline's own.
        read_columns: Reads the columns of one table.

    Returns:
        The tables in the order of the file, which is the order in which they are tried.
    """
    found: dict[str, Table] = {}
    for section in file.sections("tables"):
        section.refuse_others(("name", "when", "table", "schema", "columns"))
        name = section.text("name", "a name of letters, digits, _ and -") or ""
        if name and not _NAME.fullmatch(name):
            section.problem("name", f"is {shown(name)}; it must be a name of letters, digits, _ and -.")
        if name in found:
            section.problem("name", f"is {shown(name)}, and so is that of another table.")
        table = section.text("table", "the table's id, or project.dataset.table") or ""
        if table and not _TABLE.fullmatch(table):
            section.problem(
                "table", f"is {shown(table)}; it must be the table's id, or project.dataset.table."
            )
        fields = _schema(section, folder, problems)
        columns = read_columns(section.section("columns"), fields)
        text = section.text("when", "a condition, such as event.type == 'order'")
        if text is None:
            continue
        try:
            when = compile_expression(text, (*declared.roots, "row"))
        except ExpressionError as error:
            section.problem("when", f"is {shown(text)}; {error.sentence}")
            continue
        found[name] = Table(name, when, table, columns)
    return tuple(found.values())


def unmatched(file: Section, tables: tuple[Table, ...]) -> Unmatched:
    """Read `unmatched` and note its mistakes."""
    default = Unmatched.DEAD_LETTER
    if "unmatched" in file.values and not file.values.get("tables"):
        file.problem("unmatched", "is for events that none of the [[tables]] takes, and there are none.")
    if "unmatched" in file.values and tables and "columns" in file.values:
        file.problem(
            "unmatched", "is never used, for [columns] takes what no table does: leave one of the two out."
        )
    return Unmatched(file.choice("unmatched", Unmatched, default) or default)


def _schema(section: Section, folder: Path, problems: list[str]) -> Mapping[str, TableField] | None:
    path = section.file_beside("schema", "the file of the table's definition", folder)
    return None if path is None else table_file.read(path, problems)
