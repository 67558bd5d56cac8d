"""Schemas: from the API's JSON to typed fields, and to and from DuckDB's types. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshlab.cloud.bigquery.errors import invalid, unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable

# The API answers with the names of legacy SQL, whichever a table was created with.
CANONICAL_TYPES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
    "DECIMAL": "NUMERIC",
}
DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "JSON": "JSON",
}
"""Canonical type to DuckDB's type of a value that is no record."""
_FROM_DUCKDB = {
    "BOOLEAN": "BOOLEAN",
    "DOUBLE": "FLOAT",
    "FLOAT": "FLOAT",
    "VARCHAR": "STRING",
    "JSON": "JSON",
    "BLOB": "BYTES",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    # An untyped NULL is an INT64 in GoogleSQL.
    '"NULL"': "INTEGER",
}
_INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
}
_PARAMETERS = {
    "maxLength": ("STRING", "BYTES"),
    "precision": ("NUMERIC",),
    "scale": ("NUMERIC",),
}  # https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
_FIELD_KEYS = {
    "name",
    "type",
    "mode",
    "fields",
    "description",
    "policyTags",
    "defaultValueExpression",
    *_PARAMETERS,
}
_MODES = ("NULLABLE", "REQUIRED", "REPEATED")
_NAME = re.compile(r"[^\W\d]\w{0,299}")


@dataclass(frozen=True, slots=True)
class Field:
    """One column, or one field of a record."""

    name: str
    type: str
    mode: str = "NULLABLE"
    record: Schema | None = None
    default: str = ""
    max_length: int = 0
    precision: int = 0
    scale: int = 0

    @property
    def repeated(self) -> bool:
        """Whether the field holds an array."""
        return self.mode == "REPEATED"

    @property
    def required(self) -> bool:
        """Whether the field must be given and not null."""
        return self.mode == "REQUIRED"

    def duckdb_type(self, *, civil: bool = False) -> str:
        """Return the type of the column that keeps this field.

        Args:
            civil: Whether timestamps shall be UTC times without a zone, which Python reads without help.
        """
        if self.record is None:
            name = "TIMESTAMP" if civil and self.type == "TIMESTAMP" else DUCKDB_TYPES[self.type]
        else:
            inner = (f"{quoted(item.name)} {item.duckdb_type(civil=civil)}" for item in self.record.fields)
            name = f"STRUCT({', '.join(inner)})"
        return f"{name}[]" if self.repeated else name

    def transport(self) -> object:
        """Return the shape in which DuckDB's `from_json` reads a checked value of this field.

        Bytes travel as text in DuckDB's hexadecimal escapes, which its cast to BLOB undoes; JSON travels as
        text, so that it is kept as it was written.
        """
        if self.record is None:
            shape: object = "VARCHAR" if self.type in ("BYTES", "JSON") else DUCKDB_TYPES[self.type]
        else:
            shape = {item.name: item.transport() for item in self.record.fields}
        return [shape] if self.repeated else shape

    def to_json(self) -> dict[str, Any]:
        """Return the field as the API describes it."""
        described: dict[str, Any] = {"name": self.name, "type": self.type, "mode": self.mode}
        if self.default:
            described["defaultValueExpression"] = self.default
        for key, value in (
            ("maxLength", self.max_length),
            ("precision", self.precision),
            ("scale", self.scale),
        ):
            if value:
                described[key] = str(value)
        if self.record is not None:
            described["fields"] = self.record.to_json()["fields"]
        return described


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a table or a record, in order; names are found whatever their case."""

    fields: tuple[Field, ...]
    by_name: dict[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {item.name.lower(): item for item in self.fields})

    def to_json(self) -> dict[str, Any]:
        """Return the schema as the API describes it."""
        return {"fields": [item.to_json() for item in self.fields]}


def parse_schema(resource: object, path: str = "") -> Schema:
    """Read the `schema` of a table resource.

    Args:
        resource: An object with `fields`, as in the API.
        path: Where in the schema this is, for errors; empty at the top.

    Raises:
        ApiError: A field is not one that the service would take, or is of a type or kind that the fake
            does not offer; the message names the field.
    """
    listed = resource.get("fields") if isinstance(resource, Mapping) else None
    if not isinstance(listed, list) or not listed:
        raise invalid(f"The schema {f'of field {path} ' if path else ''}has no fields.", "schema")
    schema = Schema(tuple(_parse_field(item, path) for item in listed))
    if len(schema.by_name) != len(schema.fields):
        names = [item.name.lower() for item in schema.fields]
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(f"Field {path}{twice} already exists in schema", "schema")
    return schema


def schema_of(columns: Iterable[tuple[str, Any]]) -> Schema:
    """Describe a query's result.

    Args:
        columns: Name and DuckDB type of each column.

    Raises:
        ApiError: A column's type has no counterpart here.
    """
    return Schema(tuple(_field_of(name, kind) for name, kind in columns))


def quoted(name: str) -> str:
    """Quote a name for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def _parse_field(resource: Any, path: str) -> Field:  # noqa: ANN401 - any JSON value
    if not isinstance(resource, Mapping) or not isinstance(resource.get("name"), str):
        raise invalid(f"A field of the schema {f'in {path} ' if path else ''}has no name.", "schema")
    name = resource["name"]
    where = f"{path}{name}"
    if not _NAME.fullmatch(name):
        raise invalid(f'Invalid field name "{where}". Use letters, digits and underscores.', "schema")
    unknown = sorted(key for key, value in resource.items() if key not in _FIELD_KEYS and value is not None)
    if unknown:
        raise unsupported(f"{', '.join(unknown)} (in field {where})")
    kind = str(resource.get("type", "")).upper()
    kind = CANONICAL_TYPES.get(kind, kind)
    mode = str(resource.get("mode") or "NULLABLE").upper()
    if mode not in _MODES:
        raise invalid(
            f"The field {where} has the mode {mode}; it must be one of {', '.join(_MODES)}.", "schema"
        )
    default = str(resource.get("defaultValueExpression") or "")
    if kind == "RECORD":
        return Field(name, kind, mode, parse_schema(resource, f"{where}."), default)
    if kind not in DUCKDB_TYPES:
        raise unsupported(f"the type {kind or 'of no name'} (in field {where})")
    max_length, precision, scale = (_parameter(resource, key, kind, where) for key in _PARAMETERS)
    return Field(name, kind, mode, None, default, max_length, precision, scale)


def _parameter(resource: Mapping[str, Any], key: str, kind: str, where: str) -> int:
    """Return a parameter of a type, such as the 10 of STRING(10); 0 for none."""
    value = resource.get(key)
    if value is None:
        return 0
    if kind not in _PARAMETERS[key] or not re.fullmatch(r"[0-9]{1,18}", str(value), re.ASCII):
        raise invalid(f"Invalid {key} of the field {where}, of the type {kind}.", "schema")
    return int(value)


def _field_of(name: str, kind: Any) -> Field:  # noqa: ANN401 - DuckDB's types are not exported
    mode = "NULLABLE"
    if kind.id == "list":
        mode, kind = "REPEATED", kind.children[0][1]
    text = str(kind)
    if kind.id == "struct":
        return Field(name, "RECORD", mode, schema_of(kind.children))
    if kind.id == "decimal":
        return Field(name, "NUMERIC", mode)
    if text in _INTEGERS:
        return Field(name, "INTEGER", mode)
    if text not in _FROM_DUCKDB:
        raise unsupported(f"results of the type {text} (in column {name}); cast it to another type")
    return Field(name, _FROM_DUCKDB[text], mode)
