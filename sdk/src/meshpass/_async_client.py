"""The asyncio client."""

import asyncio
import weakref
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from meshpass._base_client import BaseClient
from meshpass._call.request import GetToken
from meshpass._call.service import ClientOptions
from meshpass._errors import MeshError
from meshpass._tokens.cache import CachedSource

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

    from meshpass._call.plan import Outcome, Step
    from meshpass._call.request import Call
    from meshpass._http.async_pool import AsyncTransport
    from meshpass._token import TokenSource


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
        self._transports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncTransport]
        self._transports = weakref.WeakKeyDictionary()

    async def aclose(self) -> None:
        """Close all connections; the client cannot be used any more."""
        self._closed = True
        transports, self._transports = list(self._transports.values()), weakref.WeakKeyDictionary()
        for transport in transports:
            await transport.aclose()

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

        transport = await self._open()
        steps = plan(self._at_home(), call)
        try:
            step = next(steps)
            while True:
                outcome, failure = None, None
                try:
                    outcome = await self._take(step, transport)
                except (MeshError, TimeoutError) as exc:
                    failure = exc
                # Out of the `except` block, so that one error does not hang on the other.
                step = steps.send(outcome) if failure is None else steps.throw(failure)
        except StopIteration as done:
            response: httpx.Response = done.value
            return response
        finally:
            steps.close()

    async def _take(self, step: "Step", transport: "AsyncTransport") -> "Outcome":
        if isinstance(step, float):
            await asyncio.sleep(step)
            return None
        if isinstance(step, GetToken):
            # Most calls take the cached token, and need neither a coroutine nor a timer for it.
            kept = self._auth.kept() if isinstance(self._auth, CachedSource) else None
            if kept is not None:
                return kept
            async with asyncio.timeout(step.left_s()):
                return await self._auth.atoken()
        async with asyncio.timeout(step.left_s()):
            return await transport.send(step)

    async def _open(self) -> "AsyncTransport":
        from meshpass._http.async_pool import AsyncTransport

        if self._closed:
            raise RuntimeError("This meshpass.AsyncClient is closed.")
        loop = asyncio.get_running_loop()
        transport = self._transports.get(loop)
        if transport is None:
            for ended in [known for known in self._transports if known.is_closed()]:
                await self._transports.pop(ended).aclose()
            transport = self._transports[loop] = AsyncTransport(self._service)
        return transport
