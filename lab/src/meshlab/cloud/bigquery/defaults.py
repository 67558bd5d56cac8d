"""Default values of columns: the expressions that are read here, and what they give. Pure.

BigQuery takes literals and a short list of functions. Here a literal, NULL and the functions below are read; a table
with any other expression is refused.

Source: https://cloud.google.com/bigquery/docs/default-values
"""

from __future__ import annotations

import datetime
import re
import uuid
from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.cell_values import BadValueError, convert
from meshlab.cloud.bigquery.errors import invalid, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.cloud.bigquery.cell_values import Stored
    from meshlab.cloud.bigquery.schema import Field, Schema

_TEXT = re.compile(r"""'([^'\\]*)'|"([^"\\]*)\"""")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_FUNCTIONS: dict[str, Callable[[float], str]] = {
    "CURRENT_TIMESTAMP": lambda now_s: _utc(now_s).isoformat(),
    "CURRENT_DATE": lambda now_s: _utc(now_s).date().isoformat(),
    "CURRENT_DATETIME": lambda now_s: _utc(now_s).replace(tzinfo=None).isoformat(),
    "GENERATE_UUID": lambda _: str(uuid.uuid4()),
}


def default_of(field: Field) -> Callable[[float], Stored | None] | None:
    """Return what gives the default value of a column.

    Args:
        field: The column.

    Returns:
        A function of the time, in seconds since the epoch; None where the column has no default.

    Raises:
        ApiError: The expression is not read here, or is of another type than the column.
    """
    text = field.default.strip()
    if not text or text.upper() == "NULL":
        return None
    if field.record is not None or field.repeated:
        raise unsupported(f"the default value of a record or an array (in field {field.name})")
    function = _FUNCTIONS.get(text.upper().removesuffix("()"))
    if function is not None:
        return lambda now_s: _converted(field, function(now_s))
    value = _converted(field, _literal(text, field.name))
    return lambda _: value


def check_defaults(schema: Schema) -> None:
    """Refuse a schema with default values that are not read here.

    Raises:
        ApiError: The first of them.
    """
    for item in schema.fields:
        default_of(item)
        for inner in item.record.fields if item.record else ():
            if inner.default:
                raise unsupported(f"default values within a record (in field {item.name}.{inner.name})")


def _literal(text: str, column: str) -> str | bool:
    quoted = _TEXT.fullmatch(text)
    if quoted:
        return quoted[1] if quoted[1] is not None else quoted[2]
    if text.upper() in ("TRUE", "FALSE"):
        return text.upper() == "TRUE"
    if _NUMBER.fullmatch(text):
        return text
    raise unsupported(f"the default value {text} (in field {column})")


def _converted(field: Field, value: str | bool) -> Stored:
    try:
        return convert(field.type, value)
    except BadValueError as error:
        raise invalid(
            f"Invalid default value expression for column {field.name}: {error}", "schema"
        ) from error


def _utc(now_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now_s, datetime.UTC)
