"""One call of AppendRows: what it remembers from request to request, and the response to each.

The first request names the stream and brings the writer's schema. Later ones may leave both out, bring another schema,
or name the default stream of another table; then they bring its schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.errors import refused
from meshlab.cloud.bigquery.faults import FaultKind
from meshlab.cloud.bigquery.write_api.errors import (
    Code,
    StorageCode,
    WriteError,
    invalid,
    over_quota,
    unavailable,
    unsupported,
)
from meshlab.cloud.bigquery.write_api.protocol import message
from meshlab.cloud.bigquery.write_api.rows import (
    DEFAULT_VALUE,
    NULL_VALUE,
    Interpretations,
    RowReader,
)
from meshlab.cloud.bigquery.write_api.table_schema import describe
from meshlab.cloud.bigquery.write_api.writer_schema import compile_schema

if TYPE_CHECKING:
    from meshlab.cloud.bigquery.backend import Backend
    from meshlab.cloud.bigquery.catalogue import Table
    from meshlab.cloud.bigquery.faults import InjectedFault
    from meshlab.cloud.bigquery.schema import Schema
    from meshlab.cloud.bigquery.write_api.protocol import Proto
    from meshlab.cloud.bigquery.write_api.streams import Streams, WriteStream

MAX_REQUEST_BYTES = 20 * 1024 * 1024

UNAVAILABLE = "The service is currently unavailable."

_FIELDS_ERROR = 1
_QUOTAS = ("quota_exceeded", "rate_limit_exceeded")


@dataclass(slots=True)
class _Writer:
    """What a call writes now.

    Attributes:
        stream: The name of the stream, as the client gave it.
        descriptor: The serialized descriptor of its rows.
        table: The table that `reader` was made for.
        schema: And its columns.
        reader: Reads the rows.
    """

    stream: str
    descriptor: bytes
    table: Table | None = None
    schema: Schema | None = None
    reader: RowReader | None = None


class AppendCall:
    """One call of AppendRows.

    Args:
        backend: What it writes to.
        streams: The streams.
    """

    def __init__(self, backend: Backend, streams: Streams) -> None:
        self._backend = backend
        self._streams = streams
        self._writer: _Writer | None = None
        self._default_meaning = NULL_VALUE
        self._shown: dict[str, Schema] = {}

    def respond(self, data: bytes) -> Proto:
        """Serve one request.

        Args:
            data: The serialized request.

        Returns:
            The response.

        Raises:
            WriteError: The call is at its end, for this reason.
        """
        request = message("AppendRowsRequest").FromString(data)
        serialized = request.proto_rows.rows.serialized_rows
        self._count(len(serialized))
        fault = self._fault(len(serialized))
        writer = self._switch(request)
        self._check(request, len(data), writer.stream)
        meaning = self._meaning(request, writer.stream)
        stream = self._streams.find(writer.stream)
        response = message("AppendRowsResponse")(write_stream=stream.name)
        self._show_new_schema(stream, response)
        try:
            offset = self._append(stream, writer, request, meaning, fault)
        except WriteError as error:
            if error.ends_call:
                raise
            response.error.CopyFrom(error.status())
            for index, text in error.row_errors.items():
                response.row_errors.add(index=index, code=_FIELDS_ERROR, message=text)
            return response
        if fault.kind in (FaultKind.ANSWER_REPLACED, FaultKind.ANSWER_CUT):
            self._backend.stats.lost_answers += 1
            raise unavailable("The connection is draining.")
        response.append_result.SetInParent()
        if offset is not None:
            response.append_result.offset.value = offset
        return response

    def _count(self, row_count: int) -> None:
        stats = self._backend.stats
        stats.requests += 1
        stats.appends += 1
        stats.rows += row_count

    def _check(self, request: Proto, size: int, stream: str) -> None:
        if size > MAX_REQUEST_BYTES:
            raise invalid(f"AppendRows request too large: {size} limit {MAX_REQUEST_BYTES}", stream)
        if request.HasField("arrow_rows"):
            raise unsupported("rows in Arrow's format")
        if not request.proto_rows.rows.serialized_rows:
            raise invalid("AppendRows request has no rows.", stream)

    def _fault(self, row_count: int) -> InjectedFault:
        plan, stats = self._backend.plan, self._backend.stats
        fault = plan.next(row_count, self._backend.now_s())
        if fault.kind is FaultKind.UNAVAILABLE:
            stats.unavailable += 1
            raise unavailable(UNAVAILABLE)
        if fault.kind is FaultKind.ABORTED:
            stats.aborted += 1
            raise WriteError(Code.ABORTED, "The call was aborted by the service.")
        refusal = plan.faults.refusal
        if refusal and refusal not in _QUOTAS:
            raise WriteError(Code.PERMISSION_DENIED, str(refused(refusal)))
        return fault

    def _switch(self, request: Proto) -> _Writer:
        """Return the writer of a request, which may be another than that of the one before."""
        name, descriptor = request.write_stream, request.proto_rows.writer_schema.proto_descriptor
        before = self._writer
        if before is None:
            if not name:
                raise invalid("The first request of AppendRows must have a write_stream.")
            if not descriptor and not request.HasField("arrow_rows"):
                raise invalid("The first request of AppendRows must have a writer_schema.", name)
        elif name and name != before.stream:
            if not (self._streams.find(name).is_default and self._streams.find(before.stream).is_default):
                raise invalid(
                    f"Only default streams can share a connection; it was opened for {before.stream}.", name
                )
            if not descriptor:
                raise invalid("A request for another stream must have a writer_schema.", name)
        elif not descriptor or descriptor == before.descriptor:
            return before
        writer = _Writer(name or (before.stream if before else ""), descriptor)
        self._writer = writer
        return writer

    def _meaning(self, request: Proto, stream: str) -> Interpretations:
        if request.default_missing_value_interpretation:
            self._default_meaning = request.default_missing_value_interpretation
        by_column = {item.key.lower(): item.value for item in request.missing_value_interpretations}
        for number in (self._default_meaning, *by_column.values()):
            if number not in (NULL_VALUE, DEFAULT_VALUE):
                raise invalid(f"Invalid missing value interpretation: {number}", stream)
        return Interpretations(self._default_meaning, by_column)

    def _append(
        self,
        stream: WriteStream,
        writer: _Writer,
        request: Proto,
        meaning: Interpretations,
        fault: InjectedFault,
    ) -> int | None:
        offset = request.offset.value if request.HasField("offset") else None
        stream.check_appendable(offset)
        if self._backend.plan.faults.refusal in _QUOTAS:
            raise over_quota("AppendRows throughput", stream.name)
        now_s = self._backend.now_s()
        stats = self._backend.stats
        if fault.kind is FaultKind.PARTIAL:
            stats.partial += 1
            raise WriteError(Code.INTERNAL, "Internal error encountered.", stream.name, ends_call=False)
        unknown = now_s - stream.table.created_at_s < self._backend.plan.faults.lag_s
        if unknown and not stream.table.recreated:
            raise WriteError(
                Code.NOT_FOUND, "Requested entity was not found.", stream.name, StorageCode.TABLE_NOT_FOUND
            )
        reader = self._reader(stream, writer)
        rows, changes = reader.read(request.proto_rows.rows.serialized_rows, meaning, stats.requests, now_s)
        if unknown:
            stats.dropped += len(rows)
        else:
            self._streams.follow_schema(stream)
            self._backend.store.append(stream.stored, rows, changes)
            stats.written += len(rows)
        if stream.is_default:
            return None
        stream.rows += len(rows)
        return stream.rows - len(rows)

    def _reader(self, stream: WriteStream, writer: _Writer) -> RowReader:
        """Return what reads the rows; a new one if the table or its columns have changed."""
        table = stream.table
        if writer.reader is None or writer.table is not table or writer.schema is not table.schema:
            decoder = compile_schema(writer.descriptor, table.schema, stream.name)
            writer.reader = RowReader(table, decoder, stream)
            writer.table, writer.schema = table, table.schema
        return writer.reader

    def _show_new_schema(self, stream: WriteStream, response: Proto) -> None:
        """Show once the columns of a table that has others than when the call began to write to it."""
        schema = stream.table.schema
        if self._shown.setdefault(stream.name, schema) is not schema:
            self._shown[stream.name] = schema
            response.updated_schema.CopyFrom(describe(schema))
