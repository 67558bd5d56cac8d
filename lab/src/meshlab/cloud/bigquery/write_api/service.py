"""The methods of BigQueryWrite, but for AppendRows: a request in, a response out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.write_api.protocol import message, timestamp
from meshlab.cloud.bigquery.write_api.stream_names import parse_table
from meshlab.cloud.bigquery.write_api.streams import StreamType
from meshlab.cloud.bigquery.write_api.table_schema import describe

if TYPE_CHECKING:
    from meshlab.cloud.bigquery.write_api.protocol import Proto
    from meshlab.cloud.bigquery.write_api.streams import Streams, WriteStream

_INSERT = 1
_FULL_VIEW = 2
_LOCATION = "us"


class WriteService:
    """The methods.

    Args:
        streams: The streams.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def create_write_stream(self, request: Proto) -> Proto:
        """Answer CreateWriteStream."""
        stream = self._streams.create(parse_table(request.parent), request.write_stream.type)
        return _resource(stream, full=True)

    def get_write_stream(self, request: Proto) -> Proto:
        """Answer GetWriteStream."""
        return _resource(self._streams.find(request.name), full=request.view == _FULL_VIEW)

    def finalize_write_stream(self, request: Proto) -> Proto:
        """Answer FinalizeWriteStream."""
        rows = self._streams.finalize(self._streams.find(request.name))
        return message("FinalizeWriteStreamResponse")(row_count=rows)

    def flush_rows(self, request: Proto) -> Proto:
        """Answer FlushRows."""
        offset = request.offset.value if request.HasField("offset") else None
        flushed = self._streams.flush(self._streams.find(request.write_stream), offset)
        return message("FlushRowsResponse")(offset=flushed)

    def batch_commit_write_streams(self, request: Proto) -> Proto:
        """Answer BatchCommitWriteStreams."""
        committed_at_s, errors = self._streams.commit(parse_table(request.parent), request.write_streams)
        response = message("BatchCommitWriteStreamsResponse")()
        response.stream_errors.extend(error.storage_error() for error in errors)
        if committed_at_s is not None:
            response.commit_time.CopyFrom(timestamp(committed_at_s))
        return response


def _resource(stream: WriteStream, *, full: bool) -> Proto:
    resource = message("WriteStream")(
        name=stream.name,
        type=stream.type,
        create_time=timestamp(stream.created_at_s),
        write_mode=_INSERT,
        location=_LOCATION,
    )
    shown_at_s = stream.created_at_s if stream.type is StreamType.COMMITTED else stream.committed_at_s
    if shown_at_s is not None:
        resource.commit_time.CopyFrom(timestamp(shown_at_s))
    if full:
        resource.table_schema.CopyFrom(describe(stream.table.schema))
    return resource
