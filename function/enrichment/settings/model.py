"""What `pipeline.toml` says, once it is read and found to be right. Values alone: nothing here is checked or read."""

import enum
from dataclasses import dataclass, field

from enrichment.settings.lookup_rules import LookupRules


class FieldType(enum.StrEnum):
    """What a field of an event may hold."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    JSON = "json"


class Origin(enum.StrEnum):
    """Where the value of a column comes from: the first word of its source."""

    EVENT = "event"
    PROFILE = "profile"
    MESSAGE = "message"
    TRACE = "trace"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class Field:
    """A field that an event is checked for.

    Args:
        path: Where it stands in the event: `("order", "total")` for `order.total`.
        type: What it holds.
        required: Whether an event without it is a bad one.
        default: What stands in for it where it is missing or null.
        max_length: Longest string, in characters; for strings alone.
    """

    path: tuple[str, ...]
    type: FieldType
    required: bool = True
    default: object = None
    max_length: int = 256

    @property
    def name(self) -> str:
        """The path as people write it."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class EventShape:
    """What makes an event.

    Args:
        id: The field that names the event, or None where Pub/Sub's message id does.
        fields: The fields to check.
    """

    id: tuple[str, ...] | None
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class TableField:
    """A column of the table, or a field of a record in it.

    Args:
        name: Its name.
        type: Its type, in the one of BigQuery's names for it that its API answers with: `INTEGER` and not `INT64`.
        repeated: Whether it holds a list.
        required: Whether BigQuery refuses a row without it.
        fields: The fields of a `RECORD`.
    """

    name: str
    type: str
    repeated: bool = False
    required: bool = False
    fields: tuple["TableField", ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column to write.

    Args:
        name: Its name in the table.
        type: Its type in the table, BigQuery's name for it: `STRING`, `TIMESTAMP`, `JSON`.
        repeated: Whether it holds a list.
        required: Whether BigQuery refuses a row without it.
        origin: Where its value comes from.
        path: What of that; empty for the whole. `("attributes", NAME)`, `("id",)`, `("publish_time",)` for a message,
            `("id",)` for a trace.
        default: What stands in where there is no value, as BigQuery takes it.
        fields: The fields of a `RECORD`.
    """

    name: str
    type: str
    repeated: bool
    required: bool
    origin: Origin
    path: tuple[str, ...] = ()
    default: object = None
    fields: tuple[TableField, ...] = ()

    @property
    def source(self) -> str:
        """Where its value comes from, as people write it."""
        return ".".join((self.origin.value, *self.path))


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much goes into one request to BigQuery.

    Args:
        max_rows: Most rows. 500 is what Google advises (https://cloud.google.com/bigquery/quotas#streaming_inserts).
        max_bytes: Most bytes, a single row apart, which may be as large as BigQuery takes.
    """

    max_rows: int = 500
    max_bytes: int = 5_000_000


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """All that `pipeline.toml` says.

    Args:
        event: What makes an event.
        lookups: What is looked up for it, in the order of the file.
        columns: What is written.
        batch: How much of it at once.
    """

    event: EventShape
    lookups: tuple[LookupRules, ...]
    columns: tuple[Column, ...]
    batch: BatchLimits = field(default_factory=BatchLimits)
