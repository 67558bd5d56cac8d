"""Rows by the Storage Write API, behind the interface of `RowWriter`: credentials, one append, and its retries."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import grpc
import meshpass
from grpc import aio
from meshpass._address import parse_origin, plaintext_problem

from enrichment.errors import (
    EnrichmentError,
    Stage,
    copy_error,
    failure,
    of_unexpected_error,
    release_frames,
)
from enrichment.row import Row
from enrichment.settings.model import Column, TableField, WriteStreamKind
from enrichment.sink.base import LastFailures
from enrichment.sink.insert_all import ATTEMPT_TIMEOUT_S, UPLOAD_BYTES_PER_S, AccessTokens, retry_delays_s
from enrichment.sink.insert_all_response import InsertErrors
from enrichment.sink.storage_write.connection import Metadata, unary
from enrichment.sink.storage_write.messages import GetWriteStreamRequest, Message, WriteStream
from enrichment.sink.storage_write.responses import AppendResponse, Step, refused, step_after
from enrichment.sink.storage_write.schema import RowSchema, RowValueError
from enrichment.sink.storage_write.streams import CommittedStream, DefaultStream, Stream, Transport
from enrichment.sink.when_to_write import RefusedError

if TYPE_CHECKING:
    from meshpass._tokens.google.access_token import AccessToken

BIGQUERY_STORAGE = "bigquerystorage.googleapis.com:443"

MAX_REQUEST_BYTES = 10_000_000
"""Largest request. The API's reference says less than 20 MB, its quotas say 10 MB
(https://cloud.google.com/bigquery/quotas#write-api-limits): the smaller figure holds with both."""

_REQUEST_BYTES = (
    2_000  # what a request has beside its rows and its schema, generously: the stream's name, an offset
)
_ROW_BYTES = 6  # tag and length of a row in the request

_LATE = "DEADLINE_EXCEEDED"

_OPTIONS = (
    # A quiet connection is tested, so that one which a firewall dropped does not cost an event its time.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # gRPC's own pauses between connections are seconds and minutes; the pauses between our attempts hold instead.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),  # it says something of each row
    ("grpc.primary_user_agent", "meshpass-function"),
    ("grpc.enable_http_proxy", 0),  # as insertAll: rows go to Google directly, and no proxy sees a token
)

Columns = Iterable[Column | TableField]


class StorageWriteClient:
    """Writes rows of any number of tables, in one event loop at a time.

    Each table has one connection, which is opened at its first row. `GroupCommit` bounds what waits for answers: eight
    requests of `[batch]`'s size. Access tokens are never sent in plaintext but to this machine and its own network, as
    by `InsertAllClient`.

    Args:
        columns: What is written into each table, by `project.dataset.table`.
        kind: Which stream takes the rows.
        host: `HOST:PORT` of an emulator, which is spoken to in plaintext; `BIGQUERY_WRITE_EMULATOR_HOST` or Google's
            own endpoint when None.
        tokens: Where access tokens come from; as in `InsertAllClient` when None.

    Raises:
        ValueError: the emulator's address is not `HOST:PORT`; the message completes the sentence "NAME ...".
    """

    def __init__(
        self,
        columns: Mapping[str, Columns],
        kind: WriteStreamKind = WriteStreamKind.DEFAULT,
        host: str | None = None,
        tokens: AccessTokens | None = None,
    ) -> None:
        emulator = host or os.environ.get("BIGQUERY_WRITE_EMULATOR_HOST")
        committed = kind is WriteStreamKind.COMMITTED
        self._make_stream: Callable[[str, bytes, Transport], Stream] = (
            CommittedStream if committed else DefaultStream
        )
        self._transport = _Transport(emulator, tokens)
        upserts = kind is WriteStreamKind.CDC
        self._tables = {table: _Table(RowSchema(found, upserts=upserts)) for table, found in columns.items()}
        self._streams: dict[str, Stream] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warming: asyncio.Task[None] | None = None
        self._failures = LastFailures()

    def warm_up(self) -> None:
        """Start to get a token and to connect, while the event's lookup is in flight."""
        if self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._transport.prepare())

    async def insert(self, table: str, rows: Sequence[Row], deadline: meshpass.Deadline) -> InsertErrors:
        """Write rows in one append, and try again while that may help. See `RowWriter`."""
        serialized, invalid = self._serialize(table, rows)
        if invalid:
            return invalid
        size = sum(map(len, serialized)) + _ROW_BYTES * len(serialized)
        if size > self._tables[table].max_bytes:
            raise RefusedError(
                failure("row_too_large", f"the row takes {size} bytes in an append", Stage.WRITE)
            )
        stream = self._stream(table)
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, deadline.left_s())), stream.turn():
                answer = await self._append(table, stream, serialized, size, deadline)
        except TimeoutError:
            answer = None
        if (answer is None or answer.code == _LATE) and (earlier := self.failed_since(table, began_s)):
            raise copy_error(earlier)
        if answer is None:
            raise failure("bigquery_unavailable", f"no answer for {table} in time")
        if answer.rows:
            return answer.rows
        if answer.code != "OK":
            raise self._decided(answer, table)
        self._failures.forget(table)
        return ()

    def failed_since(self, table: str, began_s: float) -> EnrichmentError | None:
        """Return why an append to the table failed last. See `RowWriter`."""
        return self._failures.since(table, began_s)

    async def created_s(self, table: str, deadline: meshpass.Deadline) -> float | None:
        """Return when a table was created, which is when its default stream was. See `RowWriter`."""
        left_s = min(deadline.left_s(), ATTEMPT_TIMEOUT_S)
        name = f"{path_of(table)}/streams/_default"
        request = GetWriteStreamRequest(name=name)
        found = await self._transport.call("GetWriteStream", request, WriteStream, f"name={name}", left_s)
        if isinstance(found, AppendResponse) or not found.create_time.seconds:
            return None
        return float(found.create_time.seconds + found.create_time.nanos / 1e9)

    async def columns(self, table: str, deadline: meshpass.Deadline) -> None:
        """Return None: a row that is refused here is a fault already. See `RowWriter`."""

    async def aclose(self) -> None:
        """Close the connections, if there are any; a later write opens new ones."""
        warming, self._warming = self._warming, None
        if warming is not None:
            warming.cancel()
        for stream in self._streams.values():
            await stream.aclose()
        self._streams.clear()
        await self._transport.aclose()

    async def _append(
        self, table: str, stream: Stream, rows: Sequence[bytes], size: int, deadline: meshpass.Deadline
    ) -> AppendResponse | None:
        """Append rows until they are written, no further attempt helps, or time is over."""
        delays_s = retry_delays_s()
        answer = None
        at_once = {"stale", Step.NEW_TOKEN, Step.NEW_STREAM}  # each of them once
        while (left_s := deadline.left_s()) > 0:
            wait_s = min(ATTEMPT_TIMEOUT_S + size / UPLOAD_BYTES_PER_S, left_s)
            answer = await stream.append(rows, wait_s)
            if answer.code == "OK" or answer.rows:
                return answer
            step = step_after(answer, replaceable=stream.replaceable)
            cause = "stale" if answer.stale and step is Step.RETRY else step
            if step is Step.FAIL or (
                step is Step.NEW_TOKEN and (cause not in at_once or self._transport.no_token)
            ):
                return answer
            if cause in at_once:
                at_once.remove(cause)
                continue
            if answer.code != _LATE:
                self._failures.note(table, self._decided(answer, table))
            delay_s = next(delays_s)
            if delay_s >= deadline.left_s():
                return answer
            await asyncio.sleep(delay_s)
        return answer

    def _serialize(self, table: str, rows: Sequence[Row]) -> tuple[list[bytes], InsertErrors]:
        """Return the rows as messages, or what is wrong with them."""
        serialize = self._tables[table].schema.serialize
        serialized, invalid = [], []
        try:
            for index, row in enumerate(rows):
                try:
                    serialized.append(serialize(row.columns))
                except RowValueError as error:
                    said = {"reason": "FIELDS_ERROR", "location": error.column}
                    invalid.append({"index": index, "errors": [said]})
        except Exception as error:  # noqa: BLE001 - a row that no check foresaw must not keep its neighbours out
            raise RefusedError(of_unexpected_error(error, Stage.WRITE)) from None
        return serialized, invalid

    def _stream(self, table: str) -> Stream:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # connections belong to the loop that opened them
            self._loop, self._streams = loop, {}
        stream = self._streams.get(table)
        if stream is None:
            descriptor = self._tables[table].descriptor
            stream = self._streams[table] = self._make_stream(path_of(table), descriptor, self._transport)
        return stream

    def _decided(self, answer: AppendResponse, table: str) -> Exception:
        if answer.code == "UNAUTHENTICATED" and (said := self._transport.no_token):
            return failure("bigquery_no_credentials", f"no access token for {table}: {said}")
        return refused(answer, table)


