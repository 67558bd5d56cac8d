"""`pipeline.toml`, read and checked against the table before the first event. The file tells what its keys mean."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from enrichment.row import MAX_ROW_BYTES
from enrichment.settings import column_sources, columns_section, event_section, table_file, tables_section
from enrichment.settings.event_section import Declared
from enrichment.settings.model import (
    BatchLimits,
    CacheLimits,
    Column,
    LookupRules,
    OnMiss,
    PipelineConfig,
    TableField,
)
from enrichment.settings.toml_section import Section, shown

_WEEK_S = 604_800
_MAX_TIMEOUT_S = 600  # the longest acknowledgement deadline of a subscription
_MAX_CONCURRENCY = 1_000  # of a Cloud Run instance
_MAX_ENTRIES = 10_000_000
_MAX_CACHE_BYTES = 32 * 1024**3  # the memory of the largest Cloud Run instance
_MAX_REQUEST_BYTES = 9_000_000  # BigQuery takes 10 MB, and what wraps the rows needs room
# Envoy takes 60 KiB of headers, the path and the token included (`max_request_headers_kb`); a character takes 12 bytes
# at most when it is percent-encoded.
_MAX_KEY_LENGTH = 4_096
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
    file.refuse_others(("event", "lookup", "columns", "tables", "unmatched", "batch"))
    declared = event_section.read(file.section("event"), path.parent)
    before = len(problems)
    lookup = _lookup(file.section("lookup"), declared)
    usable = table_columns is not None and declared.id_is_good and len(problems) == before
    roots = column_sources.known(declared, {"profile": lookup})

    def read_columns(section: Section, fields: Mapping[str, TableField] | None) -> tuple[Column, ...]:
        return columns_section.read(section, fields, declared, roots)

    tables = tables_section.read(file, problems, declared, path.parent, read_columns)
    # All events may go to tables of their own; then there is nothing to write to the table of the environment.
    goes_elsewhere = "tables" in values and "columns" not in values
    columns = () if goes_elsewhere else read_columns(file.section("columns"), table_columns)
    unmatched = tables_section.unmatched(file, tables)
    batch = _batch(file.section("batch"))
    fields = tuple(field for field in declared.shape.fields if field.name not in declared.broken)
    shape = replace(declared.shape, fields=fields)
    config = PipelineConfig(shape, lookup, columns, batch, tables, unmatched)
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
    return None


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# RFC 3986, section 3.3: pchar and the slash; as the SDK takes it.
_LITERAL = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_DOT_SEGMENT = re.compile(r"(?:\.|%2[Ee]){1,2}")


def _lookup(section: Section, declared: Declared) -> LookupRules:
    section.refuse_others(
        ("path", "echo", "miss_error", "on_miss", "timeout_s", "max_in_flight", "max_answer_bytes", "cache")
    )
    path, name = _path(section, declared)
    default = LookupRules("", (), "", "")
    return LookupRules(
        path=path,
        key=tuple(name.split(".")),
        echo=section.text("echo", "the field of a profile that repeats the key") or "",
        miss_error=section.text("miss_error", "what `error` says in the service's 404 for an unknown key")
        or "",
        on_miss=OnMiss(section.choice("on_miss", OnMiss, default.on_miss) or default.on_miss),
        timeout_s=section.seconds("timeout_s", default.timeout_s, 0.001, _MAX_TIMEOUT_S),
        max_in_flight=section.whole("max_in_flight", default.max_in_flight, 1, _MAX_CONCURRENCY, "lookups"),
        max_answer_bytes=section.whole(
            "max_answer_bytes", default.max_answer_bytes, 1, MAX_ROW_BYTES, "bytes"
        ),
        cache=_cache(section.section("cache")),
    )


def _path(section: Section, declared: Declared) -> tuple[str, str]:
    """The path's template and its placeholder, empty where there is none."""
    about = 'a path with one placeholder, the field of the event that is looked up: "/profile/{user_id}"'
    path = section.text("path", about)
    if path is None:
        return "", ""
    names = _PLACEHOLDER.findall(path)
    literal = _PLACEHOLDER.sub("", path)
    if len(names) != 1:
        section.problem("path", f"is {shown(path)}, with {len(names)} placeholders; it must be {about}.")
    elif not _LITERAL.fullmatch(literal) or "//" in path:
        section.problem(
            "path", f"is {shown(path)}; it must start with a slash and hold no query and no empty segment."
        )
    elif any(map(_DOT_SEGMENT.fullmatch, path.split("/"))):
        section.problem("path", f"is {shown(path)}; it must not have a segment of dots.")
    elif wrong := declared.required_string(names[0]):
        section.problem("path", f"is {shown(path)}, and {names[0]} {wrong}")
    elif names[0] not in declared.broken and declared.fields[names[0]].max_length > _MAX_KEY_LENGTH:
        section.problem(
            "path",
            f"is {shown(path)}, so {names[0]} needs max_length = {_MAX_KEY_LENGTH} or less: no longer key fits into "
            "the mesh's limit on a request's headers.",
        )
    return path, names[0] if names else ""


def _cache(section: Section) -> CacheLimits:
    section.refuse_others(("ttl_s", "negative_ttl_s", "stale_if_error_s", "max_entries", "max_bytes"))
    default = CacheLimits()
    return CacheLimits(
        ttl_s=section.seconds("ttl_s", default.ttl_s, 0, _WEEK_S),
        negative_ttl_s=section.seconds("negative_ttl_s", default.negative_ttl_s, 0, _WEEK_S),
        stale_if_error_s=section.seconds("stale_if_error_s", default.stale_if_error_s, 0, _WEEK_S),
        max_entries=section.whole("max_entries", default.max_entries, 1, _MAX_ENTRIES, "answers"),
        max_bytes=section.whole("max_bytes", default.max_bytes, 1, _MAX_CACHE_BYTES, "bytes"),
    )


def _batch(section: Section) -> BatchLimits:
    section.refuse_others(("max_rows", "max_bytes"))
    default = BatchLimits()
    return BatchLimits(
        max_rows=section.whole("max_rows", default.max_rows, 1, _MAX_REQUEST_ROWS, "rows"),
        max_bytes=section.whole("max_bytes", default.max_bytes, 1, _MAX_REQUEST_BYTES, "bytes"),
    )
