"""A first `pipeline.toml` and `table.json`, proposed from sample events."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enrichment.commands.hints import as_expression
from enrichment.commands.proposal_text import PLAIN_KEY, ProposedColumn, pipeline_text, table_text
from enrichment.documents import strict_json
from enrichment.documents.instant import DATE, civil, parse_timestamp
from enrichment.event import diagnosis
from enrichment.event.field_values import INT64_MAX, INT64_MIN, is_name
from enrichment.event.identity import MAX_LENGTH

MAX_COLUMNS = 200
"""Most columns of their own. The rest of an event is in the column `event`."""

_MAX_DEPTH = 2  # an object deeper than this becomes a JSON column
_MAX_NAME = 300  # https://cloud.google.com/bigquery/docs/schemas#column_names
_ID_NAMES = ("event_id", "eventId", "id", "uuid", "insert_id", "insertId", "message_id", "messageId")
_TIME_NAME = re.compile(
    r"(at|time|timestamp|ts|date|created|updated|time_?(ms|us|ns|micros|millis|nanos)|timeUnixNano)$",
    re.IGNORECASE,
)
_VERSION_NAME = re.compile(r"version|revision", re.IGNORECASE)  # some look like dates, and the next may not
_MAX_CANDIDATES = 3
_UNITS = {"s": (10**9, 10**10), "ms": (10**12, 10**13), "us": (10**15, 10**16), "ns": (10**18, 10**19)}
"""Numbers of the years 2001 to 2286. Texts of them have all of their digits."""
_DIGITS = re.compile(r"[1-9]\d{9,18}", re.ASCII)
_RESERVED = re.compile(
    r"(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_)", re.IGNORECASE
)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)


class NoProposalError(ValueError):
    """Nothing can be proposed. The message says why, and quotes no value."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed.

    Args:
        pipeline: The text of `pipeline.toml`.
        table: The text of `table.json`.
        columns: The columns.
        event_id: What names an event.
    """

    pipeline: str
    table: str
    columns: Sequence[ProposedColumn] = field(repr=False)
    event_id: str


def propose(events: Sequence[bytes], lookup_path: str = "", *, from_array: bool = False) -> Proposal:
    """Propose a pipeline for events like these.

    Args:
        events: The samples, each a JSON object. The more there are, the better the types are known.
        lookup_path: The path of the service to look up, `/profile/{user_id}`; empty for no lookup.
        from_array: Whether the samples were the elements of one JSON array, as messages of some publishers are.

    Raises:
        NoProposalError: A sample is no JSON object, or the path names no field that every sample has.
    """
    if not events:
        raise NoProposalError("the file has no event in it")
    documents = [_parsed(number, event) for number, event in enumerate(events, start=1)]
    event_id = _event_id(documents)
    key, key_type = _key(lookup_path, documents)
    columns = _columns(documents, event_id, with_profile=bool(lookup_path))
    return Proposal(
        pipeline_text(
            columns,
            event_id,
            _id_candidates(documents),
            _arrays(documents),
            lookup_path,
            key,
            key_type,
            from_array=from_array,
        ),
        table_text(columns),
        columns,
        event_id,
    )


def _parsed(number: int, event: bytes) -> dict[str, Any]:
    try:
        return strict_json.parse_object(event)
    except strict_json.NotJsonError as error:
        what = diagnosis.of_not_json(event, str(error))
        advice = ". Give this command the events without it" if "encoding" in what else ""
        raise NoProposalError(f"event {number} is no JSON object: {what}{advice}") from None
    except strict_json.NotValidError as error:
        raise NoProposalError(f"event {number} is no JSON object: {error}") from None


def _event_id(documents: Sequence[Mapping[str, object]]) -> str:
    """Return the source of what names an event: a string that every sample has and no two share."""
    for name in _ID_NAMES:
        values = [document.get(name) for document in documents]
        if all(is_name(value, MAX_LENGTH) for value in values) and len(set(values)) == len(values):
            return f"event.{name}"
    return "message.id"


def _id_candidates(documents: Sequence[Mapping[str, object]]) -> list[str]:
    """Return sources that look like an id and may be one: the file names them, and a person decides."""
    found = []
    for path, values in _leaves(documents):
        named = [value for value in values if is_name(value, MAX_LENGTH) or type(value) is int]
        if path[-1].lstrip("$") in _ID_NAMES and len(set(named)) == len(documents):
            found.append(_source(path))
    return found[:_MAX_CANDIDATES]


def _arrays(documents: Sequence[Mapping[str, object]]) -> list[str]:
    """Return sources of arrays of objects, whose items may be to make a row each."""
    found = []
    for path, values in _leaves(documents):
        items = [item for value in values for item in (value if isinstance(value, list) else [None])]
        if items and all(isinstance(item, dict) for item in items):
            found.append(_source(path))
    return found[:_MAX_CANDIDATES]


def _key(lookup_path: str, documents: Sequence[Mapping[str, object]]) -> tuple[str, str]:
    """Return the field that the path names, and its type."""
    if not lookup_path:
        return "", ""
    names = re.findall(r"\{([^{}]*)\}", lookup_path)
    if len(names) != 1:
        raise NoProposalError("the path must have one placeholder, such as /profile/{user_id}")
    value: list[object] = list(documents)
    for step in names[0].split("."):
        value = [inner.get(step) if isinstance(inner, dict) else None for inner in value]
    if all(isinstance(found, int) and not isinstance(found, bool) for found in value):
        return str(names[0]), "integer"
    if not all(is_name(found, 256) for found in value):
        raise NoProposalError(
            f"not every event has {names[0]} as an integer or a string of 1 to 256 characters. Name a field by its "
            "path, such as {customer.id}. If some events have no key, leave --lookup out and write [lookup] with "
            "params yourself"
        )
    return str(names[0]), "string"


def _columns(
    documents: Sequence[Mapping[str, object]], event_id: str, *, with_profile: bool
) -> list[ProposedColumn]:
    fixed = [
        ProposedColumn("event", "JSON", "event", description="The whole event, as it came."),
        *(
            [ProposedColumn("profile", "JSON", "profile", description="What was looked up for it.")]
            if with_profile
            else []
        ),
        ProposedColumn(
            "message_id", "STRING", "message.id", "REQUIRED", description="Pub/Sub's id of the message."
        ),
        ProposedColumn(
            "publish_time",
            "TIMESTAMP",
            "message.publish_time",
            "REQUIRED",
            description="When the message was published, by Pub/Sub's clock.",
        ),
        ProposedColumn("enriched_at", "TIMESTAMP", "now", "REQUIRED", description="When the row was built."),
        ProposedColumn(
            "trace_id",
            "STRING",
            "trace.id",
            "REQUIRED",
            description="The trace, the same in the mesh's access logs.",
        ),
    ]
    taken = {column.name for column in fixed}
    found: list[ProposedColumn] = []
    for path, values in _leaves(documents):
        if len(found) == MAX_COLUMNS:
            break
        source = _source(path)
        # An id stays text, even where the samples' ids look like dates.
        kind = _Kind("STRING", "REQUIRED") if source == event_id else _kind(path[-1], values)
        source = f"from_json({source})" if kind.is_json_text else source
        name = _name(path, taken)
        found.append(
            ProposedColumn(name, kind.type, source, kind.mode, kind.unit, f"The event's {'.'.join(path)}.")
        )
    return found + fixed


def _leaves(
    documents: Sequence[object], path: tuple[str, ...] = ()
) -> Iterable[tuple[tuple[str, ...], list[object]]]:
    """Return the paths that become columns, with what the samples have there."""
    keys = dict.fromkeys(key for document in documents if isinstance(document, dict) for key in document)
    for key in keys:
        values = [document[key] for document in documents if isinstance(document, dict) and key in document]
        values = [value for value in values if value is not None]
        below = (*path, key)
        objects = bool(values) and all(isinstance(value, dict) and value for value in values)
        if objects and len(below) < _MAX_DEPTH:
            yield from _leaves(values, below)
        else:
            yield below, values


def _source(path: tuple[str, ...]) -> str:
    """Return the expression for a path into the event."""
    if all(map(PLAIN_KEY.fullmatch, path)):
        return ".".join(("event", *path))
    return as_expression(("event", *path))


@dataclass(frozen=True, slots=True)
class _Kind:
    type: str
    mode: str = "NULLABLE"
    unit: str = ""
    is_json_text: bool = False


def _kind(name: str, values: Sequence[object]) -> _Kind:
    """Return the type of column that takes all of these values."""
    if not values:
        return _Kind("JSON")
    if unit := _unit(name, values):
        return _Kind("TIMESTAMP", unit=unit)
    if all(isinstance(value, str) and _is_json_text(value) for value in values):
        return _Kind("JSON", is_json_text=True)
    if all(isinstance(value, list) for value in values):
        items = [item for value in values if isinstance(value, list) for item in value]
        inner = _scalar(items) if items else "JSON"
        return _Kind(inner, "REPEATED") if inner != "JSON" else _Kind("JSON")
    kind = _scalar(values)
    return _Kind("STRING" if kind in ("DATE", "TIMESTAMP") and _VERSION_NAME.search(name) else kind)


def _scalar(values: Iterable[object]) -> str:
    types = set(map(_type, values))
    for wider, narrower in (
        ("FLOAT", {"INTEGER", "FLOAT"}),
        ("NUMERIC", {"INTEGER", "NUMERIC"}),
        ("STRING", {"STRING", "TIMESTAMP", "DATE"}),
    ):
        if len(types) > 1 and types <= narrower:
            return wider
    return types.pop() if len(types) == 1 else "JSON"


def _type(value: object) -> str:
    match value:
        case bool():
            return "BOOLEAN"
        case int():
            return "INTEGER" if INT64_MIN <= value <= INT64_MAX else "NUMERIC"
        case float():
            return "FLOAT"
        case str():
            return _type_of_text(value)
    return "JSON"


def _type_of_text(text: str) -> str:
    try:
        if _TIMESTAMP.fullmatch(text):
            parse_timestamp(text)
            return "TIMESTAMP"
        if len(text) == len("2026-03-01") and civil(DATE, text) is not None:
            return "DATE"
    except (ValueError, OverflowError):
        pass
    return "STRING"


def _unit(name: str, values: Sequence[object]) -> str:
    if not _TIME_NAME.search(name):
        return ""
    numbers = [
        int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value for value in values
    ]
    for unit, (low, high) in _UNITS.items():
        if all(
            isinstance(number, int | float) and not isinstance(number, bool) and low <= number < high
            for number in numbers
        ):
            return unit
    return ""


def _is_json_text(text: str) -> bool:
    if text[:1] not in ("{", "["):
        return False
    try:
        strict_json.parse(text.encode())
    except (strict_json.NotJsonError, strict_json.NotValidError):
        return False
    return True


def _name(path: tuple[str, ...], taken: set[str]) -> str:
    """Return a column's name for a path: words in lower case with underscores between."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", "_".join(path))
    name = re.sub(r"[^a-z0-9]+", "_", words.lower(), flags=re.ASCII).strip("_")[: _MAX_NAME - 10] or "field"
    if name[0].isdigit() or _RESERVED.match(name):
        name = f"field_{name}"
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    taken.add(unique)
    return unique
