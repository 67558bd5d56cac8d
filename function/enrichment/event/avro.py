"""Avro records, as Pub/Sub publishes them to a topic with a schema.

The codec is fastavro. It is loaded only where `pipeline.toml` asks for Avro, and two of its limits become rules for
the schema: it follows a recursive schema on the C stack, which a deep record overflows and so ends the process; and it
takes the count of an array as it is, so that an item of no bytes fills the memory. A schema that allows either is
refused at the start. Two more become rules for the records: a decimal of many bytes takes time that grows with their
square, and JSON of many values takes memory before the schema is looked at.

Source: https://avro.apache.org/docs/1.12.0/specification, https://cloud.google.com/pubsub/docs/schemas.
"""

import base64
import functools
import io
import json
import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from enrichment.documents import strict_json
from enrichment.documents.instant import rfc3339, to_utc

ENCODING_ATTRIBUTE = "googclient_schemaencoding"
"""The attribute in which Pub/Sub says how a record is encoded: `BINARY` or `JSON`."""

MAX_DECIMAL_BYTES = 256
"""Longest decimal: 616 digits, more than any column holds."""

Schema = Any
"""A schema as fastavro parses it; the library has no type for it."""


class AvroSchemaError(ValueError):
    """A schema cannot be used; the message says why and what to do."""


class AvroRecordError(ValueError):
    """Data is no record of the schema; the message says why and quotes nothing."""


@dataclass(frozen=True, slots=True)
class AvroCodec:
    """Reads the records of one schema.

    Args:
        schema: The schema.
        read_binary: Reads a record in Avro's binary encoding.
        read_json: Reads the records of a text in Avro's JSON encoding.
    """

    schema: Schema = field(repr=False)
    read_binary: Callable[..., object] = field(repr=False, compare=False)
    read_json: Callable[..., Any] = field(repr=False, compare=False)

    def decode(self, data: bytes, attributes: Mapping[str, str]) -> dict[str, object]:
        """Read one record.

        Args:
            data: The record.
            attributes: The message's attributes; one says how the record is encoded. Binary is meant without it.

        Returns:
            The record as JSON would hold it: bytes are base64, decimals are text, times are RFC 3339.

        Raises:
            AvroRecordError: The data is no record of the schema, or holds a decimal that is too long.
            NotValidError: It is ambiguous JSON, or holds more values than are read.
        """
        encoding = attributes.get(ENCODING_ATTRIBUTE, "BINARY")
        if encoding not in ("BINARY", "JSON"):
            raise AvroRecordError(f"its attribute {ENCODING_ATTRIBUTE} is neither BINARY nor JSON")
        try:
            record = self._json(data) if encoding == "JSON" else self._binary(data)
            found = _plain(record)
        except (AvroRecordError, strict_json.NotValidError):
            raise
        except Exception:  # noqa: BLE001 - fastavro documents none of its errors
            raise AvroRecordError(
                f"it is no record of the schema in Avro's {encoding.lower()} encoding"
            ) from None
        if not isinstance(found, dict):
            raise AvroRecordError("it is not a record")
        return found

    def _binary(self, data: bytes) -> object:
        stream = io.BytesIO(data)
        record = self.read_binary(stream, self.schema)
        if stream.tell() != len(data):
            raise AvroRecordError(
                "bytes follow its end, so it was written with another revision of the schema"
            )
        return record

    def _json(self, data: bytes) -> object:
        # The library reads all of it first, and more than JSON: keys that come twice, and halves of surrogate pairs.
        try:
            strict_json.parse(data)
        except strict_json.NotJsonError as error:
            raise AvroRecordError(f"it is not JSON: {error}") from None
        records = list(self.read_json(io.StringIO(data.decode()), self.schema))
        if len(records) != 1:
            raise AvroRecordError("it must be one record")
        return records[0]


