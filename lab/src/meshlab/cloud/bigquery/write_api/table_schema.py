"""Columns of a table as the Storage API describes them. Pure.

Source: https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#tableschema
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.write_api.protocol import message

if TYPE_CHECKING:
    from meshlab.cloud.bigquery.schema import Schema
    from meshlab.cloud.bigquery.write_api.protocol import Proto

_TYPES = {
    "STRING": 1,
    "INTEGER": 2,
    "FLOAT": 3,
    "RECORD": 4,
    "BYTES": 5,
    "BOOLEAN": 6,
    "TIMESTAMP": 7,
    "DATE": 8,
    "TIME": 9,
    "DATETIME": 10,
    "NUMERIC": 12,
    "JSON": 15,
}
_MODES = {"NULLABLE": 1, "REQUIRED": 2, "REPEATED": 3}


def describe(schema: Schema) -> Proto:
    """Return the TableSchema of a table."""
    described = message("TableSchema")()
    for item in schema.fields:
        field = described.fields.add(
            name=item.name,
            type=_TYPES[item.type],
            mode=_MODES[item.mode],
            default_value_expression=item.default,
        )
        if item.record is not None:
            field.fields.extend(describe(item.record).fields)
    return described
