# ruff: noqa: ANN401
"""Many calls at once that are cancelled and timed out at random: each gets its own response, and no place is lost."""

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import meshpass
import pytest
import uvloop
from meshpass._call.service import MAX_CONNECTIONS
from meshpass.testing import FakeClock, FakeGateway, MeshRequest, Reply, ThrowawayKey

from ..conftest import Authority, RawServer  # noqa: TID252 - this folder's parent
from .conftest import Echo

EchoServer = Callable[..., Echo]
_KINDS = ("now", "chunks", "later", "half", "close", "early")
_ONCE = meshpass.RetryPolicy(attempts=1)


def _options(server: Echo, ca: Authority | None, auth: meshpass.TokenSource) -> dict[str, Any]:
    tls = {} if ca is None else {"ca_file": ca.file}
    return {
        "base_url": "http://h.internal" if ca is None else "https://h.internal",
        "address": server.address,
        "auth": auth,
        "timeout_s": 30.0,
        "connect_timeout_s": 30.0,
        **tls,
    }


class _Counts:
    def __init__(self) -> None:
        self.right = self.ended = 0
        self.wrong: list[tuple[str, str]] = []

    def check(self, expected: str, got: str) -> None:
        if expected == got:
            self.right += 1
        else:
            self.wrong.append((expected, got))


@dataclass
class _Request:
    """One call of the storm, and the response that it must get."""

    method: str
    target: str
    content: bytes | None
    limit: dict[str, float]

    @classmethod
    def random(cls, number: int, turn: int, chance: random.Random) -> "_Request":
        # One in six gets no response at all, so that some calls end early on every machine.
        kind = "never" if turn % 6 == 3 else chance.choice(_KINDS)
        limit = {"timeout_s": 0.05} if kind == "never" else {}
        if not limit and chance.random() < 0.2:
            limit = {"timeout_s": chance.choice((0.002, 0.005, 0.02))}
        method = chance.choice(("GET", "POST"))
        content = b"body-of-%d-%d" % (number, turn) if method == "POST" else None
        return cls(method, f"/{kind}/{number}/{turn}", content, limit)

    @property
    def expected(self) -> str:
        # The server that responds early does not echo the body.
        body = None if self.target.startswith("/early") else self.content
        return self.target if body is None else f"{self.target} {body.decode()}"

    def send(self, client: Any) -> Any:
        return client.request(self.method, self.target, content=self.content, **self.limit)


async def _calls_of_a_task(
    client: meshpass.AsyncClient, number: int, chance: random.Random, counts: _Counts
) -> None:
    for turn in range(6):
        request = _Request.random(number, turn, chance)
        limit_s = chance.choice((0.0, 0.001, 0.004, 0.02)) if chance.random() < 0.3 else None
        try:
            async with asyncio.timeout(limit_s):
                response = await request.send(client)
        except (TimeoutError, meshpass.MeshTimeout):
            counts.ended += 1
        else:
            counts.check(request.expected, response.text)


def _calls_of_a_thread(client: meshpass.Client, number: int, counts: _Counts) -> None:
    chance = random.Random(number)
    for turn in range(48):
        request = _Request.random(number, turn, chance)
        try:
            response = request.send(client)
        except meshpass.MeshTimeout:
            counts.ended += 1
        else:
            counts.check(request.expected, response.text)


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_tasks_that_are_cancelled_at_random_take_no_response_of_another_and_no_place(
    echo: EchoServer,
    ca: Authority,
    auth: meshpass.SignedJWT,
    tls: bool,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    server = echo(ca.context("h.internal") if tls else None)
    counts, chance = _Counts(), random.Random(20261129)

    async def scene() -> None:
        async with meshpass.AsyncClient(**_options(server, ca if tls else None, auth)) as client:
            tasks = [
                asyncio.create_task(_calls_of_a_task(client, number, random.Random(number), counts))
                for number in range(250)
            ]
            for task in tasks:
                if chance.random() < 0.2:
                    asyncio.get_running_loop().call_later(chance.random() / 2, task.cancel)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}

            # A place that was lost would keep one of these from the server, and then all of them wait.
            server.gather(MAX_CONNECTIONS)
            together = [client.get("/together/{n}", n=n) for n in range(MAX_CONNECTIONS)]
            assert [r.text for r in await asyncio.gather(*together)] == [
                f"/together/{n}" for n in range(MAX_CONNECTIONS)
            ]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scene())

    assert counts.wrong == []
    assert counts.right > 0
    assert counts.ended > 0
    assert server.wait_until_closed()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_threads_whose_calls_time_out_at_random_take_no_response_of_another_and_no_place(
    echo: EchoServer, ca: Authority, auth: meshpass.SignedJWT, tls: bool
) -> None:
    server, counts = echo(ca.context("h.internal") if tls else None), _Counts()

    with meshpass.Client(**_options(server, ca if tls else None, auth)) as client:
        with ThreadPoolExecutor(16) as threads:
            for done in [threads.submit(_calls_of_a_thread, client, n, counts) for n in range(16)]:
                done.result()
        server.gather(MAX_CONNECTIONS)
        with ThreadPoolExecutor(MAX_CONNECTIONS) as threads:
            together = threads.map(lambda n: client.get("/together/{n}", n=n).text, range(MAX_CONNECTIONS))
            assert list(together) == [f"/together/{n}" for n in range(MAX_CONNECTIONS)]

    assert counts.wrong == []
    assert counts.right > 0
    assert counts.ended > 0
    assert server.wait_until_closed()