def codec(path: Path) -> AvroCodec:
    """Read a schema file.

    Args:
        path: The file, JSON as `gcloud pubsub schemas describe` shows it in `definition`.

    Raises:
        AvroSchemaError: It cannot be read, is no schema, or not one that this function can use safely.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise AvroSchemaError(f"{path.name} cannot be read from {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise AvroSchemaError(f"{path.name} is not JSON") from None
    try:
        import fastavro
        from fastavro.read import LOGICAL_READERS
        from fastavro.schema import SchemaParseException, UnknownType
    except ImportError:
        raise AvroSchemaError('reading Avro needs a package: pip install "fastavro>=1.13.1"') from None
    _check(document, path.name)
    _bound_decimals(LOGICAL_READERS)
    try:
        schema = fastavro.parse_schema(document)
    except (SchemaParseException, UnknownType, ValueError, TypeError, KeyError) as error:
        raise AvroSchemaError(f"{path.name} is no schema of Avro: {str(error)[:200]}") from None
    return AvroCodec(schema, fastavro.schemaless_reader, fastavro.json_reader)


def _bound_decimals(readers: MutableMapping[str, Callable[..., object]]) -> None:
    """Let the library's reader of decimals refuse long ones, for this process.

    Args:
        readers: The library's own table of readers by type, made to be changed
            (https://fastavro.readthedocs.io/en/latest/logical_types.html).
    """
    read = readers["bytes-decimal"]
    if hasattr(read, "__wrapped__"):  # for another schema of this process
        return

    @functools.wraps(read)
    def bounded(data: bytes, *schemas: object) -> object:
        if len(data) > MAX_DECIMAL_BYTES:
            raise AvroRecordError(f"a decimal in it has more than {MAX_DECIMAL_BYTES} bytes")
        return read(data, *schemas)

    readers["bytes-decimal"] = bounded


def _check(document: object, file: str) -> None:
    if not isinstance(document, dict) or document.get("type") != "record":
        raise AvroSchemaError(f"{file} must describe a record, as schemas of Pub/Sub do")
    names: dict[str, object] = {}
    _walk(document, names, [], file)


def _walk(schema: object, names: dict[str, object], around: list[str], file: str) -> bool:
    """Check a schema for recursion and for items of no bytes; return whether a value of it can take no bytes."""
    if isinstance(schema, list):
        for branch in schema:
            _walk(branch, names, around, file)
        return False  # the number of the branch takes a byte
    if isinstance(schema, str):
        if schema.rpartition(".")[2] in around:
            raise AvroSchemaError(
                f"{file} is recursive in {schema[:80]}, which Avro's decoder cannot read safely. Flatten the schema"
            )
        return schema == "null" or (schema in names and _walk(names[schema], names, around, file))
    if not isinstance(schema, dict):
        raise AvroSchemaError(f"{file} has something in it that is no type")
    kind = schema.get("type")
    name = schema.get("name")
    if isinstance(name, str) and kind in ("record", "error", "enum", "fixed"):
        names[name] = names[name.rpartition(".")[2]] = schema
    if kind in ("record", "error"):
        fields = schema.get("fields")
        if not isinstance(fields, list):
            raise AvroSchemaError(f"{file} is no schema of Avro: a record in it has no fields")
        inner = [*around, str(name).rpartition(".")[2]]
        empty = [_walk(one.get("type"), names, inner, file) for one in fields if isinstance(one, dict)]
        return all(empty)
    if kind in ("array", "map"):
        if (
            _walk(schema.get("items" if kind == "array" else "values"), names, around, file)
            and kind == "array"
        ):
            raise AvroSchemaError(
                f"{file} has an array whose items take no bytes, so its length has no bound"
            )
        return False
    if kind == "fixed":
        return schema.get("size") == 0
    if kind == "enum":
        return False
    return _walk(kind, names, around, file)


def _plain(value: object) -> object:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise AvroRecordError("it holds NaN or Infinity, which JSON does not have")
            return value
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return rfc3339(to_utc(value)) if value.tzinfo else value.isoformat()
        case date() | time():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case UUID():
            return str(value)
    return str(value)
