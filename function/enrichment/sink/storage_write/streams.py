"""Write streams of one table: the default stream, and those of our own with offsets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from grpc import aio
from msgspec import structs

from enrichment.sink.storage_write.connection import Connection, Metadata, open_call
from enrichment.sink.storage_write.messages import (
    COMMITTED,
    DEFAULT_VALUE,
    PENDING,
    AppendRowsRequest,
    CreateWriteStreamRequest,
    Int64Value,
    Message,
    ProtoData,
    ProtoRows,
    ProtoSchema,
    WriteStream,
)
from enrichment.sink.storage_write.responses import (
    LOST,
    NOT_SENT,
    UNREADABLE,
    WRITTEN,
    AppendResponse,
    Step,
    step_after,
)

TRACE_ID = "meshpass-function"
"""What Google's support sees of a connection."""


class Transport(Protocol):
    """What streams share: one channel, and credentials."""

    async def channel(self) -> aio.Channel:
        """Return the channel of the running event loop."""

    async def metadata(self, parameters: str, wait_s: float) -> "Metadata | AppendResponse":
        """Return the metadata of one call, or why there is no token for it.

        Args:
            parameters: The parameters that Google routes the call by.
            wait_s: How long a token may take, in seconds.
        """

    def refuse(self, metadata: Metadata) -> None:
        """Forget the token of a call that was refused for it, unless another one has replaced it."""

    async def call(
        self, method: str, request: Message, response: type[Message], parameters: str, wait_s: float
    ) -> Message | AppendResponse:
        """Make one call of one message, and return its response, or why there is none.

        Args:
            method: The method's name.
            request: The request.
            response: The class of its response.
            parameters: The parameters that Google routes the call by.
            wait_s: How long a token may take, and then the call, in seconds.
        """


class Stream(Protocol):
    """A stream that takes the rows of one table."""

    replaceable: bool
    """Whether another stream can take its place, should it be at its end."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return the context of one request's attempts, which all append the same rows."""

    async def append(self, rows: Sequence[bytes], wait_s: float) -> AppendResponse:
        """Append rows once."""

    async def aclose(self) -> None:
        """Close the connection."""


class _Connected:
    """The connection to a stream, opened when it is needed and replaced when it is used up."""

    def __init__(self, transport: Transport, descriptor: bytes) -> None:
        self._transport = transport
        self._descriptor = descriptor
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def append(
        self, stream: str, rows: Sequence[bytes], offset: int | None, wait_s: float
    ) -> AppendResponse:
        """Append rows once, on the connection that is kept or on a new one."""
        deadline_s = asyncio.get_running_loop().time() + wait_s
        connection = await self._connect(stream, wait_s)
        if isinstance(connection, AppendResponse):
            return connection
        left_s = deadline_s - asyncio.get_running_loop().time()
        if left_s <= 0:
            return NOT_SENT
        kept = connection.kept
        answer = await connection.append(
            lambda first: self._request(stream, rows, offset, first=first), left_s
        )
        if answer.code == "UNAUTHENTICATED":
            self._transport.refuse(connection.metadata)
        if connection is self._connection and _ends_connection(answer):
            self._retire()
        return structs.replace(answer, stale=True) if kept and connection.closed else answer

    async def drop(self) -> None:
        """Close the connection; the next append opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def _connect(self, stream: str, wait_s: float) -> "Connection | AppendResponse":
        async with self._opening:
            found = self._connection
            if found is not None and found.usable:
                return found
            self._retire()
            metadata = await self._transport.metadata(f"write_stream={stream}", wait_s)
            if isinstance(metadata, AppendResponse):
                return metadata
            self._connection = Connection(open_call(await self._transport.channel(), metadata), metadata)
            return self._connection

    def _retire(self) -> None:
        """Let the connection end by itself once its appends have their answers; at once where it is hung."""
        connection, self._connection = self._connection, None
        if connection is not None:
            end = connection.aclose() if connection.hung else connection.retire()
            task = asyncio.get_running_loop().create_task(end)
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def _request(self, stream: str, rows: Sequence[bytes], offset: int | None, *, first: bool) -> bytes:
        request = AppendRowsRequest(proto_rows=ProtoData(rows=ProtoRows(serialized_rows=rows)))
        if offset is not None:
            request.offset.CopyFrom(Int64Value(value=offset))
        if first:
            request.write_stream = stream
            request.trace_id = TRACE_ID
            request.default_missing_value_interpretation = DEFAULT_VALUE
            request.proto_rows.writer_schema.CopyFrom(ProtoSchema(proto_descriptor=self._descriptor))
        return request.SerializeToString()  # type: ignore[no-any-return]


class DefaultStream:
    """The table's default stream: appends go side by side, and a row that was sent twice may be there twice.

    Args:
        table: The table's path, `projects/P/datasets/D/tables/T`.
        descriptor: The writer schema, serialised.
        transport: The channel and the credentials.
    """

    replaceable = False

    def __init__(self, table: str, descriptor: bytes, transport: Transport) -> None:
        self._name = f"{table}/streams/_default"
        self._connected = _Connected(transport, descriptor)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Do nothing: requests go side by side."""
        yield

    async def append(self, rows: Sequence[bytes], wait_s: float) -> AppendResponse:
        """Append rows once. See `Stream`."""
        return await self._connected.append(self._name, rows, None, wait_s)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._connected.drop()


