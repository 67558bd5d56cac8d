"""Rows that become visible together: for batches, such as a backfill that must be there as a whole or not at all."""

import asyncio

import meshpass

from enrichment.errors import failure
from enrichment.row import Row
from enrichment.sink.insert_all import ATTEMPT_TIMEOUT_S, AccessTokens, retry_delays_s
from enrichment.sink.insert_all_response import InsertErrors
from enrichment.sink.storage_write.client import Columns, StorageWriteClient, path_of
from enrichment.sink.storage_write.messages import (
    BatchCommitWriteStreamsRequest,
    BatchCommitWriteStreamsResponse,
    FinalizeWriteStreamRequest,
    FinalizeWriteStreamResponse,
    Message,
)
from enrichment.sink.storage_write.responses import LOST, AppendResponse, Step, step_after, storage_code
from enrichment.sink.storage_write.streams import PendingStream
from enrichment.sink.when_to_write import RefusedError


class PendingRows(StorageWriteClient):
    """Appends rows to a pending stream of one table, and commits it. One batch for each object.

    An append that fails may be tried again with the same rows, except where its stream was lost: then `insert` fails
    from there on, nothing of the batch is visible, and the batch starts over with another object.

    Args:
        table: `project.dataset.table`.
        columns: What is written.
        host: As of `StorageWriteClient`.
        tokens: As of `StorageWriteClient`.
    """

    def __init__(
        self, table: str, columns: Columns, host: str | None = None, tokens: AccessTokens | None = None
    ) -> None:
        super().__init__({table: columns}, host=host, tokens=tokens)
        self._table = table
        self._pending: PendingStream | None = None
        self._make_stream = self._make_pending

    async def append(self, rows: list[Row], deadline: meshpass.Deadline) -> InsertErrors:
        """Append rows to the batch. See `RowWriter.insert`."""
        return await self.insert(self._table, rows, deadline)

    async def commit(self, deadline: meshpass.Deadline) -> int:
        """Make all rows visible at once, and return how many there are.

        Args:
            deadline: When it must be over. It may be tried again after a failure.

        Raises:
            EnrichmentError: the batch is not known to be committed.
        """
        name = self._pending.name if self._pending is not None else ""
        if self._pending is not None and self._pending.lost:
            raise self._error(LOST)
        if not name:
            return 0
        finalized = await self._call(
            "FinalizeWriteStream",
            FinalizeWriteStreamRequest(name=name),
            FinalizeWriteStreamResponse,
            f"name={name}",
            deadline,
        )
        parent = path_of(self._table)
        committed = await self._call(
            "BatchCommitWriteStreams",
            BatchCommitWriteStreamsRequest(parent=parent, write_streams=[name]),
            BatchCommitWriteStreamsResponse,
            f"parent={parent}",
            deadline,
        )
        for error in committed.stream_errors:
            code = storage_code(error.code)
            # An attempt whose answer was lost may have committed it: the stream is ours alone.
            if code != "STREAM_ALREADY_COMMITTED":
                raise self._error(AppendResponse("FAILED_PRECONDITION", code))
        return int(finalized.row_count)

    async def _call(
        self,
        method: str,
        request: Message,
        response: type[Message],
        parameters: str,
        deadline: meshpass.Deadline,
    ) -> Message:
        """Make a call, and try again while that may help: each of these may be carried out twice."""
        delays_s = retry_delays_s()
        found: Message | AppendResponse | None = None
        renewed = False
        while (left_s := deadline.left_s()) > 0:
            wait_s = min(ATTEMPT_TIMEOUT_S, left_s)
            found = await self._transport.call(method, request, response, parameters, wait_s)
            if not isinstance(found, AppendResponse):
                return found
            step = step_after(found, replaceable=False)
            if step is Step.NEW_TOKEN and not renewed and not self._transport.no_token:
                renewed = True
                continue
            delay_s = next(delays_s)
            if step is not Step.RETRY or delay_s >= deadline.left_s():
                break
            await asyncio.sleep(delay_s)
        if isinstance(found, AppendResponse):
            raise self._error(found)
        raise failure("bigquery_unavailable", f"no answer for {self._table} in time")

    def _error(self, answer: AppendResponse) -> Exception:
        """Return the error that a call ends with. No smaller call would find out more, as it does of an append."""
        decided = self._decided(answer, self._table)
        return decided.verdict if isinstance(decided, RefusedError) else decided

    def _make_pending(self, table: str, descriptor: bytes, transport: object) -> PendingStream:
        self._pending = PendingStream(table, descriptor, self._transport)
        return self._pending
