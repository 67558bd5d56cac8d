"""Connection pools of one asyncio client: one for each event loop, in each process.

A client may be used by several event loops in several threads, and by processes that were forked from each other. A
connection belongs to the loop that opened it, and a child must touch neither its parent's connections nor the epoll
that it shares with it.
"""

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from meshpass._call.failures import closed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from meshpass._call.service import Service
    from meshpass._http.async_pool import AsyncConnectionPool
    from meshpass._http.tls import TLSContext

# What a parent process opened. It is kept, because closing its transports would touch the parent's epoll.
_left_behind: "list[AsyncConnectionPool]" = []


class _Pools:
    """The pools of one process."""

    __slots__ = ("by_loop", "closed", "lock", "tls")

    def __init__(self) -> None:
        self.by_loop: dict[asyncio.AbstractEventLoop, AsyncConnectionPool] = {}
        self.lock = threading.Lock()
        self.tls: TLSContext | None = None
        self.closed = False


class LoopPools:
    """The connection pools of one client.

    Args:
        service: What to call and where to dial.
        make_context: Returns the TLS context to use, for https://; it is called once, in a thread. When None, the
            service says which CAs to trust.
    """

    def __init__(
        self, service: "Service", make_context: "Callable[[], ssl.SSLContext] | None" = None
    ) -> None:
        self._service = service
        self._make_context = make_context
        # One entry: the process that it was last used in.
        self._by_process: dict[int, _Pools] = {}

    def opened(self) -> "AsyncConnectionPool | None":
        """Return the pool of the running event loop, if it is there already."""
        pools = self._by_process.get(os.getpid())
        return None if pools is None else pools.by_loop.get(asyncio.get_running_loop())

    async def get(self) -> "AsyncConnectionPool":
        """Return the pool of the running event loop.

        Raises:
            ConfigurationError: the files of CAs or of our certificate cannot be used.
            ClientClosed: the pools were closed for good.
        """
        pool = self.opened()
        if pool is not None:
            return pool
        loop = asyncio.get_running_loop()
        pools = self._of_this_process()
        if pools.tls is None:
            # In a thread: to read the system's CAs takes tens of milliseconds.
            https = self._service.origin.scheme == "https"
            tls = await loop.run_in_executor(None, self._make_tls) if https else self._make_tls()
            pools.tls = pools.tls or tls
        from meshpass._http.async_pool import AsyncConnectionPool

        with pools.lock:
            if pools.closed:
                raise closed(self._service)
            for ended in [known for known in pools.by_loop if known.is_closed()]:
                pools.by_loop.pop(ended).close_from_outside()
            pool = pools.by_loop.get(loop)
            if pool is None:
                pool = pools.by_loop[loop] = AsyncConnectionPool(self._service, pools.tls)
        return pool

    async def aclose(self, *, for_good: bool) -> None:
        """Close all connections; those of other event loops soon, in their own threads.

        Args:
            for_good: Whether no pool may be opened any more.
        """
        pools = self._of_this_process()
        with pools.lock:
            pools.closed = for_good
            found, pools.by_loop = pools.by_loop, {}
        here = found.pop(asyncio.get_running_loop(), None)
        for pool in found.values():
            pool.close_from_outside()
        if here is not None:
            await here.aclose()

    def _of_this_process(self) -> _Pools:
        pid = os.getpid()
        pools = self._by_process.setdefault(pid, _Pools())
        for other in [known for known in list(self._by_process) if known != pid]:
            left = self._by_process.pop(other, None)
            for pool in list(left.by_loop.values()) if left is not None else []:
                _left_behind.append(pool)
                pool.leave()
        return pools

    def _make_tls(self) -> "TLSContext":
        from meshpass._http.tls import TLSContext

        make = self._make_context if self._service.origin.scheme == "https" else None
        return TLSContext(self._service, None if make is None else make())
