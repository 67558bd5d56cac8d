"""JSON schema of `pipeline.toml`, for editors and reviews.

It says which keys there are and what they may hold. Whether a source exists, fits its column and is always there is
checked by reading the file. `python -m enrichment schema` prints it; `function/pipeline.schema.json` is that output.
"""

from typing import Any

from enrichment.documents.instant import UNITS
from enrichment.event.encoding import ENCODINGS
from enrichment.event.identity import CONTENT
from enrichment.row import MAX_ROW_BYTES
from enrichment.settings.columns_section import UNKNOWN_FIELDS
from enrichment.settings.lookup_rules import BatchRules, CacheLimits, LookupRules, MissRule, OnMiss, OnNoKey
from enrichment.settings.model import (
    MAX_UNPACKED_BYTES,
    MOST_UNPACKED_BYTES,
    BatchLimits,
    FieldType,
    Format,
    OnConflict,
    Unmatched,
)

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
"""Draft 7, which the TOML plug-ins of editors read."""

EXPRESSION = {
    "type": "string",
    "minLength": 1,
    "description": "a plain path such as event.order.total, or JMESPath",
}
_ANYTHING: Schema = {}


def pipeline_schema() -> Schema:
    """Return the schema of the whole file."""
    return {
        "$schema": DIALECT,
        "title": "pipeline.toml of the meshpass function",
        "description": "What an event is, what is looked up for it, and which columns are written.",
        **_table(
            {
                "event": _event(),
                "lookup": _lookup(),
                "lookups": {
                    "type": "object",
                    "description": "Lookups side by side, each with a name of its own.",
                    "propertyNames": {"pattern": "^[a-z_][a-z0-9_]{0,62}$"},
                    "additionalProperties": _lookup(),
                },
                "columns": _columns(),
                "tables": {
                    "type": "array",
                    "items": _one_table(),
                    "description": "the tables that take some of the events; the first that fits takes a row",
                },
                "unmatched": {
                    "enum": [choice.value for choice in Unmatched],
                    "default": Unmatched.DEAD_LETTER.value,
                    "description": "what becomes of an event that no table takes, where there are no columns",
                },
                "batch": _batch(),
            },
            required=("event",),
        ),
        "anyOf": [{"required": ["columns"]}, {"required": ["tables"]}],
    }


def _one_table() -> Schema:
    return _table(
        {
            "name": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{1,64}$",
                "description": "what the file calls it",
            },
            "when": {**EXPRESSION, "description": "which events are written to it"},
            "table": {
                "type": "string",
                "minLength": 1,
                "description": "project.dataset.table, or the id of a table in the dataset of BIGQUERY_TABLE",
            },
            "schema": {
                "type": "string",
                "description": "the file of the table's definition, beside pipeline.toml",
            },
            "columns": _columns(),
        },
        "A table that some of the events are written to.",
        required=("name", "when", "table", "schema", "columns"),
    )


def _event() -> Schema:
    kinds = {"enum": [kind.value for kind in FieldType]}
    detailed = _table(
        {
            "type": {**kinds, "description": "what the field holds"},
            "required": {"type": "boolean", "description": "whether an event without it is dead-lettered"},
            "default": {"description": "its value where the event has none"},
            "max_length": _whole("longest string, in characters", None, 1, MAX_ROW_BYTES),
        },
        required=("type",),
    )
    return _table(
        {
            "id": {
                "anyOf": [EXPRESSION, {"type": "array", "items": EXPRESSION, "minItems": 1}],
                "description": "what names an event and its row: an expression, several that are joined, or "
                f"{CONTENT} for the SHA-256 of the data",
            },
            "encoding": {
                "anyOf": [{"enum": [*ENCODINGS]}, {"type": "array", "items": {"enum": [*ENCODINGS]}}],
                "description": "what the data is encoded in, the outermost first",
            },
            "max_unpacked_bytes": _whole(
                "most bytes that one of the encodings may hold", MAX_UNPACKED_BYTES, 1, MOST_UNPACKED_BYTES
            ),
            "format": {
                "enum": [choice.value for choice in Format],
                "default": Format.JSON.value,
                "description": "how the data hold events: an object, one a line, an array of them, and others",
            },
            "schema": {
                "type": "string",
                "description": 'the file of the Avro schema, beside pipeline.toml; for format = "avro" alone',
            },
            "on_conflict": {
                "enum": [choice.value for choice in OnConflict],
                "default": OnConflict.DEAD_LETTER.value,
                "description": "what becomes of an event whose id belongs to one of different content",
            },
            "drop": {
                "anyOf": [EXPRESSION, {"type": "array", "items": EXPRESSION, "minItems": 1}],
                "description": "the conditions under which an event is acknowledged and not written",
            },
            "each": {
                "anyOf": [EXPRESSION, {"type": "array", "items": EXPRESSION, "minItems": 1}],
                "description": "the array whose items make a row each; of several, each stands in the items of the one "
                "before",
            },
            "fields": {
                "type": "object",
                "description": "what every event is checked for; a dotted name stands in quotes",
                "additionalProperties": {"anyOf": [kinds, detailed]},
            },
        },
        "What makes an event.",
        required=("id",),
    )


