"""Contents of `pipeline.toml`, once it is read and found to be right. Values alone: nothing here is checked or read.

Most are Structs of msgspec, because a dataclass takes a third of a millisecond of the function's start.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING

import msgspec

from enrichment.expressions.compiler import Expression
from enrichment.settings.lookup_rules import LookupRules

if TYPE_CHECKING:
    from enrichment.event.avro import AvroCodec


class FieldType(enum.StrEnum):
    """What a field of an event may hold."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Field:
    """A field that an event is checked for.

    Args:
        path: Where it stands in the event: `("order", "total")` for `order.total`.
        type: What it holds.
        required: Whether an event without it is a bad one.
        default: Its value where it is missing or null.
        max_length: Longest string, in characters; for strings alone.

    Attributes:
        name: The path as people write it.
    """

    path: tuple[str, ...]
    type: FieldType
    required: bool = True
    default: object = None
    max_length: int = 256
    name: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Write the path as people do, once and not for each event."""
        object.__setattr__(self, "name", ".".join(self.path))


class Format(enum.StrEnum):
    """How a message's data hold events."""

    JSON = "json"
    NDJSON = "ndjson"
    JSON_ARRAY = "json-array"
    AVRO = "avro"
    CLOUDEVENTS = "cloudevents"


class OnConflict(enum.StrEnum):
    """What becomes of an event whose id belongs to another event of different content."""

    DEAD_LETTER = "dead-letter"
    WRITE = "write"
    LAST_WINS = "last-wins"


class Unmatched(enum.StrEnum):
    """What becomes of an event that no table takes."""

    DROP = "drop"
    DEAD_LETTER = "dead-letter"


class WriterKind(enum.StrEnum):
    """What writes rows into BigQuery."""

    INSERT_ALL = "insert-all"
    STORAGE_WRITE = "storage-write"
    GOOGLE_CLIENT = "google-client"


class WriteStreamKind(enum.StrEnum):
    """Which stream of the Storage Write API takes the rows."""

    DEFAULT = "default"
    COMMITTED = "committed"
    CDC = "cdc"


OF_ITEM = ("item", "index", "parents")
"""The roots that each row of `each` has of its own."""

MAX_UNPACKED_BYTES = 16 * 1024 * 1024
"""Most bytes that an encoding may hold unless `pipeline.toml` says otherwise: more than a message of Pub/Sub has."""

MOST_UNPACKED_BYTES = 64 * 1024 * 1024
"""The highest limit that `pipeline.toml` may set: six times the largest message of Pub/Sub."""


@dataclass(frozen=True, slots=True)
class EventShape:
    """What makes an event.

    Args:
        id: What names the event, and with it the row; several are joined. Empty where the SHA-256 of the data does.
        fields: The fields to check.
        encodings: What the data is encoded in, the outermost first.
        max_unpacked_bytes: Most bytes that one of the encodings may hold.
        format: How the data hold events.
        avro: Reads Avro; there where the format is Avro.
        on_conflict: What becomes of an event whose id belongs to one of different content.
        drop: The conditions under which an event is acknowledged and not written.
        each: The array whose items make a row each; None where an event makes one row.
        each_inside: The arrays inside of its items, from the outside in; then the items of the last make a row each.
    """

    id: tuple[Expression, ...]
    fields: tuple[Field, ...]
    encodings: tuple[str, ...] = ()
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES
    format: Format = Format.JSON
    avro: "AvroCodec | None" = None
    on_conflict: OnConflict = OnConflict.DEAD_LETTER
    drop: tuple[Expression, ...] = ()
    each: Expression | None = None
    each_inside: tuple[Expression, ...] = ()

    @property
    def id_is_of_items(self) -> bool:
        """Whether the id is one of each row rather than one of the event."""
        return any(not source.roots.isdisjoint(OF_ITEM) for source in self.id)

    @property
    def row_id_source(self) -> str:
        """The source of the column that distinguishes rows: the id's own where that does, else `row.id`."""
        plain = len(self.id) == 1 and self.each is None and self.on_conflict is not OnConflict.WRITE
        return self.id[0].text if plain else "row.id"


