"""Rows of one request, from serialized messages to what the store takes. Pure.

A request with a bad row is refused as a whole, and its response says of each bad row what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.change_capture import (
    CHANGE_SEQUENCE_NUMBER,
    CHANGE_TYPE,
    Change,
    ChangeType,
    parse_sequence,
)
from meshlab.cloud.bigquery.defaults import default_of
from meshlab.cloud.bigquery.insert_all import Partitions
from meshlab.cloud.bigquery.write_api.errors import Code, WriteError, invalid
from meshlab.cloud.bigquery.write_api.writer_schema import RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.cloud.bigquery.catalogue import Table
    from meshlab.cloud.bigquery.cell_values import Stored
    from meshlab.cloud.bigquery.insert_all import Row
    from meshlab.cloud.bigquery.write_api.streams import WriteStream
    from meshlab.cloud.bigquery.write_api.writer_schema import Decoded, Decoder

NULL_VALUE, DEFAULT_VALUE = 1, 2
"""AppendRowsRequest.MissingValueInterpretation; a request with another number is refused."""

ROW_ERRORS = (
    "Errors found while processing rows. Please refer to the row_errors field for details. The list may not be "
    "complete because of the size limitations."
)


@dataclass(frozen=True, slots=True)
class Interpretations:
    """What a value means that is missing in a row, though the writer's schema has its field.

    Args:
        default: The number for all columns.
        by_column: Other numbers for some, by name in lower case.
    """

    default: int
    by_column: Mapping[str, int]

    def use_default(self, column: str) -> bool:
        """Return whether a missing value is the column's default."""
        return self.by_column.get(column.lower(), self.default) == DEFAULT_VALUE


class RowReader:
    """Reads the rows of one writer for one table.

    Args:
        table: The table.
        decoder: Reads the messages.
        stream: The stream that they come by.

    Raises:
        WriteError: The writer's schema lacks a column that the table requires, or has pseudo-columns that the stream
            or the table does not take.
    """

    def __init__(self, table: Table, decoder: Decoder, stream: WriteStream) -> None:
        self._decoder = decoder
        self._key = frozenset(table.key)
        self._table = table
        self._stream = stream
        self._required = [item.name for item in table.schema.fields if item.required]
        self._defaults: list[tuple[str, Callable[[float], Stored | None]]] = []
        for item in table.schema.fields:
            default = default_of(item)
            if default is not None:
                self._defaults.append((item.name, default))
        given = {name for name, _ in self._defaults}
        absent = [name for name in self._required if name in decoder.missing and name not in given]
        if absent:
            raise invalid(
                f"Input schema does not have the required fields of the BigQuery schema: '{','.join(absent)}'",
                stream.name,
            )
        self._changes = bool(decoder.pseudo_columns)
        if not self._changes:
            return
        if CHANGE_TYPE not in decoder.pseudo_columns:
            raise invalid(f"{CHANGE_SEQUENCE_NUMBER} cannot be set without {CHANGE_TYPE}.", stream.name)
        if stream.is_default and not table.key:
            raise invalid(
                "The primary keys and clustering keys of the table "
                f"{table.resource['id'].replace(':', '.')} are required to create an upsert stream.",
                stream.name,
            )

    def read(
        self, serialized: Sequence[bytes], meaning: Interpretations, request: int, now_s: float
    ) -> tuple[list[Row], list[Change | None]]:
        """Read the rows of a request.

        Args:
            serialized: The messages.
            meaning: What missing values mean.
            request: A number that is greater in later requests.
            now_s: The time, for default values.

        Returns:
            The rows, and for each what it does to others of its key.

        Raises:
            WriteError: Some rows do not fit.
        """
        rows: list[Row] = []
        changes: list[Change | None] = []
        errors: dict[int, str] = {}
        partitions = Partitions.of(self._table, now_s)
        defaults = [
            (name, default)
            for name, default in self._defaults
            if name in self._decoder.missing or meaning.use_default(name)
        ]
        for index, data in enumerate(serialized):
            try:
                decoded = self._decoder.decode(data)
                change = self._change(decoded.pseudo, request) if self._changes else None
                row = self._completed(decoded, change, defaults, now_s)
                _check_partition(row, partitions)
                rows.append(row)
                changes.append(change)
            except RowError as error:
                errors[index] = str(error)
        if errors:
            raise WriteError(
                Code.INVALID_ARGUMENT, ROW_ERRORS, self._stream.name, row_errors=errors, ends_call=False
            )
        return rows, changes

    def _completed(
        self,
        decoded: Decoded,
        change: Change | None,
        defaults: Sequence[tuple[str, Callable[[float], Stored | None]]],
        now_s: float,
    ) -> Row:
        row = decoded.row
        for name, default in defaults:
            if name not in row:
                row[name] = default(now_s)
        for name in self._required:
            # A row that deletes others needs no more than their key.
            if name not in row and (
                change is None or change.type is not ChangeType.DELETE or name in self._key
            ):
                raise RowError(f"Missing required value on field {name}.")
        return row

    def _change(self, pseudo: Mapping[str, str], request: int) -> Change:
        kind = pseudo.get(CHANGE_TYPE, "")
        if not self._stream.is_default:
            raise RowError(f"The given value is not a valid CHANGE_TYPE in insert mode: {kind}")
        if kind not in ChangeType.__members__:
            raise RowError(f"The given value is not a valid CHANGE_TYPE: {kind}")
        number = pseudo.get(CHANGE_SEQUENCE_NUMBER)
        sequence = "" if number is None else parse_sequence(number)
        if sequence is None:
            raise RowError(f"The given value is not a valid {CHANGE_SEQUENCE_NUMBER}: {number}")
        return Change(ChangeType(kind), sequence, request)


def _check_partition(row: Row, partitions: Partitions | None) -> None:
    if partitions is not None and (problem := partitions.problem(row)):
        raise RowError(problem)