def _lookup() -> Schema:
    default = LookupRules("", {})
    values = {
        "type": "object",
        "additionalProperties": {"anyOf": [EXPRESSION, {"type": ["boolean", "number"]}]},
    }
    path = {
        "type": "string",
        "pattern": r"^/[^?#]*$",
        "description": "the service's path; a declared field, or a name of params, stands in braces",
    }
    echo = {"type": "string", "minLength": 1}
    table = _table(
        {
            "path": path,
            "params": {**values, "description": "what the path's placeholders are, by name"},
            "host": {"type": "string", "description": "another service behind the same gateway"},
            "method": {"enum": ["GET", "POST"], "default": default.method},
            "query": {**values, "description": "the query's parameters; one that is null is left out"},
            "body": {
                "type": "object",
                "description": "the JSON body of a POST, with an expression for each value",
            },
            "idempotent": {
                "type": "boolean",
                "default": default.idempotent,
                "description": "whether a POST may be sent again when its connection breaks",
            },
            "when": {**EXPRESSION, "description": "a condition: nothing is looked up where it is not true"},
            "on_no_key": {
                "enum": [choice.value for choice in OnNoKey],
                "default": default.on_no_key.value,
                "description": "what becomes of an event without a key",
            },
            "echo": {
                "anyOf": [echo, {"type": "object", "additionalProperties": echo}],
                "description": "the answer's field that repeats the key, or several by what they repeat",
            },
            "miss": _miss(),
            "miss_error": {
                "type": "string",
                "minLength": 1,
                "description": "what the field error of a 404 says for an unknown key",
            },
            "on_miss": {
                "enum": [choice.value for choice in OnMiss],
                "default": default.on_miss.value,
                "description": "what becomes of an event whose key is unknown",
            },
            "batch": _lookup_batch(path),
            "timeout_s": _seconds("limit for one lookup, retries included", default.timeout_s),
            "max_in_flight": _whole("most requests at once", default.max_in_flight, 1, 1_000),
            "max_answer_bytes": _whole(
                "largest answer, in bytes", default.max_answer_bytes, 1, MAX_ROW_BYTES
            ),
            "cache": _cache(),
        },
        "What is looked up in the mesh.",
    )
    return {**table, "anyOf": [{"required": ["path"]}, {"required": ["batch"]}]}


def _miss() -> Schema:
    return _table(
        {
            "status": _whole("the HTTP status", MissRule().status, 200, 499),
            "field": {"type": "string", "minLength": 1, "description": "the answer's field that says so"},
            "equals": {"description": "what that field then holds"},
            "repeats_key": {"type": "boolean", "description": "whether such an answer must repeat the key"},
        },
        "How the service says that it does not know a key.",
    )


def _lookup_batch(path: Schema) -> Schema:
    return _table(
        {
            "path": path,
            "max_keys": _whole("most keys in one request", BatchRules("", (), "").max_keys, 2, 1_000),
            "body_field": {"type": "string", "minLength": 1, "description": "the body's field for the keys"},
            "results": {"type": "string", "description": "where the answer holds the list of profiles"},
            "key": {
                "type": "string",
                "minLength": 1,
                "description": "the field of a profile that holds its key",
            },
        },
        "How one POST asks for many keys.",
        required=("path", "body_field", "key"),
    )


def _cache() -> Schema:
    cache = CacheLimits()
    return _table(
        {
            "ttl_s": _seconds("how long a profile is fresh", cache.ttl_s),
            "negative_ttl_s": _seconds("how long an unknown key is remembered", cache.negative_ttl_s),
            "stale_if_error_s": _seconds(
                "how long after that a profile may be used while the service is unavailable",
                cache.stale_if_error_s,
            ),
            "max_entries": _whole("most profiles", cache.max_entries, 1, None),
            "max_bytes": _whole("most memory for them, in bytes", cache.max_bytes, 1, None),
        },
        "What is remembered of profiles.",
    )


def _columns() -> Schema:
    from_expression = _table(
        {
            "from": EXPRESSION,
            "default": {"description": "what the column holds where the source gives null"},
            "unit": {
                "enum": [*UNITS],
                "description": "what a number for a time counts since 1970, or for a TIME since midnight",
            },
            "round": {
                "type": "boolean",
                "default": False,
                "description": "whether a NUMERIC or BIGNUMERIC with too many digits after the point is rounded",
            },
            "unknown_fields": {
                "enum": [*UNKNOWN_FIELDS],
                "default": UNKNOWN_FIELDS[0],
                "description": "what becomes of an object's fields that the RECORD does not have",
            },
        },
        required=("from",),
    )
    constant = _table({"value": {"description": "a constant"}}, required=("value",))
    return {
        "type": "object",
        "description": "What is written: one entry for each column of the table.",
        "additionalProperties": {"anyOf": [EXPRESSION, from_expression, constant]},
    }


def _batch() -> Schema:
    default = BatchLimits()
    return _table(
        {
            "max_rows": _whole("most rows in one request", default.max_rows, 1, 50_000),
            "max_bytes": _whole("most bytes in one request", default.max_bytes, 1, 9_000_000),
        },
        "How much goes into one request to BigQuery.",
    )


def _table(properties: Schema, description: str = "", required: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return {"description": description, **schema} if description else schema


def _whole(description: str, default: int | None, low: int, high: int | None) -> Schema:
    limits = {"default": default, "minimum": low, "maximum": high}
    return {
        "type": "integer",
        "description": description,
        **{name: limit for name, limit in limits.items() if limit is not None},
    }


def _seconds(description: str, default: float) -> Schema:
    return {"type": "number", "minimum": 0, "default": default, "description": f"{description}, in seconds"}
