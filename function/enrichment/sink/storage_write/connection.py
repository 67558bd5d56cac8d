"""One AppendRows call: appends go out one after the other, and answers come in the same order."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import grpc
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from grpc import aio
from msgspec import structs

from enrichment.sink.insert_all import ATTEMPT_TIMEOUT_S, UPLOAD_BYTES_PER_S
from enrichment.sink.storage_write.messages import SERVICE, Message, Status
from enrichment.sink.storage_write.responses import (
    NO_ANSWER,
    UNREADABLE,
    AppendResponse,
    read_response,
    read_status,
)

MAX_IDLE_S = 60.0
"""How long a connection may have been unused, in seconds. The next append on one that was idle for minutes fails with
UNKNOWN (https://github.com/googleapis/google-cloud-python/issues/15237), and an instance between two requests has no
processor time to notice."""

MAX_AGE_S = 600.0
"""How long one connection takes appends, in seconds: well within the life of the access token that opened it."""

Metadata = tuple[tuple[str, str], ...]


class _Waiting(NamedTuple):
    """An append that was sent.

    Args:
        answer: Where its answer goes.
        hung_at_s: When the connection counts as hung if there is none, in seconds of the clock.
    """

    answer: "asyncio.Future[AppendResponse]"
    hung_at_s: float


class Connection:
    """A connection to one stream, of one event loop. It fails as a whole, and never comes back.

    Args:
        call: The AppendRows call, just made.
        metadata: What it was made with.
        clock: Seconds that only grow.
    """

    def __init__(
        self, call: aio.StreamStreamCall, metadata: Metadata, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._call = call
        self.metadata = metadata
        self._clock = clock
        self._opened_s = self._used_s = clock()
        self._waiting: deque[_Waiting] = deque()
        self._turn = asyncio.Lock()
        self._end: AppendResponse | None = None
        self._retired = False
        self._reader = asyncio.get_running_loop().create_task(self._read())
        self.carried_schema = False
        self.kept = False

    @property
    def usable(self) -> bool:
        """Whether the next append may go here."""
        if self._end is not None or self._retired or self.hung:
            return False
        now_s = self._clock()
        idle = not self._waiting and now_s - self._used_s > MAX_IDLE_S
        return not idle and now_s - self._opened_s <= MAX_AGE_S

    @property
    def closed(self) -> bool:
        """Whether the call is over."""
        return self._end is not None

    @property
    def hung(self) -> bool:
        """Whether an append had no answer for longer than an attempt may take."""
        return bool(self._waiting) and self._clock() > self._waiting[0].hung_at_s

    async def append(self, make_request: Callable[[bool], bytes], wait_s: float) -> AppendResponse:
        """Send rows and wait for their answer.

        Args:
            make_request: Gives the request, with the schema if it is the first one of the connection.
            wait_s: How long it may take, in seconds. Without an answer by then it is not known what became of them.
        """
        answer: asyncio.Future[AppendResponse] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(wait_s):
                async with self._turn:  # gRPC sends one message at a time
                    if self._end is not None:
                        return self._end
                    first, self.carried_schema = not self.carried_schema, True
                    request = make_request(first)
                    patience_s = ATTEMPT_TIMEOUT_S + len(request) / UPLOAD_BYTES_PER_S
                    self._waiting.append(_Waiting(answer, self._clock() + patience_s))
                    await self._write(request)
                return await answer
        except TimeoutError:
            return NO_ANSWER

    async def _write(self, request: bytes) -> None:
        """Send one message. Where the call is over nothing is sent, and the reader finds out why."""
        try:
            await self._call.write(request)
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # this task, and not the call
                # Whether the message went out is unknown. Without it the answers would be one ahead of the appends.
                self._retired = True
                self._call.cancel()
                raise

    async def retire(self) -> None:
        """Take no more appends, and end once those under way have their answers."""
        self._retired = True
        try:
            async with self._turn:
                await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass

    async def aclose(self) -> None:
        """Break off. Appends under way end without an answer."""
        self._retired = True
        self._call.cancel()
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        end = AppendResponse("UNAVAILABLE", message="the connection was closed", answered=False)
        try:
            while (response := await self._call.read()) is not aio.EOF:
                self._used_s = self._clock()
                self.kept = True
                answer = read_response(response)
                if answer is UNREADABLE or not self._waiting:
                    # Answers are matched to appends by their order alone, and that is lost.
                    self._call.cancel()
                    end = UNREADABLE
                    return
                _resolve(self._waiting.popleft(), answer)
            end = await _ended(self._call) or end
        except grpc.RpcError as error:
            end = _failed(error)
        except asyncio.CancelledError:  # of the call: gRPC raises it in place of an error
            end = AppendResponse("CANCELLED", message="the connection was broken off", answered=False)
        finally:
            self._end = end
            while self._waiting:
                _resolve(self._waiting.popleft(), end)


def open_call(channel: aio.Channel, metadata: Metadata) -> aio.StreamStreamCall:
    """Start an AppendRows call. Nothing is waited for: the first append meets what is wrong with it."""
    method = channel.stream_stream(
        SERVICE + "AppendRows", request_serializer=None, response_deserializer=None
    )
    return method(metadata=metadata)


async def unary(
    channel: aio.Channel,
    method: str,
    request: Message,
    response: type[Message],
    metadata: Metadata,
    timeout_s: float,
) -> Message | AppendResponse:
    """Make one call and return its response, or an `Answer` that says why there is none.

    An error is returned and not raised, because its frames hold the access token.
    """
    call = channel.unary_unary(
        SERVICE + method, request_serializer=type(request).SerializeToString, response_deserializer=None
    )
    try:
        return response.FromString(await call(request, timeout=timeout_s, metadata=metadata))
    except grpc.RpcError as error:
        return _failed(error)
    except DecodeError:
        return UNREADABLE


def _resolve(waiting: _Waiting, answer: AppendResponse) -> None:
    if not waiting.answer.done():  # its append may have run out of time
        waiting.answer.set_result(answer)


async def _ended(call: aio.StreamStreamCall) -> AppendResponse | None:
    """Return why a call ended that the server closed; None where it gave no error."""
    code = await call.code()
    if code is grpc.StatusCode.OK:
        return None
    return _answer(code, await call.details(), await call.trailing_metadata())


def _failed(error: grpc.RpcError) -> AppendResponse:
    if not isinstance(error, aio.AioRpcError):
        return AppendResponse("UNKNOWN", message=type(error).__name__, answered=False)
    return _answer(error.code(), error.details(), error.trailing_metadata())


def _answer(code: grpc.StatusCode, details: str | None, trailing: aio.Metadata | None) -> AppendResponse:
    for name, value in trailing or ():
        if name == "grpc-status-details-bin":
            try:
                found = read_status(Status.FromString(value), answered=False)
            except (DecodeError, TypeError):  # the code and the message are left
                break
            # The details are no reason to take another code than that of the call.
            return structs.replace(found, code=code.name)
    return AppendResponse(code.name, message=details or "", answered=False)
