"""One AsyncClient in several event loops, threads and processes."""

import asyncio
import gc
import multiprocessing
import os
import socket
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import meshpass
import pytest
import uvloop
from meshpass._http.endpoint import Endpoint

from .conftest import RawServer, Server

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
_LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


def client_of(auth: meshpass.SignedJWT, server: Server) -> meshpass.AsyncClient:
    return meshpass.AsyncClient("http://h.internal", auth=auth, address=server.address)


def in_child(work: Callable[[], None]) -> int:
    """Do this in a forked child, and return its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads; the server is one
        pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - nothing of the test's own process may go on here
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@_LOOPS
@pytest.mark.parametrize("use", ["call", "close", "neither"])
def test_a_child_leaves_its_parents_connections_alone(
    auth: meshpass.SignedJWT, server: Server, new_loop: LoopFactory, use: str
) -> None:
    server.answer = lambda seen: (200, {}, seen.target.encode())
    client = client_of(auth, server)

    async def calls(who: str) -> None:
        for path in (f"/{who}/{n}" for n in range(5)):
            assert (await client.get(path)).text == path

    async def close() -> None:
        await client.aclose()

    def child() -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            if use == "call":
                runner.run(calls("child"))
            if use != "neither":
                runner.run(close())
            else:
                gc.collect()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(calls("before"))
        opened = server.connections
        codes = [in_child(child) for _ in range(2)]
        added = server.connections - opened
        runner.run(calls("after"))
        runner.run(client.aclose())

    assert codes == [0, 0]
    # The parent's calls went over the connection that it had.
    assert (opened, server.connections) == (1, 1 + added)
    assert added == (2 if use == "call" else 0)


def test_a_child_that_forks_in_a_call_does_not_keep_its_parents_connections_open(
    auth: meshpass.SignedJWT, raw_server: RawServer
) -> None:
    closed = threading.Event()

    def answer(connection: socket.socket) -> None:
        while connection.recv(4096):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        closed.set()

    client = meshpass.AsyncClient("http://h.internal", auth=auth, address=raw_server(answer))
    ready, over = multiprocessing.Pipe()

    def child() -> None:
        asyncio.run(client.aclose())
        over.send(1)
        over.recv()

    with asyncio.Runner() as runner:
        runner.run(client.get("/"))
        waiting = threading.Thread(target=in_child, args=(child,))
        waiting.start()
        assert ready.recv() == 1
        runner.run(client.aclose())

        assert closed.wait(10)  # though the child still runs
    ready.send(1)
    waiting.join()


@_LOOPS
def test_threads_with_loops_of_their_own_share_a_client(
    auth: meshpass.SignedJWT, server: Server, new_loop: LoopFactory
) -> None:
    server.answer = lambda seen: (200, {}, seen.target.encode())
    client = client_of(auth, server)

    def view(number: int) -> None:
        async def call() -> None:
            for path in (f"/{number}/a", f"/{number}/b"):
                assert (await client.get(path)).text == path

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(call())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a loop that ends leaves its connections open
        with ThreadPoolExecutor(16) as threads:
            for done in [threads.submit(view, number) for number in range(200)]:
                done.result()
        asyncio.run(client.aclose())
        # The client held those of the last loops until now. A later test would meet the warnings about them.
        gc.collect()

    assert len(server.seen) == 400


def test_connections_of_loops_that_ended_are_closed(auth: meshpass.SignedJWT, raw_server: RawServer) -> None:
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        while connection.recv(4096):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        ended.set()

    client = meshpass.AsyncClient("http://h.internal", auth=auth, address=raw_server(answer))
    gc.disable()  # which would close them as well, at some time
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            asyncio.run(_get(client))
            asyncio.run(_get(client))
            assert ended.wait(10)
            asyncio.run(client.aclose())
            del client
            gc.collect()
    finally:
        gc.enable()


async def _get(client: meshpass.AsyncClient) -> None:
    assert (await client.get("/")).status_code == 200


@_LOOPS
def test_closing_the_client_closes_the_connections_of_other_loops_too(
    auth: meshpass.SignedJWT, raw_server: RawServer, new_loop: LoopFactory
) -> None:
    arrived, closed = threading.Event(), threading.Event()

    def never_answer(connection: socket.socket) -> None:
        while connection.recv(4096):
            arrived.set()
        closed.set()

    client = meshpass.AsyncClient("http://h.internal", auth=auth, address=raw_server(never_answer))
    errors: list[BaseException] = []

    def call() -> None:
        async def get() -> None:
            with pytest.raises(meshpass.UpstreamUnavailable) as caught:
                await client.request("POST", "/")
            errors.append(caught.value)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(get())

    other = threading.Thread(target=call)
    other.start()
    assert arrived.wait(10)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(client.aclose())
        with pytest.raises(RuntimeError, match="closed"):
            runner.run(client.get("/"))
    other.join(10)

    assert closed.wait(10)
    assert len(errors) == 1


def test_an_endpoint_is_used_by_several_loops_and_opened_again_after_it_was_closed(server: Server) -> None:
    endpoint = Endpoint(
        f"http://{server.address}",
        connect_timeout_s=5,
        max_response_bytes=1000,
        context=lambda: pytest.fail("there is no TLS"),
    )

    async def send() -> int:
        outcome = await endpoint.send("GET", "/", {}, {}, b"", 10)
        assert not isinstance(outcome, meshpass.MeshError)
        return outcome.status

    async def close() -> None:
        await endpoint.aclose()

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    assert [loop.run_until_complete(send()) for loop in (first, second, first)] == [200] * 3
    assert server.connections == 2
    second.run_until_complete(close())
    first.run_until_complete(asyncio.sleep(0))  # its connection is closed when the loop runs again
    assert first.run_until_complete(send()) == 200
    first.run_until_complete(close())
    second.close()
    first.close()
