"""The gRPC edge of the Storage Write API: methods by name, errors as statuses, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from meshlab.cloud.bigquery.write_api.appends import MAX_REQUEST_BYTES, UNAVAILABLE, AppendCall
from meshlab.cloud.bigquery.write_api.errors import WriteError, over_quota, unavailable, unsupported
from meshlab.cloud.bigquery.write_api.protocol import PACKAGE, message
from meshlab.cloud.bigquery.write_api.service import WriteService
from meshlab.cloud.bigquery.write_api.streams import Streams
from meshlab.cloud.grpc_serving import Grpc, listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from meshlab.cloud.bigquery.backend import Backend
    from meshlab.cloud.bigquery.write_api.protocol import Proto

MAX_CONNECTIONS = 1000
"""Of a project in a region that is not a large one: https://cloud.google.com/bigquery/quotas#write-api-limits."""

_SERVICE = f"/{PACKAGE}.BigQueryWrite/"
# Requests that were read ahead of the one that is carried out.
_READ_AHEAD = 100


class WriteServer:
    """The Storage Write API on 127.0.0.1.

    Args:
        backend: What it works on.
        max_connections: How many calls of AppendRows may be open at once.
    """

    def __init__(self, backend: Backend, max_connections: int = MAX_CONNECTIONS) -> None:
        self._backend = backend
        self._streams = Streams(backend)
        self._max_connections = max_connections
        self._connections = 0
        self._grpc: Grpc = None

    async def start(self, port: int = 0) -> int:
        """Begin to serve, on the running event loop, and return the port.

        Args:
            port: The port to listen on, or 0 for a free one.

        Raises:
            RuntimeError: The port is taken.
        """
        self._grpc, bound = await listen(self._methods(), _refuse, port, 2 * MAX_REQUEST_BYTES)
        return bound

    async def stop(self) -> None:
        """End at once; what is in flight is dropped."""
        await self._grpc.stop(None)

    def _methods(self) -> dict[str, Grpc]:
        service = WriteService(self._streams)
        unary: dict[str, Callable[[Proto], Proto]] = {
            "CreateWriteStream": service.create_write_stream,
            "GetWriteStream": service.get_write_stream,
            "FinalizeWriteStream": service.finalize_write_stream,
            "FlushRows": service.flush_rows,
            "BatchCommitWriteStreams": service.batch_commit_write_streams,
        }
        handlers = {_SERVICE + name: self._unary(name, method) for name, method in unary.items()}
        handlers[_SERVICE + "AppendRows"] = grpc.stream_stream_rpc_method_handler(self._append_rows)
        return handlers

    def _unary(self, name: str, method: Callable[[Proto], Proto]) -> Grpc:
        backend = self._backend

        def carry_out(request: Proto) -> Proto:
            if backend.plan.is_unavailable(backend.now_s()):
                raise unavailable(UNAVAILABLE)
            return method(request)

        async def call(request: Proto, context: Grpc) -> bytes:
            try:
                response = await asyncio.get_running_loop().run_in_executor(
                    backend.worker, carry_out, request
                )
                return bytes(response.SerializeToString())
            except WriteError as error:
                await _abort(context, error)
            except Exception as error:  # noqa: BLE001 - an unknown error would be tried again
                await _abort(context, _failure(name, error))
            raise AssertionError  # an abort raises

        return grpc.unary_unary_rpc_method_handler(call, message(_request_of(name)).FromString)

    async def _append_rows(self, requests: AsyncIterator[bytes], context: Grpc) -> AsyncIterator[bytes]:
        if self._connections >= self._max_connections:
            await _abort(context, over_quota("Concurrent connections"))
        self._connections += 1
        call = AppendCall(self._backend, self._streams)
        came: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(_READ_AHEAD)
        reader = asyncio.create_task(_read(requests, came))
        try:
            while (item := await came.get()) is not None:
                came_at_s, data = item
                await _wait_until(came_at_s + self._backend.plan.faults.delay_s)
                yield bytes(call.respond(data).SerializeToString())
        except WriteError as error:
            await _abort(context, error)
        except Exception as error:  # noqa: BLE001 - an unknown error would be tried again
            await _abort(context, _failure("AppendRows", error))
        finally:
            self._connections -= 1
            reader.cancel()


async def _refuse(method: str, context: Grpc) -> None:
    await _abort(context, unsupported(method))


async def _read(requests: AsyncIterator[bytes], into: asyncio.Queue[tuple[float, bytes] | None]) -> None:
    """Read requests as they come, and note when: a delay of each is no delay of those behind it."""
    now_s = asyncio.get_running_loop().time
    with contextlib.suppress(grpc.RpcError, grpc.aio.AbortError):
        async for data in requests:
            await into.put((now_s(), data))
    await into.put(None)


async def _wait_until(moment_s: float) -> None:
    left_s = moment_s - asyncio.get_running_loop().time()
    if left_s > 0:
        await asyncio.sleep(left_s)


async def _abort(context: Grpc, error: WriteError) -> None:
    details = (("grpc-status-details-bin", error.status().SerializeToString()),)
    await context.abort(grpc.StatusCode[error.code.name], str(error), details)


def _request_of(method: str) -> str:
    return f"{method}Request"


def _failure(method: str, error: Exception) -> WriteError:
    sys.stderr.write(f"{method} failed: {error!r}\n")
    return unsupported(f"this request: it failed with {type(error).__name__}")
