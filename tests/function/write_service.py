"""The Storage Write API as a script, in the generated classes of Google's client: what each append is answered."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"


@dataclass(frozen=True)
class Append:
    """One request as it came.

    Args:
        connection: Which connection it came by, from 0.
        stream: The stream's name, of the first request on the connection.
        offset: The offset, None without one.
        rows: The rows, decoded by the writer's schema.
        request: The message.
    """

    connection: int
    stream: str
    offset: int | None
    rows: list[dict[str, Any]]
    request: types.AppendRowsRequest

    @property
    def ids(self) -> list[str]:
        return [row["event_id"] for row in self.rows]


Response = types.AppendRowsResponse | list[bytes] | None
"""An answer; several as bytes, whatever they are; or none."""

Reply = Callable[[Append, grpc.ServicerContext], Response]


@dataclass
class WriteService:
    """What was asked, and what is answered next."""

    address: str = ""
    script: list[Reply] = field(default_factory=list)
    otherwise: Reply | None = None
    appends: list[Append] = field(default_factory=list)
    connections: list[dict[str, str]] = field(default_factory=list)
    streams: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refused_streams: list[grpc.StatusCode] = field(default_factory=list)
    created_s: int = 1_700_000_000
    lock: Lock = field(default_factory=Lock)

    @property
    def written(self) -> list[str]:
        """The ids of the rows that are in the table, once for each time."""
        with self.lock:
            return [row["event_id"] for rows in self.streams.values() for row in rows]

    def keep(self, append: Append) -> types.AppendRowsResponse:
        """Write the rows as BigQuery does."""
        with self.lock:
            rows = self.streams.setdefault(append.stream, [])
            if append.offset is not None and append.offset != len(rows):
                known = append.offset < len(rows)
                code = code_pb2.ALREADY_EXISTS if known else code_pb2.OUT_OF_RANGE
                return error(code, "OFFSET_ALREADY_EXISTS" if known else "OFFSET_OUT_OF_RANGE")
            rows.extend(append.rows)
        return types.AppendRowsResponse(append_result=types.AppendRowsResponse.AppendResult())

    def append_rows(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        with self.lock:
            number = len(self.connections)
            self.connections.append(dict(context.invocation_metadata()))
        stream = ""
        decode: Callable[[bytes], dict[str, Any]] | None = None
        for request in requests:
            if request.write_stream:
                stream = request.write_stream
            schema = request.proto_rows.writer_schema.proto_descriptor
            if schema.field:
                decode = decoder(schema)
            if decode is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first request has no schema")
                raise AssertionError  # abort() has raised
            offset = request.offset if request._pb.HasField("offset") else None
            rows = [decode(row) for row in request.proto_rows.rows.serialized_rows]
            append = Append(number, stream, offset, rows, request)
            with self.lock:
                self.appends.append(append)
                reply = self.script.pop(0) if self.script else self.otherwise
            response = reply(append, context) if reply else self.keep(append)
            if isinstance(response, list):
                yield from response
            elif response is not None:
                yield types.AppendRowsResponse.serialize(response)

    def create(
        self, request: types.CreateWriteStreamRequest, context: grpc.ServicerContext
    ) -> types.WriteStream:
        with self.lock:
            code = self.refused_streams.pop(0) if self.refused_streams else None
            if code is None:
                name = f"{request.parent}/streams/s-{len(self.streams)}"
                self.streams[name] = []
        if code is not None:
            context.abort(code, "no stream")
        return types.WriteStream(name=name, type_=request.write_stream.type_)

    def get(self, request: types.GetWriteStreamRequest, context: grpc.ServicerContext) -> types.WriteStream:
        return types.WriteStream(name=request.name, create_time={"seconds": self.created_s})


def decoder(schema: descriptor_pb2.DescriptorProto) -> Callable[[bytes], dict[str, Any]]:
    """Return what reads rows of a schema, with its own names, and columns without a value left out."""
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="f.proto", syntax="proto2", message_type=[schema])
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name))
    return lambda row: MessageToDict(message.FromString(row), preserving_proto_field_name=True)


def error(code: int, storage: str = "", message: str = "it says so") -> types.AppendRowsResponse:
    """An append that is refused, on a connection that goes on."""
    return types.AppendRowsResponse(error=status(code, storage, message))


def status(code: int, storage: str = "", message: str = "it says so", reason: str = "") -> status_pb2.Status:
    found = status_pb2.Status(code=code, message=message)
    if reason:
        found.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com"))
    if storage:
        named = types.StorageError(
            code=getattr(types.StorageError.StorageErrorCode, storage), error_message=message
        )
        found.details.add().Pack(types.StorageError.pb(named))
    return found


def refusal(code: str, storage: str = "", message: str = "it says so") -> Reply:
    """Refuses one append, and goes on."""
    return lambda *_: error(getattr(code_pb2, code), storage, message)


def end(code: str, storage: str = "", message: str = "it says so", reason: str = "") -> Reply:
    """Ends the connection in place of an answer."""

    def answer(_: Append, context: grpc.ServicerContext) -> None:
        found = status(getattr(code_pb2, code), storage, message, reason)
        context.set_trailing_metadata((("grpc-status-details-bin", found.SerializeToString()),))
        context.abort(grpc.StatusCode[code], message)

    return answer


def row_errors(*found: tuple[int, str], code: str = "FIELDS_ERROR") -> Reply:
    """Refuses the rows of these numbers with these words."""
    errors = [
        types.RowError(index=index, code=getattr(types.RowError.RowErrorCode, code), message=said)
        for index, said in found
    ]
    response = types.AppendRowsResponse(
        error=status(code_pb2.INVALID_ARGUMENT, message="Errors found while processing rows."),
        row_errors=errors,
    )
    return lambda *_: response


@contextlib.contextmanager
def running() -> Iterator[WriteService]:
    """A server of its own."""
    service = WriteService()
    pool = ThreadPoolExecutor(16)
    server = grpc.server(pool, options=[("grpc.max_receive_message_length", 20_000_000)])
    read = types.AppendRowsRequest
    unary = grpc.unary_unary_rpc_method_handler
    handlers = {
        "AppendRows": grpc.stream_stream_rpc_method_handler(service.append_rows, read.deserialize, None),
        "CreateWriteStream": unary(
            service.create, types.CreateWriteStreamRequest.deserialize, types.WriteStream.serialize
        ),
        "GetWriteStream": unary(
            service.get, types.GetWriteStreamRequest.deserialize, types.WriteStream.serialize
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(0).wait()
    pool.shutdown()
