"""A wider shape of the same work: two lookups side by side, and a row of 40 columns, most of them fields of the event.

The function is the same, with another `pipeline.toml` and `table.json`. Its peers do the same work by hand.
"""

import json
from dataclasses import replace
from pathlib import Path

from bench.enrich.stage import OURS, Function

TEXTS, COUNTS, AMOUNTS, TIMES, FLAGS = 14, 8, 6, 2, 2
"""How many columns of each type are filled from a field of the event."""

_TYPES = {"text": "STRING", "count": "INTEGER", "amount": "FLOAT", "time": "TIMESTAMP", "flag": "BOOLEAN"}
_REQUIRED = {
    "event_id": "STRING",
    "user_id": "STRING",
    "type": "STRING",
    "occurred_at": "TIMESTAMP",
    "profile": "JSON",
    "account": "JSON",
    "message_id": "STRING",
    "trace_id": "STRING",
}
_SOURCES = {
    **{name: f"event.{name}" for name in ("event_id", "user_id", "type", "occurred_at")},
    "profile": "profile",
    "account": "account",
    "message_id": "message.id",
    "trace_id": "trace.id",
}
_PIPELINE = """
[event]
id = "event.event_id"
[event.fields]
event_id = { type = "string", max_length = 128 }
user_id = "string"
account_id = "string"
type = "string"
occurred_at = "timestamp"
[lookup]
path = "/profile/{user_id}"
echo = "user_id"
miss_error = "profile_not_found"
[lookups.account]
path = "/account/{account_id}"
echo = "account_id"
miss_error = "account_not_found"
[columns]
"""


def field_columns() -> list[tuple[str, str]]:
    """Name each column that is filled from a field, and the kind of that field."""
    kinds = {"text": TEXTS, "count": COUNTS, "amount": AMOUNTS, "time": TIMES, "flag": FLAGS}
    return [(f"{kind}_{n:02d}", kind) for kind, number in kinds.items() for n in range(1, number + 1)]


def sources() -> dict[str, str]:
    """Return every column and what it is filled from, as pipeline.toml has it."""
    return {**_SOURCES, **{name: f"event.fields.{kind}.{name}" for name, kind in field_columns()}}


def function(directory: Path) -> Function:
    """Return the function as it is, with this shape's pipeline and table.

    Args:
        directory: Where to put these two.
    """
    pipeline, table = directory / "wide.toml", directory / "wide.json"
    lines = [f"{column} = {json.dumps(source)}\n" for column, source in sources().items()]
    pipeline.write_text(_PIPELINE + "".join(lines))
    table.write_text(json.dumps({"schema": {"fields": _schema()}}))
    return replace(OURS, env={"PIPELINE_FILE": str(pipeline), "TABLE_FILE": str(table)})


def _schema() -> list[dict[str, str]]:
    required = [{"name": name, "type": kind, "mode": "REQUIRED"} for name, kind in _REQUIRED.items()]
    return required + [
        {"name": name, "type": _TYPES[kind], "mode": "NULLABLE"} for name, kind in field_columns()
    ]