class _Table:
    """What is known of a table.

    Args:
        schema: What is written.
    """

    def __init__(self, schema: RowSchema) -> None:
        self.schema = schema
        self.descriptor: bytes = schema.descriptor.SerializeToString()
        self.max_bytes = MAX_REQUEST_BYTES - len(self.descriptor) - _REQUEST_BYTES


class _Transport:
    """The channel of one event loop, and the credentials of its calls.

    Args:
        emulator: `HOST:PORT` of an emulator; None for Google.
        tokens: Where access tokens come from; found in the order of Google's clients when None.
    """

    def __init__(self, emulator: str | None, tokens: AccessTokens | None) -> None:
        self._emulator = emulator
        self._takes_tokens = (
            not emulator or plaintext_problem(parse_origin(f"http://{emulator}"), None) is None
        )
        self._tokens = tokens
        self._channel: aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._used: AccessToken | None = None
        self.no_token = ""

    async def channel(self) -> aio.Channel:
        """Return the channel of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._channel is None or self._loop is not loop:
            self._loop = loop
            if self._emulator:
                self._channel = aio.insecure_channel(self._emulator, options=_OPTIONS)
            else:
                self._channel = aio.secure_channel(
                    BIGQUERY_STORAGE, grpc.ssl_channel_credentials(), options=_OPTIONS
                )
        return self._channel

    async def metadata(self, parameters: str, wait_s: float) -> "Metadata | AppendResponse":
        """Return the metadata of one call, or why there is no token for it."""
        routing = ("x-goog-request-params", quote(parameters, safe="/="))
        if not self._takes_tokens:
            return (routing,)
        if self._tokens is None:
            from meshpass._tokens.google.access_token import GoogleAccessToken

            self._tokens = GoogleAccessToken()
        try:
            async with asyncio.timeout(wait_s):
                token = await self._tokens.atoken()
        except TimeoutError:
            return AppendResponse("UNAVAILABLE", message="there was no access token in time")
        except meshpass.MeshError as error:
            release_frames(error)
            if error.retryable:
                return AppendResponse("UNAVAILABLE", message=str(error))
            self.no_token = str(error)
            return AppendResponse("UNAUTHENTICATED", message=self.no_token)
        self._used, self.no_token = token, ""
        return (routing, ("authorization", f"Bearer {token.value}"), *token.further.items())

    def refuse(self, metadata: Metadata) -> None:
        """Forget the token of a call that was refused for it, unless another one has replaced it. See `Transport`."""
        used = self._used
        if used is None or self._tokens is None:
            return
        if ("authorization", f"Bearer {used.value}") in metadata:
            self._tokens.invalidate(used)

    async def call(
        self, method: str, request: Message, response: type[Message], parameters: str, wait_s: float
    ) -> "Message | AppendResponse":
        """Make one call of one message. See `Transport`."""
        metadata = await self.metadata(parameters, wait_s)
        if isinstance(metadata, AppendResponse):
            return metadata
        found = await unary(await self.channel(), method, request, response, metadata, wait_s)
        if isinstance(found, AppendResponse) and found.code == "UNAUTHENTICATED":
            self.refuse(metadata)
        return found

    async def prepare(self) -> None:
        """Connect and get a token. A failure is left for the first write to meet again."""
        channel = await self.channel()
        channel.get_state(try_to_connect=True)
        await self.metadata("", ATTEMPT_TIMEOUT_S)

    async def aclose(self) -> None:
        """Close the channel."""
        channel, self._channel = self._channel, None
        if channel is not None and self._loop is asyncio.get_running_loop():
            await channel.close()


def path_of(table: str) -> str:
    """Return the path of a table, `project.dataset.table`, in the API."""
    project, dataset, name = table.rsplit(".", 2)
    return f"projects/{project}/datasets/{dataset}/tables/{name}"
