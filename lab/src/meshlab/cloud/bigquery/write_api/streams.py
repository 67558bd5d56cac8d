"""Write streams: which there are, how far each has come, and what becomes of their rows.

Rows of a COMMITTED stream go into its table. Those of a PENDING or BUFFERED one go into a table of their own in the
store, from where a commit or a flush copies them.
"""

from __future__ import annotations

import base64
import enum
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.errors import ApiError
from meshlab.cloud.bigquery.write_api.errors import (
    Code,
    StorageCode,
    WriteError,
    invalid,
    no_permission,
    stream_not_found,
    table_not_found,
)
from meshlab.cloud.bigquery.write_api.stream_names import DEFAULT, TableName, parse_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.cloud.bigquery.backend import Backend
    from meshlab.cloud.bigquery.catalogue import Table
    from meshlab.cloud.bigquery.schema import Schema


class StreamType(enum.IntEnum):
    """WriteStream.Type."""

    COMMITTED = 1
    PENDING = 2
    BUFFERED = 3


@dataclass(slots=True)
class WriteStream:
    """A stream that was created, or a table's default stream.

    Attributes:
        name: Its resource name.
        type: Its type.
        table: Its table.
        stored: Where its rows go in the store.
        schema: The columns of that.
        is_default: Whether it is the default stream.
        created_at_s: When it was created, in seconds since the epoch.
        rows: How many rows were appended; the default stream counts none.
        flushed: How many of them were copied to the table by FlushRows.
        finalized: Whether no more rows may come.
        committed_at_s: When it was committed, in seconds since the epoch; None before that.
    """

    name: str
    type: StreamType
    table: Table
    stored: str
    schema: Schema
    is_default: bool
    created_at_s: float
    rows: int = 0
    flushed: int = 0
    finalized: bool = False
    committed_at_s: float | None = None

    def check_appendable(self, offset: int | None) -> None:
        """Refuse rows that may not come now.

        Args:
            offset: Where they are to go; None for the end.

        Raises:
            WriteError: The stream is finalized or committed, has come farther, or not so far.
        """
        if self.is_default:
            if offset is not None:
                raise invalid("Offset cannot be specified for the default stream.", self.name)
            return
        if self.finalized:
            raise self.refusal(
                Code.INVALID_ARGUMENT,
                "Stream has been finalized and cannot be appended.",
                StorageCode.STREAM_FINALIZED,
            )
        if offset is None or offset == self.rows:
            return
        expected = f"expected offset {self.rows}, received {offset}"
        if offset < self.rows:
            raise self.refusal(
                Code.ALREADY_EXISTS,
                f"The offset is within stream, {expected}",
                StorageCode.OFFSET_ALREADY_EXISTS,
            )
        raise self.refusal(
            Code.OUT_OF_RANGE, f"The offset is beyond stream, {expected}", StorageCode.OFFSET_OUT_OF_RANGE
        )

    def check_committable(self) -> None:
        """Refuse a commit.

        Raises:
            WriteError: The stream is not a finalized PENDING one, or was committed before.
        """
        if self.type is not StreamType.PENDING:
            raise self.refusal(
                Code.INVALID_ARGUMENT,
                f"Only PENDING streams can be committed, and this one is {self.type.name}.",
                StorageCode.INVALID_STREAM_TYPE,
            )
        if self.committed_at_s is not None:
            raise self.refusal(
                Code.INVALID_ARGUMENT,
                "Stream is already committed.",
                StorageCode.STREAM_ALREADY_COMMITTED,
            )
        if not self.finalized:
            raise self.refusal(
                Code.INVALID_ARGUMENT,
                "Stream is not finalized, and cannot be committed.",
                StorageCode.INVALID_STREAM_STATE,
            )

    def refusal(self, code: Code, text: str, storage: StorageCode) -> WriteError:
        """Make the response to a request that this stream refuses; the call goes on."""
        return WriteError(code, text, self.name, storage, ends_call=False)