class OwnStream:
    """A stream that was made for this process: each offset is written once.

    One request at a time, because the offset of the next one is known when this one is answered. Where a request ends
    without an answer, the stream is given up: the next rows would have the offset of rows that may be written.

    Args:
        table: The table's path, `projects/P/datasets/D/tables/T`.
        descriptor: The writer schema, serialised.
        transport: The channel and the credentials.
    """

    replaceable = True
    kind = COMMITTED

    def __init__(self, table: str, descriptor: bytes, transport: Transport) -> None:
        self._table = table
        self._transport = transport
        self._connected = _Connected(transport, descriptor)
        self._turn = asyncio.Lock()
        self._name = ""
        self._offset = 0
        self._unsure = False
        self._lost = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Keep other requests out until this one is decided."""
        async with self._turn:
            try:
                yield
            finally:
                if self._unsure:
                    await self._lose()

    async def append(self, rows: Sequence[bytes], wait_s: float) -> AppendResponse:
        """Append rows once. See `Stream`."""
        if self._lost:
            return LOST
        if not self._name:
            made = await create_stream(self._transport, self._table, self.kind, wait_s)
            if isinstance(made, AppendResponse):
                return made
            self._name, self._offset = made, 0
        sent_before, self._unsure = self._unsure, True  # until there is an answer, should this be cancelled
        answer = await self._connected.append(self._name, rows, self._offset, wait_s)
        if answer.offset not in (
            None,
            self._offset,
        ):  # the answer to another append: whether this one is written is open
            await self._connected.drop()
            return UNREADABLE
        if answer.code == "OK" or (sent_before and _is_duplicate(answer)):
            self._offset += len(rows)
            self._unsure = False
            return WRITTEN
        if answer.answered:
            self._unsure = sent_before
        # A stream of a table that was deleted is gone, and one of a new table of that name takes its place.
        gone = self.replaceable and answer.code == "NOT_FOUND"
        if gone or step_after(answer, replaceable=True) is Step.NEW_STREAM:
            await self._lose()
        return answer

    async def aclose(self) -> None:
        """Close the connection. BigQuery removes a stream that is not used any more."""
        await self._connected.drop()

    async def _lose(self) -> None:
        """Give the stream up. Where another one cannot take its place, no further append is tried."""
        self._lost = not self.replaceable
        self._name, self._offset, self._unsure = "", 0, False
        await self._connected.drop()


class CommittedStream(OwnStream):
    """A stream whose rows are visible once appended. Another one takes its place where it is lost."""


class PendingStream(OwnStream):
    """A stream whose rows are visible once it is committed. Where it is lost all of its rows are."""

    replaceable = False
    kind = PENDING

    @property
    def name(self) -> str:
        """The stream's name; empty before the first row."""
        return self._name

    @property
    def lost(self) -> bool:
        """Whether the stream was given up, and its rows with it."""
        return self._lost


async def create_stream(transport: Transport, table: str, kind: int, wait_s: float) -> str | AppendResponse:
    """Make a stream and return its name, or why there is none.

    Args:
        transport: The channel and the credentials.
        table: The table's path.
        kind: `COMMITTED` or `PENDING`.
        wait_s: How long it may take, in seconds.
    """
    request = CreateWriteStreamRequest(parent=table, write_stream=WriteStream(type=kind))
    made = await transport.call("CreateWriteStream", request, WriteStream, f"parent={table}", wait_s)
    if isinstance(made, AppendResponse):
        return made
    return str(made.name) or UNREADABLE


def _ends_connection(answer: AppendResponse) -> bool:
    """Return whether a connection takes no further append after an answer.

    Its token was refused, and a connection has but one. Or the append was refused for good: it may have been the one
    that carried the schema, and a new connection reads the table's columns again.
    """
    if answer.code == "OK" or answer.rows:
        return False
    return step_after(answer, replaceable=False) in (Step.NEW_TOKEN, Step.FAIL)


def _is_duplicate(answer: AppendResponse) -> bool:
    return answer.code == "ALREADY_EXISTS" or answer.storage_code == "OFFSET_ALREADY_EXISTS"
