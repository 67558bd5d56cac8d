"""uvloop's event loop that accepts every waiting connection in one turn.

libuv accepts one connection in a turn of its loop since 1.45 (https://github.com/libuv/libuv/pull/3696), and uvloop
builds on it. A turn of a busy process takes milliseconds: each open connection has its request read and its event
worked on. So 1,000 connections that open at once wait 1,000 such turns, which is seconds, while those that are
open already are served again and again. asyncio's own loop accepts as many as wait, and so does this one.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvloop

_MOST_IN_A_TURN = 256
"""How many more connections one turn accepts. Each takes some 30 us, and open connections wait meanwhile."""

_ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class EventLoop(uvloop.Loop):
    """uvloop's loop, whose TCP servers accept every waiting connection."""

    async def create_server(self, protocol_factory: _ProtocolFactory, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as uvloop has it
        """Create a server as `asyncio.AbstractEventLoop.create_server` does.

        Args:
            protocol_factory: Makes the protocol of a connection.
            args: As of the overridden method.
            options: As of the overridden method. With `sock` and without TLS, which is how uvicorn calls it when
                it is given a socket, the server accepts every waiting connection.

        Returns:
            uvloop's server.
        """
        listening = options.get("sock")
        if listening is not None and options.get("ssl") is None:
            protocol_factory = _Acceptor(self, protocol_factory, listening)
        return await super().create_server(protocol_factory, *args, **options)


class _Acceptor:
    """A protocol factory that accepts the other waiting connections whenever uvloop has accepted one.

    Args:
        loop: The loop that serves.
        protocol_factory: Makes the protocol of a connection.
        listening: The listening socket.
    """

    def __init__(self, loop: EventLoop, protocol_factory: _ProtocolFactory, listening: socket.socket) -> None:
        self._loop = loop
        self._protocol_factory = protocol_factory
        self._listening = listening
        self._opening: set[asyncio.Task[Any]] = set()  # the loop itself keeps only a weak reference to a task

    def __call__(self) -> asyncio.BaseProtocol:
        self._accept_others()
        return self._protocol_factory()

    def _accept_others(self) -> None:
        for _ in range(_MOST_IN_A_TURN):
            try:
                connection, _ = self._listening.accept()
            except OSError:  # none waits; or it failed, which uvloop's own next accept meets and reports
                return
            connection.setblocking(False)
            task = self._loop.create_task(
                self._loop.connect_accepted_socket(self._protocol_factory, connection)
            )
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
