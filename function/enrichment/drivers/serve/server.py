"""uvicorn's server in this process: its listening socket, its limits and its drain."""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
import uvicorn

from enrichment.closing import close_all
from enrichment.drivers.event_loop import EventLoop
from enrichment.drivers.http_connection import HttpConnection

if TYPE_CHECKING:
    from enrichment.drivers.serve.application import LookupApplication, PushApplication

_BACKLOG = 2048
"""Most connections that wait to be accepted; the kernel's somaxconn bounds it as well."""

_OPEN_FILES = 65_536

_KEEP_ALIVE_S = 620
"""How long an open connection may be idle, in seconds. Google's load balancers keep one open for 600
(https://cloud.google.com/load-balancing/docs/https#timeouts_and_retries): a server that closes one first would lose the
request that is just being sent on it."""

_REQUEST_S = 60.0
"""How long a request may take to arrive, in seconds."""

_ANSWERS_S = 1.0
"""How long the answers to requests that the drain cut off may take to go out, in seconds."""

_SWEEP_S = 0.1
"""How often the drain closes connections that are idle, in seconds."""

_TICKS_PER_S = 10  # of uvicorn's main loop


class Address(msgspec.Struct, frozen=True):
    """Where to listen.

    Args:
        host: An address or a name; `::` for all addresses of both families.
        port: The port; 0 for a free one.
    """

    host: str
    port: int


def listen(address: Address) -> socket.socket:
    """Listen for connections.

    Args:
        address: Where.

    Raises:
        OSError: It is no address of this machine, the port is taken, or is not allowed.
    """
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except UnicodeError:  # of a label that is empty or too long
        raise OSError("it is no name of a host") from None
    family, *_, place = found[0]
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server(place, family=family, backlog=_BACKLOG, dualstack_ipv6=both)


def allow_connections() -> None:
    """Let this process have as many open files as it may: a connection is one, and shells start with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def serve(
    application: "PushApplication | LookupApplication",
    listening: socket.socket,
    drain_s: float,
    report: Callable[[str], None],
    closing: Sequence[Callable[[], Awaitable[None]]] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, and then until what is under way has ended.

    Args:
        application: Answers requests.
        listening: The listening socket.
        drain_s: How long requests may take to end after the signal, in seconds. Those that take longer are answered
            503, so that Pub/Sub delivers again.
        report: Writes a line about the process.
        closing: Closes the connections of what answers, once no request is under way.
    """
    config = uvicorn.Config(
        cast("Any", application),  # uvicorn's own types of ASGI, which are no public ones
        http=HttpConnection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",  # a client's bad request is no line, as it is none of the function's
        access_log=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    server = _Server(config, drain_s, report)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(_serve(server, listening, closing))


async def _serve(
    server: "_Server", listening: socket.socket, closing: Sequence[Callable[[], Awaitable[None]]]
) -> None:
    try:
        await server.serve(sockets=[listening])
    finally:
        await close_all(closing)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, drain_s: float, report: Callable[[str], None]) -> None:
        super().__init__(config)
        self._drain_s = drain_s
        self._report = report

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal. uvicorn would raise the signal once more in the end, and so end with an error."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def on_tick(self, counter: int) -> bool:
        """Close slow connections once a second; return whether to stop."""
        if counter % _TICKS_PER_S == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                cast("HttpConnection", connection).close_if_slow(now, _REQUEST_S)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, let what is under way end, and cut off what takes too long."""
        now = asyncio.get_running_loop().time
        began = now()
        draining = asyncio.create_task(super().shutdown(sockets))
        while not draining.done() and (left_s := self._drain_s - (now() - began)) > 0:
            await asyncio.wait([draining], timeout=min(_SWEEP_S, left_s))
            # uvicorn does so once. A connection that was just being accepted then would stay open.
            for connection in list(self.server_state.connections):
                connection.shutdown()
        late = list(self.server_state.tasks)  # also after a second Ctrl-C, which ends uvicorn's wait
        if late:
            self._report(
                f"serve: {len(late)} requests had not ended {now() - began:.0f} s after the signal; they are answered "
                "503, and Pub/Sub delivers again"
            )
            for task in late:
                task.cancel()
        await asyncio.wait([draining, *late], timeout=_ANSWERS_S)
        for connection in list(self.server_state.connections):  # whose client does not take its answer
            cast("HttpConnection", connection).abort()
        draining.cancel()