def _stall_in_handshake(connection: socket.socket, arrived: threading.Event) -> None:
    connection.recv(1)
    arrived.set()
    while connection.recv(65536):
        pass


def _stall_in_upload(connection: socket.socket, arrived: threading.Event) -> None:
    connection.recv(1)
    arrived.set()
    time.sleep(0.2)  # the buffers of both ends are full for so long
    while connection.recv(1 << 20):
        pass


def _stall_after(response: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def stall(connection: socket.socket, arrived: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(response)
        arrived.set()
        while connection.recv(65536):
            pass

    return stall


_STAGES = {
    "handshake": _stall_in_handshake,
    "upload": _stall_in_upload,
    "no response": _stall_after(b""),
    "head": _stall_after(b"HTTP/1.1 200 OK\r\nx-half: "),
    "body": _stall_after(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
    "chunk": _stall_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha"),
}


@pytest.mark.parametrize("end", ["cancel", "timeout"])
@pytest.mark.parametrize("stage", _STAGES)
def test_a_call_that_is_cancelled_at_any_stage_frees_its_place_and_closes_its_connection(
    auth: meshpass.SignedJWT,
    ca: Authority,
    raw_server: RawServer,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    end: str,
) -> None:
    monkeypatch.setattr("meshpass._http.async_pool.MAX_CONNECTIONS", 1)
    arrived, context = threading.Event(), ca.context("h.internal")

    def serve(connection: socket.socket) -> None:
        if not arrived.is_set() and stage == "handshake":
            _STAGES[stage](connection, arrived)
            return
        with context.wrap_socket(connection, server_side=True) as secure:
            if not arrived.is_set():
                _STAGES[stage](secure, arrived)  # which returns when the client has closed the connection
            elif secure.recv(65536):
                secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async def scene() -> str:
        async with meshpass.AsyncClient(
            "https://h.internal",
            address=raw_server(serve),
            ca_file=ca.file,
            auth=auth,
            timeout_s=60,
            connect_timeout_s=60,
            retry=_ONCE,
        ) as client:
            content = b"x" * 30_000_000 if stage == "upload" else b""
            task = asyncio.create_task(client.request("POST", "/", content=content))
            assert await asyncio.to_thread(arrived.wait, 30)
            if end == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await task
            return (await client.get("/")).text

    assert asyncio.run(scene()) == "ok"


def test_keys_that_rotate_under_sixteen_threads_of_posts_double_none_and_lose_none() -> None:
    clock, executed = FakeClock(), Counter[str]()
    signing, lock, progress = [ThrowawayKey()], threading.Lock(), threading.Condition()
    threads, posts = 16, 40

    def service(request: MeshRequest) -> Reply:
        with progress:
            executed[request.body.decode()] += 1
            progress.notify_all()
        return Reply.json({"done": request.body.decode()})

    def wait_for(number: int) -> None:
        with progress:
            assert progress.wait_for(lambda: executed.total() >= number, 60)

    with FakeGateway(clock=clock) as gateway:
        gateway.service = service
        gateway.trust(signing[0].jwks["keys"])
        auth = meshpass.SignedJWT(gateway.issuer, gateway.audience, lambda: signing[0](), clock=clock)

        def rotate(*, published_first: bool) -> None:
            old, new = signing[0], ThrowawayKey()
            if published_first:
                gateway.trust([*old.jwks["keys"], *new.jwks["keys"]])
            signing[0] = new
            # 400 s end the tokens of the old key while they are under way. After 11 s a refusal has the key read again.
            clock.advance(400 if published_first else 11)
            if published_first:
                wait_for(executed.total() + 20)
            gateway.trust(new.jwks["keys"])

        def post(client: meshpass.Client, thread: int) -> None:
            for number in range(posts):
                name = f"{thread}-{number}"
                response = client.request("POST", "/", content=name.encode())
                with lock:
                    replies.append((name, response.json()["done"]))

        replies: list[tuple[str, str]] = []
        with gateway.client(auth=auth, timeout_s=60) as client, ThreadPoolExecutor(threads) as pool:
            running = [pool.submit(post, client, thread) for thread in range(threads)]
            for at in (60, 160, 260):
                wait_for(at)
                rotate(published_first=True)
            wait_for(400)
            rotate(published_first=False)
            for done in running:
                done.result()
        kids = {request.headers["authorization"] for request in gateway.requests}

    assert len(replies) == threads * posts
    assert all(name == done for name, done in replies)
    assert executed == Counter(dict.fromkeys([name for name, _ in replies], 1))
    assert len(kids) >= 5
