"""A function's `pipeline.toml` and its table's definition, read as data: what the lab needs to run and to count events.

The function itself checks both files (`python -m enrichment check`). What is read here is only where rows go, which of
their columns name an event, and what is looked up.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import field
from typing import TYPE_CHECKING, Any

from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Lookup", "Pipeline", "Target"]

_PLAIN_PATH = re.compile(r"event((?:\.[A-Za-z0-9_$-]+)+)")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TIMES = ("TIMESTAMP", "DATETIME", "DATE")
_NOT_SHOWN = re.compile(r"event|now|trace\..*|message\.(attributes|id|publish_time|ordering_key)")
_MAX_SHOWN = 6
_OF_MANY_EVENTS = ("ndjson", "json-array", "cloudevents")
_NOT_FOUND = 404


@dataclass(frozen=True)
class Lookup:
    """One call to a service, as `[lookup]` or `[lookups.NAME]` describes it.

    Attributes:
        name: Its name; `profile` for `[lookup]`.
        path: The path with its placeholders, such as `/profile/{user_id}`.
        method: The HTTP method.
        query: Names of its query parameters, without those of a constant value.
        is_batched: Whether keys share requests.
        echo: The field of an answer that repeats the key; empty for none.
        miss_status: The status of the answer for an unknown key.
        miss_field: The field of that answer that says so; empty for none.
        miss_value: What that field says.
        echoes: Where a key has several parts: each field that repeats one, and the part's number from 0.
    """

    name: str = "profile"
    path: str = "/profile/{user_id}"
    method: str = "GET"
    query: tuple[str, ...] = ()
    is_batched: bool = False
    echo: str = "user_id"
    miss_status: int = _NOT_FOUND
    miss_field: str = "error"
    miss_value: object = "profile_not_found"
    echoes: tuple[tuple[str, int], ...] = ()

    @property
    def mesh_path(self) -> str:
        """The path as the mesh's descriptions write it, where `{*}` is exactly one segment."""
        return _PLACEHOLDER.sub("{*}", self.path)


@dataclass(frozen=True)
class Target:
    """A table that rows are written to.

    Attributes:
        table: `project.dataset.table`.
        definition: The resource of BigQuery's API that defines it.
        sources: Column to the expression that it is filled from.
    """

    table: str
    definition: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)

    def column_of(self, source: str) -> str | None:
        """Return the column that is filled from an expression, None where there is none."""
        return next((column for column, found in self.sources.items() if found == source), None)

    @property
    def time_column(self) -> str | None:
        """The column that orders rows: the partition's, or the first that holds a time."""
        partition = self.definition.get("timePartitioning", {}).get("field")
        if isinstance(partition, str):
            return partition
        return next((name for name, kind in self._columns if kind in _TIMES), None)

    @property
    def shown_columns(self) -> list[str]:
        """The columns to show people: the first of those that are no copy of the whole event or of the message."""
        names = [name for name, _ in self._columns]
        own = [
            name
            for name in names
            if self.sources.get(name) and not _NOT_SHOWN.fullmatch(self.sources.get(name, ""))
        ]
        return (own or names)[:_MAX_SHOWN]

    @property
    def _columns(self) -> list[tuple[str, str]]:
        return [
            (str(column["name"]), str(column["type"]).upper())
            for column in self.definition["schema"]["fields"]
        ]


