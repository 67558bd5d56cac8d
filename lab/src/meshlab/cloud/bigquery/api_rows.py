"""Rows as the API sends them: every value a string, every row `{"f": [{"v": ...}]}`. Pure.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list
"""

from __future__ import annotations

import base64
import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import decimal
    from collections.abc import Sequence

    from meshlab.cloud.bigquery.schema import Field

_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - the store hands out UTC without a zone
_MICROSECOND = datetime.timedelta(microseconds=1)


def encode_row(values: Sequence[Any], fields: Sequence[Field], int64_timestamps: bool) -> dict[str, Any]:
    """Encode one row.

    Args:
        values: One Python value per field, as DuckDB gives them; a timestamp is a datetime in UTC without zone.
        fields: The fields, in the same order.
        int64_timestamps: Whether timestamps go out as microseconds since the epoch, as the option
            `formatOptions.useInt64Timestamp` asks; otherwise they are seconds, as a floating point number.
    """
    return {
        "f": [
            {"v": _encode(value, field, int64_timestamps)}
            for value, field in zip(values, fields, strict=True)
        ]
    }


def _encode(value: Any, field: Field, int64_timestamps: bool) -> Any:  # noqa: ANN401
    if field.repeated:
        # A null array reads as an empty one.
        return [{"v": _encode_single(item, field, int64_timestamps)} for item in value or ()]
    return _encode_single(value, field, int64_timestamps)


def _encode_single(value: Any, field: Field, int64_timestamps: bool) -> Any:  # noqa: ANN401
    if value is None:
        return None
    if field.record is not None:
        return encode_row(
            [value[item.name] for item in field.record.fields], field.record.fields, int64_timestamps
        )
    match field.type:
        case "BOOLEAN":
            return "true" if value else "false"
        case "BYTES":
            return base64.b64encode(value).decode()
        case "FLOAT":
            return _float(value)
        case "NUMERIC":
            return _numeric(value)
        case "TIMESTAMP":
            microseconds = (value - _EPOCH) // _MICROSECOND
            return str(microseconds) if int64_timestamps else repr(microseconds / 1e6)
        case "DATE" | "TIME" | "DATETIME":
            return str(value.isoformat())
        case _:
            return str(value)


def _float(value: float) -> str:
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(value), repr(value))


def _numeric(value: decimal.Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
