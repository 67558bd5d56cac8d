"""Resource names of tables and streams. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshlab.cloud.bigquery.write_api.errors import invalid

DEFAULT = "_default"

_TABLE = r"projects/(?P<project>[^/]+)/datasets/(?P<dataset>[^/]+)/tables/(?P<table>[^/]+)"
_TABLE_NAME = re.compile(_TABLE)
# Java's client leaves out "streams" for the default stream.
_STREAM_NAME = re.compile(rf"{_TABLE}/(?:streams/(?P<stream>[^/]+)|_default)")


@dataclass(frozen=True, slots=True)
class TableName:
    """A table: project, dataset and name."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        """Return the resource name."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"

    @property
    def parts(self) -> tuple[str, str, str]:
        """The parts in order, as the catalogue takes them."""
        return self.project, self.dataset, self.table


def parse_table(text: str) -> TableName:
    """Read the name of a table.

    Raises:
        WriteError: It is none.
    """
    match = _TABLE_NAME.fullmatch(text)
    if not match:
        raise invalid(f"Invalid table name: '{text}'. It must be projects/P/datasets/D/tables/T.")
    return TableName(**match.groupdict())


def parse_stream(text: str) -> tuple[TableName, str]:
    """Read the name of a stream: its table and its own id.

    Raises:
        WriteError: It is none.
    """
    match = _STREAM_NAME.fullmatch(text)
    if not match:
        raise invalid(f"Invalid stream name: '{text}'. It must be projects/P/datasets/D/tables/T/streams/S.")
    found = match.groupdict()
    stream = found.pop("stream") or DEFAULT
    return TableName(**found), stream
