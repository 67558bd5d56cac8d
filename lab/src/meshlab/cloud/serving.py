"""Start, announcement and end of a fake process, the same for all fakes.

A fake binds 127.0.0.1, prints one line `listening 127.0.0.1:PORT` once it answers, and ends with
status 0 on SIGTERM or SIGINT. It keeps no state beyond its end, so it has nothing to put in order but files of its
own: work in flight is dropped, as it would be by a crash.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from pathlib import Path

    import uvicorn

    AsgiApp = Callable[..., Awaitable[None]]

HOST = "127.0.0.1"
_ENDING = (signal.SIGTERM, signal.SIGINT)


def argument_parser(program: str, description: str) -> argparse.ArgumentParser:
    """Give the command line every fake has: `--port N`, 0 for a free one."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1; 0 takes a free one")
    return parser


def bind(port: int) -> socket.socket:
    """Bind a listening TCP socket to 127.0.0.1.

    Args:
        port: Port number; 0 takes a free one.

    Raises:
        SystemExit: The port cannot be had; says which and why.
    """
    # asyncio turns Nagle's algorithm off only on sockets that name their protocol; with it on, a reply whose
    # head and body go out apart waits some 40 ms for the client's delayed acknowledgement.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise SystemExit(
            f"Cannot listen on {HOST}:{port}: {error.strerror}. Choose another --port."
        ) from error
    sock.listen(1024)
    return sock


def announce(port: int) -> None:
    """Say on stdout, in the one line a parent process waits for, that the fake answers."""
    sys.stdout.write(f"listening {HOST}:{port}\n")
    sys.stdout.flush()


def hold_signals() -> None:
    """Let SIGTERM and SIGINT wait for `end_on_signals`, in this thread and in those that it starts.

    For a fake whose libraries start threads before it serves: a signal that came to one of these would not end it as
    it should.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def end_on_signals(tidy_up: Callable[[], object] | None = None) -> None:
    """End the process at once, with status 0, on SIGTERM and SIGINT.

    Call it before other threads start: the signals stay blocked in them too, and one thread waits for them. A
    handler would run in the main thread alone, and that misses a signal that comes between its last look for
    signals and the moment at which it begins to wait.

    Args:
        tidy_up: Called just before the end, in the thread that waits for signals.
    """
    hold_signals()
    threading.Thread(target=_end_on_signal, args=[tidy_up], name="signals", daemon=True).start()


def serve(
    app: AsgiApp,
    port: int,
    *,
    certificate: tuple[Path, Path] | None = None,
    beside: Callable[[], Coroutine[Any, Any, object]] | None = None,
    tidy_up: Callable[[], object] | None = None,
) -> None:
    """Serve an ASGI application on 127.0.0.1 until a signal ends the process.

    Args:
        app: The application.
        port: Port number; 0 takes a free one.
        certificate: PEM files of the certificate's chain and its key, for TLS.
        beside: Starts what is served on the same event loop, once the application answers. The process ends if it
            fails.
        tidy_up: Called just before a signal ends the process, in another thread.
    """
    sock = bind(port)
    # The server's own handlers, which would wait for idle connections to close, never see the signals.
    end_on_signals(tidy_up)

    def ready() -> None:
        announce(sock.getsockname()[1])
        if beside:
            started = asyncio.get_running_loop().create_task(beside())
            started.add_done_callback(_end_if_failed)

    _server(app, ready, certificate).run([sock])


@contextlib.contextmanager
def serving(
    app: AsgiApp, *, beside: Callable[[], Coroutine[Any, Any, object]] | None = None
) -> Iterator[str]:
    """Serve an ASGI application from a thread of this process, for as long as the block runs.

    Args:
        app: The application.
        beside: Starts what is served on the same event loop. The block begins when it has.

    Yields:
        The address, as `127.0.0.1:PORT`.
    """
    sock = bind(0)
    ready = threading.Event()
    tasks = []

    def started() -> None:
        if beside is None:
            ready.set()
            return
        tasks.append(asyncio.get_running_loop().create_task(beside()))
        tasks[0].add_done_callback(lambda _: ready.set())

    server = _server(app, started)
    thread = threading.Thread(target=server.run, args=[[sock]], daemon=True)
    thread.start()
    ready.wait()
    try:
        for task in tasks:
            task.result()
        yield f"{HOST}:{sock.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


def _server(
    app: AsgiApp, ready: Callable[[], object], certificate: tuple[Path, Path] | None = None
) -> uvicorn.Server:
    """Make a server that calls `ready` once it answers."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    chain, key = certificate or (None, None)
    # Clients keep a connection for longer than uvicorn's five seconds, and would find it closed under them.
    return Server(
        uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=3600,
            ssl_certfile=chain,
            ssl_keyfile=key,
        )
    )


def _end_on_signal(tidy_up: Callable[[], object] | None) -> None:
    signal.sigwait(_ENDING)
    if tidy_up:
        tidy_up()
    os._exit(0)


def _end_if_failed(started: asyncio.Task[object]) -> None:
    if not started.cancelled() and (error := started.exception()):
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port number; use 0 to 65535")
    return port