class TableField(msgspec.Struct, frozen=True):
    """A column of the table, or a field of a record in it.

    Args:
        name: Its name.
        type: Its type, in the one of BigQuery's names for it that its API answers with: `INTEGER` and not `INT64`.
        repeated: Whether it holds a list.
        required: Whether BigQuery refuses a row without it.
        fields: The fields of a `RECORD`.
        max_length: Most characters of a `STRING(n)`, bytes of a `BYTES(n)`, or digits of a `NUMERIC(n, s)` or
            `BIGNUMERIC(n, s)`; 0 for no limit but the type's.
        scale: How many of those digits stand behind the point.
    """

    name: str
    type: str
    repeated: bool = False
    required: bool = False
    fields: tuple["TableField", ...] = ()
    max_length: int = 0
    scale: int = 0


class ColumnOptions(msgspec.Struct, frozen=True):
    """How a column's values are converted, where that is a choice. They hold for the fields of a record as well.

    Args:
        unit: What a number for a time counts since 1970, a name of `instant.UNITS`. Empty where the file does not say:
            seconds, and a number that must be something else is refused.
        rounds: Whether a number with too many digits after the point is rounded, half away from zero.
        ignores_unknown_fields: Whether a record may come with fields that the table does not have.
    """

    unit: str = ""
    rounds: bool = False
    ignores_unknown_fields: bool = False


class Column(msgspec.Struct, frozen=True):
    """A column to write.

    Args:
        name: Its name in the table.
        type: Its type in the table, BigQuery's name for it: `STRING`, `TIMESTAMP`, `JSON`.
        repeated: Whether it holds a list.
        required: Whether BigQuery refuses a row without it.
        expression: What gives its value; None for a constant.
        default: What it holds where there is no value, as BigQuery takes it; for a constant, the constant.
        fields: The fields of a `RECORD`.
        options: How values are converted.
        max_length: As that of a `TableField`.
        scale: As that of a `TableField`.
    """

    name: str
    type: str
    repeated: bool
    required: bool
    expression: Expression | None
    default: object = None
    fields: tuple[TableField, ...] = ()
    options: ColumnOptions = ColumnOptions()
    max_length: int = 0
    scale: int = 0

    @property
    def source(self) -> str:
        """Where its value comes from, as people write it."""
        return self.expression.text if self.expression else "a constant"


class BatchLimits(msgspec.Struct, frozen=True):
    """How much goes into one request to BigQuery.

    Args:
        max_rows: Most rows. 500 is what Google advises (https://cloud.google.com/bigquery/quotas#streaming_inserts).
        max_bytes: Most bytes, a single row apart, which may be as large as BigQuery takes.
    """

    max_rows: int = 500
    max_bytes: int = 5_000_000


class Table(msgspec.Struct, frozen=True):
    """A table that some of the events are written to.

    Args:
        name: What the file calls it.
        when: Which events are written to it.
        table: Its id: `project.dataset.table`, or `table` in the dataset of `BIGQUERY_TABLE`.
        columns: What is written.
    """

    name: str
    when: Expression
    table: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """All that `pipeline.toml` says.

    Args:
        event: What makes an event.
        lookups: What is looked up for it, in the order of the file.
        columns: What is written; empty where all events go to one of `tables` or to none.
        batch: How much of it at once.
        tables: The tables that take some of the events; the first that fits takes a row, else `columns` does.
        unmatched: What becomes of an event that none of them takes, where there are no `columns`.
        content_paths: What belongs to an event's content beside its data: the attributes that expressions read.
    """

    event: EventShape
    lookups: tuple[LookupRules, ...]
    columns: tuple[Column, ...]
    batch: BatchLimits = field(default_factory=BatchLimits)
    tables: tuple[Table, ...] = ()
    unmatched: Unmatched = Unmatched.DEAD_LETTER
    content_paths: tuple[tuple[str, ...], ...] = ()

    def read_attributes(self) -> tuple[tuple[str, ...], ...]:
        """Return the paths of attributes, of the message and of the CloudEvent, that expressions read."""
        found = {path for expression in _expressions(self) for path in expression.paths}
        return tuple(
            sorted(path for path in found if path[:2] == ("message", "attributes") or path[0] == "cloudevent")
        )

    def calls(self, function: str) -> bool:
        """Return whether any expression of the file calls a function."""
        return any(function in expression.functions for expression in _expressions(self))


def _expressions(value: object) -> Iterator[Expression]:
    """All expressions in a part of the configuration."""
    if isinstance(value, Expression):
        yield value
    elif is_dataclass(value):
        for part in fields(value):
            yield from _expressions(getattr(value, part.name))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _expressions(getattr(value, name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _expressions(part)
    elif isinstance(value, Mapping):
        yield from _expressions(list(value.values()))
