"""`pipeline.toml`, read and checked against the table before the first event. The file says what its keys mean."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from enrichment.settings import (
    column_sources,
    columns_section,
    event_section,
    lookup_section,
    table_file,
)
from enrichment.settings.model import BatchLimits, Column, PipelineConfig, Table, TableField, Unmatched
from enrichment.settings.toml_section import Section

_MAX_REQUEST_BYTES = 9_000_000  # BigQuery takes 10 MB, and what wraps the rows needs room
_MAX_REQUEST_ROWS = 50_000  # https://cloud.google.com/bigquery/quotas#streaming_inserts


class PipelineFileError(ValueError):
    """`pipeline.toml` is wrong, or does not fit the table.

    Args:
        problems: One sentence for each mistake: file, place, what is wrong, what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"The pipeline cannot run: correct these and start again.{lines}")


def read(path: Path, table: Path) -> PipelineConfig:
    """Read the pipeline and check it against the table.

    Args:
        path: `pipeline.toml`.
        table: `table.json`, the table's definition.

    Returns:
        What it says.

    Raises:
        PipelineFileError: It cannot be read, or something in it is wrong; names all mistakes.
    """
    config, problems = inspect(path, table)
    if problems or config is None:
        raise PipelineFileError(problems)
    return config


def inspect(path: Path, table: Path) -> tuple[PipelineConfig | None, list[str]]:
    """Read the pipeline as far as it can be read.

    Args:
        path: `pipeline.toml`.
        table: `table.json`, the table's definition.

    Returns:
        What it says, without the fields and columns that have mistakes; None where events could not be read by it.
        And the mistakes, one sentence each.
    """
    problems: list[str] = []
    table_columns = table_file.read(table, problems)
    values = _load(path, problems)
    if values is None:
        return None, problems
    file = Section(values, "", problems, path.name)
    file.refuse_others(("event", "lookup", "lookups", "columns", "tables", "unmatched", "batch"))
    declared = event_section.read(file.section("event"), path.parent)
    before = len(problems)
    lookups = lookup_section.read(file, declared, declared.roots)
    usable = table_columns is not None and declared.id_is_good and len(problems) == before
    roots = column_sources.known(declared, lookups)

    def read_columns(section: Section, fields: Mapping[str, TableField] | None) -> tuple[Column, ...]:
        return columns_section.read(section, fields, declared, roots)

    tables: tuple[Table, ...] = ()
    unmatched = Unmatched.DEAD_LETTER
    if "tables" in values or "unmatched" in values:
        from enrichment.settings import tables_section  # which few pipelines need

        tables = tables_section.read(file, problems, declared, path.parent, read_columns)
        unmatched = tables_section.unmatched(file, tables)
    # All events may go to tables of their own; then there is nothing to write to the table of the environment.
    goes_elsewhere = "tables" in values and "columns" not in values
    columns = () if goes_elsewhere else read_columns(file.section("columns"), table_columns)
    batch = _batch(file.section("batch"))
    fields = tuple(field for field in declared.shape.fields if field.name not in declared.broken)
    shape = replace(declared.shape, fields=fields)
    config = PipelineConfig(shape, lookups, columns, batch, tables, unmatched)
    config = replace(config, content_paths=config.read_attributes())
    return config if usable else None, problems


def _load(path: Path, problems: list[str]) -> Mapping[str, object] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path.name}: cannot be read from {path}: {error.strerror}.")
    except UnicodeDecodeError:
        problems.append(f"{path.name}: is not UTF-8.")
    except ValueError as error:  # a TOMLDecodeError, or a number too long for Python to read
        problems.append(f"{path.name}: is not TOML: {error}.")
    except RecursionError:
        problems.append(f"{path.name}: is nested too deeply to be read.")
    return None


def _batch(section: Section) -> BatchLimits:
    section.refuse_others(("max_rows", "max_bytes"))
    default = BatchLimits()
    return BatchLimits(
        max_rows=section.whole("max_rows", default.max_rows, 1, _MAX_REQUEST_ROWS, "rows"),
        max_bytes=section.whole("max_bytes", default.max_bytes, 1, _MAX_REQUEST_BYTES, "bytes"),
    )
