"""Texts of a proposed `pipeline.toml` and `table.json`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from enrichment.event.identity import MAX_LENGTH

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
"""A key that stands in TOML, and in a path, as it is."""


@dataclass(frozen=True, slots=True)
class ProposedColumn:
    """One column.

    Args:
        name: Its name.
        type: Its type.
        source: What fills it.
        mode: Its mode.
        unit: What a number for a time counts, empty where it is none.
        description: What it holds.
    """

    name: str
    type: str
    source: str
    mode: str = "NULLABLE"
    unit: str = ""
    description: str = ""

    def line(self) -> str:
        """Return its line in `[columns]`."""
        source = json.dumps(self.source, ensure_ascii=False).replace("\x7f", "\\u007f")
        return f"{self.name} = " + (f'{{ from = {source}, unit = "{self.unit}" }}' if self.unit else source)


_OF_ARRAY = (
    "# The samples were one JSON array. If one message holds such an array, each element is an event of its own:",
    '# format = "json-array"',
    "",
)


_OF_ITEMS = (
    "# Items of an array can make a row each, with columns from item.KEY. Then a row is named by row.id. One of these:",
)


def pipeline_text(
    columns: Sequence[ProposedColumn],
    event_id: str,
    candidates: Sequence[str],
    arrays: Sequence[str],
    lookup_path: str,
    key: str,
    key_type: str,
    *,
    from_array: bool,
) -> str:
    """Return the text of `pipeline.toml`.

    Args:
        columns: The columns.
        event_id: What names an event.
        candidates: What else may name it.
        arrays: Arrays whose items may make a row each.
        lookup_path: The path of the service to look up, empty for no lookup.
        key: The declared field in that path.
        key_type: Its type.
        from_array: Whether the samples were the elements of one JSON array.
    """
    fields = {}
    if event_id.startswith("event."):
        name = event_id.removeprefix("event.")
        fields[name] = f'{{ type = "string", max_length = {MAX_LENGTH} }}'
    if key:
        fields.setdefault(key, f'"{key_type}"')
    named = (
        "a field of the event"
        if event_id.startswith("event.")
        else "Pub/Sub's message id. Name a field, if the publisher gives each event an id of its own"
    )
    lines = [
        "#:schema ./pipeline.schema.json",
        "# Proposed by `python -m enrichment init --from-event`. Read it, correct it, and check it with",
        "# `python -m enrichment check`.",
        "",
        "[event]",
        *(_OF_ARRAY if from_array else ()),
        f"# What names an event and its row: {named}.",
        *(f"# It may be this one: {source}" for source in candidates if event_id == "message.id"),
        f'id = "{event_id}"',
        *(_OF_ITEMS if arrays else ()),
        *(f"# each = {json.dumps(source, ensure_ascii=False)}" for source in arrays),
        "",
        "# What every event is checked for. Add what each event must have.",
        "[event.fields]",
        *(f"{_toml_key(name)} = {kind}" for name, kind in fields.items()),
        "",
    ]
    if lookup_path:
        lines += [
            "[lookup]",
            f"path = {json.dumps(lookup_path)}",
            "# The field of a profile that repeats the key, and how the service says that it does not know one.",
            f"echo = {json.dumps(key.rpartition('.')[2])}",
            'miss_error = "profile_not_found"',
            "",
        ]
    lines += ["[columns]", *(column.line() for column in columns), ""]
    return "\n".join(lines)


def _toml_key(name: str) -> str:
    return name if PLAIN_KEY.fullmatch(name) else json.dumps(name)


def table_text(columns: Sequence[ProposedColumn]) -> str:
    """Return the text of `table.json`."""
    fields = [
        {
            "name": column.name,
            "type": column.type,
            "mode": column.mode,
            "description": column.description[:1_024],
        }
        for column in columns
    ]
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
