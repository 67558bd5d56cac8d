"""The columns of the real table against those of table.json, for rows that BigQuery calls invalid. Pure.

Every value was held to table.json before it was sent. So where BigQuery refuses one in a column that is another one in
the table, the event is good and the table has changed. Loaded for refused rows alone.
"""

from collections.abc import Iterable

from enrichment.settings.model import Column, TableField

Columns = Iterable[Column | TableField]


def differences(written: Columns, real: Columns, path: str = "") -> dict[str, str]:
    """Return why the table refuses good values, as part of a sentence, by the name of the column in lower case.

    Whether a column is required is left out: BigQuery names one that a row lacks.

    Args:
        written: The columns that are written, as table.json has them.
        real: The columns that the table has.
        path: How their names begin within a record: `order.`.
    """
    by_name = {column.name.casefold(): column for column in real}
    found: dict[str, str] = {}
    for column in written:
        name, other = column.name.casefold(), by_name.get(column.name.casefold())
        if other is None:
            found[name] = f"the table has no column {path}{column.name}"
        elif _differs(column, other):
            found[name] = (
                f"{path}{column.name} is {_kind(other)} in the table and {_kind(column)} in table.json"
            )
        elif within := differences(column.fields, other.fields, f"{path}{column.name}."):
            found[name] = next(iter(within.values()))
    return found


def _differs(column: Column | TableField, other: Column | TableField) -> bool:
    """Return whether a column refuses values that fit the other; a limit that only table.json has refuses none."""
    if (column.type, column.repeated) != (other.type, other.repeated):
        return True
    return bool(other.max_length) and (column.max_length, column.scale) != (other.max_length, other.scale)


def _kind(column: Column | TableField) -> str:
    """Return the type of a column as people write it: `ARRAY<NUMERIC(5, 2)>`."""
    sizes = ", ".join(str(size) for size in (column.max_length, column.scale) if size)
    kind = f"{column.type}({sizes})" if sizes else column.type
    return f"ARRAY<{kind}>" if column.repeated else kind
