"""The asyncio client."""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from meshpass._base_client import BaseClient
from meshpass._call.request import GetToken, Work
from meshpass._call.service import ClientOptions
from meshpass._errors import MeshError
from meshpass._http.loop_pools import LoopPools
from meshpass._tokens.cache import CachedSource

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

    from meshpass._call.plan import Outcome
    from meshpass._call.request import Attempt, Call
    from meshpass._http.async_pool import AsyncConnectionPool
    from meshpass._token import TokenSource


# The longest that work holds the event loop, in seconds, but for the slice in hand.
_WORK_S = 0.001


class AsyncClient(BaseClient[Coroutine[Any, Any, "httpx.Response"]]):
    """Calls one service in the mesh from asyncio code: `await client.get(...)`.

    Connections belong to the event loop that first calls; a client used in several loops keeps some for each.
    Everything else is as in `Client`, and so are the arguments and errors; `aclose` takes the place of `close`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: "TokenSource",
        address: str | None = None,
        ca_file: Path | str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(base_url, auth=auth, address=address, ca_file=ca_file, **options)
        self._pools = LoopPools(self._service)

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
        from meshpass._call.plan import plan

        pool = await self._open()
        steps = plan(self._client_state(), call)
        try:
            step = next(steps)
            while True:
                outcome, failure = None, None
                try:
                    if isinstance(step, Work):
                        await _work(step)
                    else:
                        outcome = await self._take(step, pool)
                except (MeshError, TimeoutError) as exc:
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

    async def _take(self, step: "GetToken | Attempt | float", pool: "AsyncConnectionPool") -> "Outcome":
        if isinstance(step, float):
            await asyncio.sleep(step)
            return None
        if isinstance(step, GetToken):
            # Most calls take the cached token, and need neither a coroutine nor a timer for it.
            cached = self._auth.cached() if isinstance(self._auth, CachedSource) else None
            if cached is not None:
                return cached
            async with asyncio.timeout(step.left_s()):
                return await self._auth.atoken()
        async with asyncio.timeout(step.left_s()):
            return await pool.send(step)

    async def _open(self) -> "AsyncConnectionPool":
        if self._closed:
            raise RuntimeError("This meshpass.AsyncClient is closed.")
        return await self._pools.get()


async def _work(step: Work) -> None:
    resumed = time.monotonic()
    while not step.advance():
        if time.monotonic() - resumed > _WORK_S:
            await asyncio.sleep(0)
            resumed = time.monotonic()