@dataclass(frozen=True)
class Pipeline:
    """What a function does with events.

    Attributes:
        file: The `pipeline.toml`.
        table_file: The definition of the table of `[columns]`.
        targets: The tables that rows go to.
        id_sources: What names an event: expressions, `content`, or `message.id`.
        lookups: What is looked up.
        has_plain_events: Whether a message's data is one JSON object, encoded in no other way.
        makes_many_rows: Whether one message can make any number of rows.
        holds_arrays: Whether a message's data is a JSON array of events.
    """

    file: Path
    table_file: Path
    targets: tuple[Target, ...]
    id_sources: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    has_plain_events: bool
    makes_many_rows: bool
    holds_arrays: bool = False

    @classmethod
    def read(cls, file: Path, table_file: Path, table: str) -> Pipeline:
        """Read both files.

        Args:
            file: The `pipeline.toml`.
            table_file: The table's definition.
            table: `project.dataset.table` of that table.

        Raises:
            LabError: One of them cannot be read.
        """
        document = _toml(file)
        event = _mapping(document.get("event"))
        written = event.get("id", "message.id")
        return cls(
            file=file.resolve(),
            table_file=table_file.resolve(),
            targets=tuple(_targets(file, document, table_file, table)),
            id_sources=tuple(map(str, written)) if isinstance(written, list) else (str(written),),
            lookups=tuple(_lookups(document)),
            has_plain_events=not event.get("encoding") and event.get("format", "json") == "json",
            holds_arrays=event.get("format") == "json-array",
            makes_many_rows="each" in event or event.get("format") in _OF_MANY_EVENTS,
        )

    def identity(self, message_id: str, data: bytes) -> str | None:
        """Return what names the event of a message, None where only the function can say.

        Args:
            message_id: The id that Pub/Sub gave the message.
            data: The message's data.
        """
        parts = [self._part(source, message_id, data) for source in self.id_sources]
        known = [part for part in parts if part is not None]
        return "\x1f".join(known) if known and len(known) == len(parts) else None

    def _part(self, source: str, message_id: str, data: bytes) -> str | None:
        if source == "message.id":
            return message_id
        if source == "content":
            return hashlib.sha256(data).hexdigest()
        if not (self.has_plain_events and (path := _PLAIN_PATH.fullmatch(source))):
            return None
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return None
        for key in path[1].removeprefix(".").split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return value if isinstance(value, str) and value else None


def _targets(file: Path, document: Mapping[str, Any], table_file: Path, table: str) -> list[Target]:
    found = [Target(table, _table(table_file), _sources(document.get("columns")))]
    dataset = table.rpartition(".")[0]
    for one in document.get("tables", []):
        name = str(one.get("table", "")) or str(one.get("name", ""))
        definition = _table(file.parent / str(one["schema"])) if one.get("schema") else found[0].definition
        full = name if name.count(".") == 2 else f"{dataset}.{name}"
        found.append(Target(full, definition, _sources(one.get("columns"))))
    return found


def _sources(columns: object) -> dict[str, str]:
    return {
        column: source if isinstance(source, str) else str(_mapping(source).get("from", ""))
        for column, source in _mapping(columns).items()
    }


def _lookups(document: Mapping[str, Any]) -> list[Lookup]:
    named = {"profile": document["lookup"]} if "lookup" in document else {}
    return [
        _lookup(name, _mapping(found)) for name, found in {**named, **document.get("lookups", {})}.items()
    ]


def _lookup(name: str, found: Mapping[str, Any]) -> Lookup:
    miss = _mapping(found.get("miss"))
    if "miss_error" in found:
        miss = {"field": "error", "equals": found["miss_error"], **miss}
    path = str(found.get("path", ""))
    query = tuple(key for key, value in _mapping(found.get("query")).items() if isinstance(value, str))
    echo, echoes = _echo(found.get("echo", ""), [*_PLACEHOLDER.findall(path), *query])
    return Lookup(
        name=name,
        path=path,
        method=str(found.get("method", "GET")),
        query=query,
        is_batched="batch" in found,
        echo=echo,
        echoes=echoes,
        miss_status=int(miss.get("status", found.get("miss_status", _NOT_FOUND))),
        miss_field=str(miss.get("field", "")),
        miss_value=miss.get("equals", ""),
    )


def _echo(written: object, parts: Sequence[str]) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return the field that repeats the key, or the fields that repeat its parts."""
    if not isinstance(written, dict):
        return str(written), ()
    fields = tuple((name, parts.index(part)) for name, part in written.items() if part in parts)
    if len(parts) == 1 and len(fields) == 1:
        return fields[0][0], ()
    return "", fields


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LabError(f"{file}: the pipeline cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise LabError(f"{file}: the pipeline is not TOML in UTF-8: {error}") from None


def _table(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
        if isinstance(document, list):
            document = {**_layout(file), "schema": {"fields": document}}
        # The first column is asked for, so that an empty list is refused as well.
        columns = [(column["name"], column["type"]) for column in document["schema"]["fields"]]
        _ = columns[0]
    except OSError as error:
        raise LabError(f"{file}: the table's definition cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, RecursionError):
        raise LabError(
            f"{file}: this is neither a list of BigQuery's columns nor a table resource of its API, each column"
            " with name and type; see function/enrichment/table.json"
        ) from None
    found: dict[str, Any] = document
    return found


def _layout(file: Path) -> dict[str, Any]:
    """Return what a list of columns cannot say, such as the partition: `table_layout.json` beside `table.json`."""
    layout = file.with_name(f"{file.stem}_layout.json")
    found: dict[str, Any] = json.loads(layout.read_bytes()) if layout.exists() else {}
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
