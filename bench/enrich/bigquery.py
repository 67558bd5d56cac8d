# ruff: noqa: ANN401 - grpcio and protobuf have no types
"""The table that rows go to, as fast as BigQuery: insertAll, and AppendRows of a default stream where a port is named.

It keeps what a check needs: which event each row is of, and whether it was joined with its own user's profile.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import msgspec
from meshlab.processes.ports import LOOPBACK

from bench.enrich import wire, workload

_DONE = wire.response(200, b'{"kind": "bigquery#tableDataInsertAllResponse"}')
_UNKNOWN = wire.response(
    404,
    b'{"error": {"code": 404, "message": "insertAll is all there is", "errors": [{"reason": "notFound"}]}}',
)


class Report(TypedDict):
    """What came since the last report.

    Attributes:
        requests: Calls of insertAll, or requests of AppendRows.
        event_ids: The event of each row, in their order.
        mismatched: Rows that hold another user's profile or account, or no profile.
        last_at_s: When the last of them was answered, by the machine's monotonic clock; 0 without one.
    """

    requests: int
    event_ids: list[str]
    mismatched: int
    last_at_s: float


class _Columns(msgspec.Struct):
    event_id: str
    user_id: str
    profile: str
    account: str | None = None


class _Row(msgspec.Struct):
    json: _Columns


class _InsertAll(msgspec.Struct):
    rows: list[_Row]


class _Profile(msgspec.Struct):
    user_id: str


class _Account(msgspec.Struct):
    account_id: str


class Table:
    """Takes rows."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_InsertAll).decode
        self._forget()

    def _forget(self) -> None:
        self._rows: list[_Row] = []
        self._requests = 0
        self._last_at_s = 0.0

    def report(self) -> Report:
        """What came since the last report."""
        seen = Report(
            requests=self._requests,
            event_ids=[row.json.event_id for row in self._rows],
            mismatched=sum(not _is_joined(row.json) for row in self._rows),
            last_at_s=self._last_at_s,
        )
        self._forget()
        return seen

    def answer(self, head: bytes, body: bytes) -> wire.Answer:
        """Answer one request."""
        if b"/insertAll" not in head.partition(b"\r\n")[0]:
            return 0.0, _UNKNOWN
        self.take(self._decode(body).rows)
        return workload.INSERT_S, _DONE

    def take(self, rows: "list[_Row]") -> None:
        """Keep the rows of one request."""
        self._rows += rows
        self._requests += 1
        self._last_at_s = time.monotonic() + workload.INSERT_S


def _is_joined(columns: _Columns) -> bool:
    if msgspec.json.decode(columns.profile, type=_Profile).user_id != columns.user_id:
        return False
    if columns.account is None:
        return True
    account = msgspec.json.decode(columns.account, type=_Account)
    return account.account_id.removeprefix("a-") == columns.user_id.removeprefix("u-")


class WriteApi:
    """AppendRows of default streams: each request is answered after BigQuery's time, whatever else is under way.

    Args:
        table: Takes the rows.
        port: Where to listen, on 127.0.0.1.
    """

    def __init__(self, table: Table, port: int) -> None:
        self._table = table
        self._port = port

    async def start(self) -> object:
        """Start, and return the server."""
        # Loaded only where a contender writes in this way.
        import grpc
        from google.cloud.bigquery_storage_v1 import types

        request, self._response = types.AppendRowsRequest.pb(), types.AppendRowsResponse.pb()
        handler = grpc.stream_stream_rpc_method_handler(
            self._append, request.FromString, self._response.SerializeToString
        )
        server = grpc.aio.server()
        service = "google.cloud.bigquery.storage.v1.BigQueryWrite"
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"AppendRows": handler}),)
        )
        server.add_insecure_port(f"{LOOPBACK}:{self._port}")
        await server.start()
        return server

    async def _append(self, requests: AsyncIterator[Any], context: Any) -> None:
        loop = asyncio.get_running_loop()
        due: asyncio.Queue[float | None] = asyncio.Queue()

        async def answer() -> None:
            while (at_s := await due.get()) is not None:
                await asyncio.sleep(at_s - loop.time())
                await context.write(self._response(append_result={}))

        answering = asyncio.create_task(answer())
        read: Any = None
        async for request in requests:
            rows = request.proto_rows
            if rows.HasField("writer_schema"):
                read = _class_of(rows.writer_schema.proto_descriptor).FromString
            self._table.take([_Row(_columns(read(one))) for one in rows.rows.serialized_rows])
            due.put_nowait(loop.time() + workload.INSERT_S)
        due.put_nowait(None)
        await answering


def _class_of(descriptor: Any) -> Any:
    """Make the class of the rows from the schema that came with them."""
    from google.protobuf import (  # type: ignore[import-untyped]
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    file = descriptor_pb2.FileDescriptorProto(name="row.proto", message_type=[descriptor])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(descriptor.name))


def _columns(row: Any) -> "_Columns":
    return _Columns(row.event_id, row.user_id, row.profile, getattr(row, "account", None))


if __name__ == "__main__":
    table = Table()
    beside = WriteApi(table, int(sys.argv[1])).start if len(sys.argv) > 1 else None
    wire.serve(table.answer, table.report, beside)
