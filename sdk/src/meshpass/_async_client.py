"""The asyncio client."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from meshpass._base_client import BaseClient
from meshpass._call.failures import closed
from meshpass._call.request import Attempt, Call, GetToken, RunHooks, Work, is_callers_own
from meshpass._call.retry import RetryPolicy
from meshpass._call.service import (
    DEADLINE_HEADER,
    DEFAULT_CONNECT_TIMEOUT_S,
    DEFAULT_MAX_RESPONSE_BYTES,
    DEFAULT_TIMEOUT_S,
    ClientOptions,
)
from meshpass._errors import MeshError
from meshpass._frames import seal_call
from meshpass._http.loop_pools import LoopPools
from meshpass._http.time_limit import TimeLimit
from meshpass._tokens.cache import CachedSource

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

    from meshpass._call.fields import Headers
    from meshpass._call.payload import Content, Files, Form
    from meshpass._call.plan import Outcome
    from meshpass._call.query import Params
    from meshpass._call.service import ClientCert, EventHooks
    from meshpass._call.url_text import PathValue
    from meshpass._deadline import Deadline
    from meshpass._http.async_pool import AsyncConnectionPool
    from meshpass._token import Token, TokenSource


# The longest that work holds the event loop, in seconds, but for the slice in hand.
_WORK_S = 0.001


class AsyncClient(BaseClient):
    """Client of one service in the mesh for asyncio code: `await client.get(...)`.

    Connections belong to the event loop that first calls; a client used in several loops keeps some for each.
    Everything else is as in `Client`, and so are the arguments and errors; `aclose` takes the place of `close`. Event
    hooks may be asynchronous functions.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: "TokenSource",
        address: str | None = None,
        ca_file: Path | str | None = None,
        client_cert: "ClientCert | None" = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S,
        attempt_timeout_s: float | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        deadline_header: str | None = DEADLINE_HEADER,
        headers: "Headers | None" = None,
        event_hooks: "EventHooks | None" = None,
    ) -> None:
        options = ClientOptions(
            client_cert=client_cert,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            attempt_timeout_s=attempt_timeout_s,
            retry=RetryPolicy() if retry is None else retry,
            max_response_bytes=max_response_bytes,
            deadline_header=deadline_header,
            headers=headers,
            event_hooks=event_hooks,
        )
        super().__init__(base_url, auth=auth, address=address, ca_file=ca_file, options=options)
        self._pools = LoopPools(self._service)

    _build = __init__

    async def request(
        self,
        method: str,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a request and return the service's own response, whatever its status.

        Args:
            method: The HTTP method, in capitals.
            path_template: The path with placeholders, such as `/profile/{user_id}`; it is put behind the base path.
            params: The query; a sequence makes one pair for each item.
            headers: Further headers; Host and Authorization are the client's own.
            json: A body to send as JSON.
            content: A body to send as it is: text (as UTF-8), bytes, a file, or an iterable of bytes, asynchronous
                or not. An iterable is sent once: such a call is not tried again after its body has begun.
            data: A body to send as a form.
            files: Files to send with the form (multipart/form-data).
            timeout_s: Limit for this call in seconds, token, retries and waits included, or a `Deadline` that
                several calls share; the client's when None.
            idempotent: Whether it may be sent again when it is not known if it was carried out. When None, as the
                method says: GET, HEAD, OPTIONS, TRACE, PUT and DELETE may.
            retry: How to retry this call; as the client does when None. The budget is the client's.
            max_response_bytes: The largest response that is read, before and after decoding; the client's when None.
            path_values: Values for placeholders that have the name of one of these arguments, such as `{json}`.
            values: A value for each placeholder, encoded into exactly one segment.

        Raises:
            InvalidRequest: the call cannot be sent safely as written; nothing was sent.
            SigningKeyError: there is no token, for want of a key.
            RequestRefused: the mesh answered in the service's place.
            UpstreamUnavailable: no working service, or no connection.
            GatewayTLSError: the gateway is not trusted.
            BadResponse: the response is too large, or cannot be decoded.
            MeshTimeout: the time was used up.
        """
        return await self._run(
            Call(
                method,
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    async def get(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a GET; see `request`."""
        return await self._run(
            Call(
                "GET",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    async def head(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a HEAD; see `request`."""
        return await self._run(
            Call(
                "HEAD",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    async def options(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send an OPTIONS; see `request`."""
        return await self._run(
            Call(
                "OPTIONS",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    async def delete(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a DELETE; see `request`."""
        return await self._run(
            Call(
                "DELETE",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    async def post(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a POST; see `request`."""
        return await self._run(
            Call(
                "POST",
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    async def put(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a PUT; see `request`."""
        return await self._run(
            Call(
                "PUT",
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    async def patch(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a PATCH; see `request`."""
        return await self._run(
            Call(
                "PATCH",
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> AsyncIterator["httpx.Response"]:
        """Send a request and give the response while its body still comes in.

        The response has httpx's `aiter_bytes`, `aiter_raw`, `aiter_lines`, `aiter_text` and `aread`.
        The deadline and `max_response_bytes` hold for its body too: iterating raises a `MeshError` where they end it.
        No call is tried again once its response has begun. A response of 300 and above is read whole, and so is a
        body that comes with its head.

        Example:
            async with client.stream("GET", "/export") as response:
                async for chunk in response.aiter_bytes():
                    ...

        Arguments and errors are those of `request`.
        """
        response = await self._run(
            Call(
                method,
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                stream=True,
                max_response_bytes=max_response_bytes,
            )
        )
        try:
            yield response
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close all connections; the client cannot be used any more.

        Connections of other event loops that are still running are closed soon, each in its own loop.
        """
        self._closed = True
        await self._pools.aclose(for_good=True)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        await self.aclose()

    async def _run(self, call: "Call") -> "httpx.Response":
        handled = sys.exception()
        try:
            return await self._carry_out(call)
        except BaseException as error:
            seal_call(error, handled)
            raise

    async def _carry_out(self, call: "Call") -> "httpx.Response":
        from meshpass._call.plan import plan

        pool = self._pools.opened()
        if pool is None:
            pool = await self._open()
        steps = plan(self._client_state(), call)
        try:
            step = next(steps)
            while True:
                outcome: Outcome = None
                failure: MeshError | TimeoutError | None = None
                try:
                    # Most calls are a cached token and one attempt: neither takes a coroutine here.
                    if isinstance(step, Attempt):
                        with TimeLimit(step.left_s()):
                            outcome = await pool.send(step)
                    elif isinstance(step, GetToken):
                        outcome = self._auth.cached() if isinstance(self._auth, CachedSource) else None
                        if outcome is None:
                            async with asyncio.timeout(step.left_s()):
                                outcome = await self._atoken()
                    elif isinstance(step, Work):
                        await _work(step)
                    elif isinstance(step, RunHooks):
                        await _run_hooks(step)
                    else:
                        await asyncio.sleep(step)
                except (MeshError, TimeoutError) as exc:
                    if is_callers_own(step, exc):
                        raise
                    failure = exc
                # Out of the `except` block, so that one error does not hang on the other.
                step = steps.send(outcome) if failure is None else steps.throw(failure)
        except StopIteration as done:
            response: httpx.Response = done.value
            return response
        finally:
            steps.close()
            # An error's traceback holds this frame. With the error in it, only the garbage collector would free both.
            outcome = failure = None

    async def _atoken(self) -> "Token":
        try:
            return await self._auth.atoken()
        except MeshError:
            raise
        except Exception as exc:
            from meshpass._tokens.raw_errors import source_failed

            raise source_failed(exc) from exc

    async def _open(self) -> "AsyncConnectionPool":
        if self._closed:
            raise closed(self._service)
        return await self._pools.get()


async def _work(step: Work) -> None:
    resumed = time.monotonic()
    while not step.advance():
        if time.monotonic() - resumed > _WORK_S:
            await asyncio.sleep(0)
            resumed = time.monotonic()


async def _run_hooks(step: RunHooks) -> None:
    try:
        for hook in step.hooks:
            done = hook(step.argument)
            if isinstance(done, Awaitable):
                await done
    except BaseException:
        await step.aclose()
        raise
