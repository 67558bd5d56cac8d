"""Contents of `pipeline.toml`, once it is read and found to be right. Values alone: nothing here is checked or read."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass

import msgspec

from enrichment.expressions.compiler import Expression
from enrichment.settings.lookup_rules import LookupRules


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
class ColumnOptions:
    """How a column's values are converted, where that is a choice. They hold for the fields of a record as well.

    Args:
        unit_digits: What a number for a time counts: 0 seconds since 1970, 3 milliseconds, 6 microseconds. None where
            the file does not say: seconds, and a number that must be something else is refused.
        rounds: Whether a number with too many digits after the point is rounded, half away from zero.
        ignores_unknown_fields: Whether a record may come with fields that the table does not have.
    """

    unit_digits: int | None = None
    rounds: bool = False
    ignores_unknown_fields: bool = False


@dataclass(frozen=True, slots=True)
class Column:
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
    """

    name: str
    type: str
    repeated: bool
    required: bool
    expression: Expression | None
    default: object = None
    fields: tuple[TableField, ...] = ()
    options: ColumnOptions = ColumnOptions()

    @property
    def source(self) -> str:
        """Where its value comes from, as people write it."""
        return self.expression.text if self.expression else "a constant"


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
