"""The event loop of the function and of `serve`: a connection does not wait for turns of a busy loop."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
import uvloop
from enrichment.drivers.event_loop import EventLoop

_WAITING = 100


class _Counted(asyncio.Protocol):
    """Notes in which turn of the loop each connection is made."""

    def __init__(self, made_in: list[int], turn: list[int]) -> None:
        self._made_in = made_in
        self._turn = turn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made_in.append(self._turn[0])
        transport.close()


async def _turns(waiting: int) -> list[int]:
    """Let connections wait for a server, and return in which turn of the loop each is made."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=waiting))
        for _ in range(waiting):
            stack.enter_context(socket.create_connection(listening.getsockname()))
        turn, made_in = [0], list[int]()
        server = await loop.create_server(lambda: _Counted(made_in, turn), sock=listening)
        while len(made_in) < waiting:
            turn[0] += 1
            await asyncio.sleep(0)
        server.close()
        await server.wait_closed()
        return made_in


def _run(loop: type[uvloop.Loop], waiting: int) -> list[int]:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_turns(waiting))


def test_all_waiting_connections_are_accepted_in_one_turn() -> None:
    made_in = _run(EventLoop, _WAITING)
    # uvloop's own first, the others a turn later, when their tasks run.
    assert made_in[-1] - made_in[0] <= 2


def test_uvloop_itself_still_accepts_one_connection_in_a_turn() -> None:
    """The reason for `EventLoop`. When this fails, uvloop or libuv has changed, and `EventLoop` can go."""
    made_in = _run(uvloop.Loop, _WAITING)
    assert made_in[-1] - made_in[0] >= _WAITING - 1


def test_more_connections_than_one_turn_accepts_are_all_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enrichment.drivers.event_loop._MOST_IN_A_TURN", 10)
    assert len(_run(EventLoop, _WAITING)) == _WAITING


def test_a_server_that_is_closed_listens_no_more() -> None:
    async def close() -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        listening = socket.create_server(("127.0.0.1", 0))
        address: tuple[str, int] = listening.getsockname()
        server = await loop.create_server(asyncio.Protocol, sock=listening)
        socket.create_connection(address).close()
        server.close()
        await server.wait_closed()
        return address

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        address = runner.run(close())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