class Streams:
    """All streams of all tables.

    Args:
        backend: The tables and their rows.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._streams: dict[str, WriteStream] = {}

    def table(self, name: TableName) -> Table:
        """Find the table of a stream.

        Raises:
            WriteError: It is not there, or is a view.
        """
        try:
            self._backend.catalogue.dataset(name.project, name.dataset)
        except ApiError:
            raise no_permission(str(name)) from None
        try:
            return self._backend.catalogue.table_with_rows(*name.parts, to="write to")
        except ApiError as error:
            raise (
                table_not_found(str(name)) if error.code == 404 else invalid(str(error), str(name))
            ) from None

    def create(self, name: TableName, kind: int) -> WriteStream:
        """Create a stream.

        Args:
            name: Its table.
            kind: The number of its type.

        Raises:
            WriteError: The table is not there, or there is no such type.
        """
        table = self.table(name)
        if kind not in StreamType.__members__.values():
            raise invalid("Write stream type must be COMMITTED, PENDING or BUFFERED.", str(name))
        kind = StreamType(kind)
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        stored = table.stored if kind is StreamType.COMMITTED else self._backend.store.create(table.schema)
        stream = WriteStream(
            name=f"{name}/streams/{identity}",
            type=kind,
            table=table,
            stored=stored,
            schema=table.schema,
            is_default=False,
            created_at_s=self._backend.now_s(),
        )
        self._streams[stream.name] = stream
        return stream

    def find(self, text: str) -> WriteStream:
        """Find a stream by its name.

        Raises:
            WriteError: The name is none, or there is no such table or stream.
        """
        name, identity = parse_stream(text)
        table = self.table(name)
        if identity == DEFAULT:
            default = f"{name}/streams/{DEFAULT}"
            return WriteStream(
                name=default,
                type=StreamType.COMMITTED,
                table=table,
                stored=table.stored,
                schema=table.schema,
                is_default=True,
                created_at_s=table.created_at_s,
            )
        stream = self._streams.get(f"{name}/streams/{identity}")
        # The streams of a table end with it.
        if stream is None or stream.table is not table:
            raise stream_not_found(text)
        return stream

    def follow_schema(self, stream: WriteStream) -> None:
        """Give the rows that wait for a commit or a flush the columns that their table was given since."""
        schema = stream.table.schema
        if stream.schema is schema:
            return
        if stream.stored != stream.table.stored:
            added = schema.fields[len(stream.schema.fields) :]
            self._backend.store.extend(stream.stored, schema, added)
        stream.schema = schema

    def finalize(self, stream: WriteStream) -> int:
        """Let no more rows come; return how many came.

        Raises:
            WriteError: It is the default stream.
        """
        if stream.is_default:
            raise invalid("The default stream cannot be finalized.", stream.name)
        stream.finalized = True
        return stream.rows

    def flush(self, stream: WriteStream, offset: int | None) -> int:
        """Show the rows of a BUFFERED stream up to an offset; return the offset.

        Args:
            stream: The stream.
            offset: The last row to show; None is 0, as it reads without a value.

        Raises:
            WriteError: The stream is of another type or finalized, or the offset is beyond its end or was flushed.
        """
        last = offset or 0
        if stream.type is not StreamType.BUFFERED:
            raise stream.refusal(
                Code.INVALID_ARGUMENT,
                f"Only BUFFERED streams can be flushed, and this one is {stream.type.name}.",
                StorageCode.INVALID_STREAM_TYPE,
            )
        if stream.finalized:
            raise stream.refusal(
                Code.INVALID_ARGUMENT,
                "Stream has been finalized and cannot be flushed.",
                StorageCode.STREAM_FINALIZED,
            )
        if last >= stream.rows:
            raise stream.refusal(
                Code.OUT_OF_RANGE,
                f"The offset is beyond stream, the last offset is {stream.rows - 1}, received {last}",
                StorageCode.OFFSET_OUT_OF_RANGE,
            )
        if last < stream.flushed:
            raise stream.refusal(
                Code.ALREADY_EXISTS,
                f"The offset was flushed before, the last one is {stream.flushed - 1}, received {last}",
                StorageCode.OFFSET_ALREADY_EXISTS,
            )
        count = last + 1 - stream.flushed
        self._backend.store.move(stream.stored, stream.table.stored, stream.flushed, count)
        stream.flushed += count
        return last

    def commit(self, table: TableName, names: Sequence[str]) -> tuple[float | None, list[WriteError]]:
        """Show the rows of finalized PENDING streams, all or none.

        Args:
            table: The table that all of them belong to.
            names: The streams.

        Returns:
            When that was, in seconds since the epoch; or None, and the error of each stream that cannot be committed.

        Raises:
            WriteError: There is no stream, or one of another table.
        """
        self.table(table)
        if not names:
            raise invalid("There are no write streams to commit.", str(table))
        streams, errors = [], []
        for name in dict.fromkeys(names):
            if parse_stream(name)[0] != table:
                raise invalid(f"The stream {name} does not belong to the table.", str(table))
            try:
                stream = self.find(name)
                stream.check_committable()
                streams.append(stream)
            except WriteError as error:
                errors.append(error)
        if errors:
            return None, errors
        self._backend.store.move_all(
            [(stream.stored, stream.rows) for stream in streams], streams[0].table.stored
        )
        now_s = self._backend.now_s()
        for stream in streams:
            stream.committed_at_s = now_s
        return now_s, []
