"""The row that an event becomes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from enrichment.errors import failure
from enrichment.expressions import EvaluationError, Expression, Scope
from enrichment.expressions.scope import OF_EVENT
from enrichment.row.column_values import check_length, convert, is_missing
from enrichment.row.conversions import ColumnValueError, Json
from enrichment.settings.model import Column

if TYPE_CHECKING:
    from enrichment.documents.long_numbers import LongNumbers

MAX_ROW_BYTES = 10_000_000
"""Largest row, and largest request, of BigQuery's insertAll (https://cloud.google.com/bigquery/quotas)."""

_REQUEST_BYTES = 1_000  # what the request wraps round its rows, generously


class Row(msgspec.Struct, frozen=True):
    """One row to write.

    Args:
        insert_id: Equal ids within BigQuery's de-duplication window make one row.
        columns: Column name to value, as insertAll takes them; a column without a value is left out. A JSON column
            holds its JSON as text.
        size_bytes: What the row takes in a request, at most.
    """

    insert_id: str
    columns: dict[str, Json]
    size_bytes: int


def build(columns: Sequence[Column], insert_id: str, scope: Scope) -> Row:
    """Build the row of one event.

    Args:
        columns: What to write.
        insert_id: What names the row.
        scope: The event, what was looked up for it, and its message.

    Returns:
        The row.

    Raises:
        BadEventError: `column_invalid`, a value does not fit its column; `column_missing`, a required column has none;
            `row_too_large`, BigQuery would refuse the row for its size. The detail names the column, never a value.
    """
    values: dict[str, Json] = {}
    for column in columns:
        try:
            value = value_of(column, scope)
        except (ColumnValueError, EvaluationError) as error:
            raise failure(
                "column_invalid",
                f"column {column.name} has the type {column.type}: {column.source} {error}",
            ) from None
        if value is not None:
            values[column.name] = value
        elif column.required:
            raise failure(
                "column_missing",
                f"column {column.name} is required, and there is no {column.source}",
            )
    # BigQuery's limit is on the bytes of the request, which the sink writes in UTF-8 without blanks.
    size = len(msgspec.json.encode({"json": values, "insertId": insert_id})) + 1  # the comma behind it
    if size + _REQUEST_BYTES > MAX_ROW_BYTES:
        raise failure("row_too_large", f"the row takes {size} bytes and BigQuery takes {MAX_ROW_BYTES}")
    return Row(insert_id, values, size)


def value_of(column: Column, scope: Scope) -> "Json | None":
    """Return what a column gets, None for nothing.

    Raises:
        EvaluationError: The event's values do not allow its expression.
        ColumnValueError: The column cannot hold what the expression gives.
    """
    expression = column.expression
    if expression is None:
        return cast("Json", column.default)
    path = expression.path
    if (
        len(path) == 1
        and column.type in ("JSON", "STRING")
        and (text := scope.texts.get(path[0])) is not None
    ):
        if column.max_length:
            check_length(column, text)
        return text  # as it came: nothing is lost in a rewrite
    found = expression.evaluate(scope)
    if found is None or (column.repeated and is_missing(column, found)):
        return cast("Json | None", column.default)
    if type(found) is not str and column.type in _WITH_DIGITS and not isinstance(found, int):
        found = _with_all_digits(column, found, scope)
    return convert(column, found, column.options)


_WITH_DIGITS = ("INTEGER", "NUMERIC", "BIGNUMERIC", "STRING", "RECORD")


def _within_texts(expression: Expression, scope: Scope) -> "LongNumbers":
    """Return the long numbers of the texts that `from_json` reads: once for all rows that share the value."""
    from enrichment.documents import long_numbers
    from enrichment.expressions.functions import texts_parsed_by

    key = ("texts", expression.text)
    shared = scope.memo if scope.memo is not None and expression.roots <= OF_EVENT else {}
    if key not in shared:
        again = scope.extended({})
        again.memo = None  # what is remembered is not evaluated
        shared[key] = long_numbers.in_texts(texts_parsed_by(lambda: expression.evaluate(again)))
    return cast("LongNumbers", shared[key])


def _with_all_digits(column: Column, found: object, scope: Scope) -> object:
    from enrichment.documents import long_numbers
    from enrichment.row import written_digits  # which few pipelines need

    if not written_digits.may_be_lost(column, found):
        return found
    numbers = scope.long_numbers
    if column.expression and "from_json" in column.expression.functions:
        numbers = long_numbers.merged(numbers, _within_texts(column.expression, scope))
    try:
        return written_digits.restored(column, found, numbers)
    except written_digits.TwoNumbersError:
        raise ColumnValueError(
            "has more digits than a JSON number is read with, and another number differs in those alone: send it as a "
            "string"
        ) from None
