"""Memory of a failed call, and of a closed connection, which is freed at once and not when the collector runs."""

import asyncio
import gc
import socket
import time
import traceback
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType

import meshpass
import pytest
import uvloop
from meshpass._call.service import ClientOptions
from meshpass._http import async_connection

from .conftest import Answer, Authority, Seen, Server

_URL = "http://user-profile.internal"
_MESH = {"server": "istio-envoy"}
_SDK = str(Path(meshpass.__file__).parent)


class _Failing:
    """A source that has no token."""

    def token(self) -> meshpass.Token:
        raise meshpass.SigningKeyError("There is no key.")

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None:
        """There is none."""


def _is_of_the_sdk(one: object) -> bool:
    match one:
        case FrameType():
            return one.f_code.co_filename.startswith(_SDK)
        case TracebackType():
            return any(_is_of_the_sdk(frame) for frame, _ in traceback.walk_tb(one))
        case BaseException():
            return isinstance(one, meshpass.MeshError) or _is_of_the_sdk(one.__traceback__)
    return False


@contextmanager
def _garbage() -> Iterator[list[str]]:
    """What of the calls inside is left to the collector. A connection of asyncio's own loop always is.

    A fake of another test may run in a thread of this process and leave garbage of its own, so only what the SDK's code
    takes part in counts.
    """
    found: list[str] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += [type(one).__name__ for one in gc.garbage if _is_of_the_sdk(one)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _left_by_a_failed_call(
    kind: str, auth: meshpass.TokenSource, address: str, timeout_s: float = 10
) -> list[str]:
    options = ClientOptions(timeout_s=timeout_s, retry=meshpass.RetryPolicy(attempts=1))
    if kind == "sync":
        with meshpass.Client(_URL, auth=auth, address=address, **options) as client:
            with suppress(meshpass.MeshError):
                client.get("/")  # loads what is loaded once
            with _garbage() as found:
                try:
                    client.get("/")
                except meshpass.MeshError:
                    return found
        pytest.fail("the call did not fail")

    async def scene() -> list[
        str
    ]:  # which catches the error itself: asyncio.Runner would keep it in a cycle of its own
        async with meshpass.AsyncClient(_URL, auth=auth, address=address, **options) as client:
            with suppress(meshpass.MeshError):
                await client.get("/")
            with _garbage() as found:
                try:
                    await client.get("/")
                except meshpass.MeshError:
                    return found
        pytest.fail("the call did not fail")

    return asyncio.run(scene())


def _slow(_: Seen) -> Answer:
    time.sleep(1)
    return 200, {}, b"{}"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: (403, _MESH, b"RBAC: access denied"), id="refused"),
        pytest.param(lambda _: (401, _MESH, b"Jwt is missing"), id="token refused"),
        pytest.param(lambda _: (503, _MESH, b"no healthy upstream"), id="unavailable"),
        pytest.param(_slow, id="timeout"),
    ],
)
def test_a_call_without_a_good_answer_leaves_nothing_to_the_collector(
    kind: str, answer: Callable[[Seen], Answer], server: Server, auth: meshpass.SignedJWT
) -> None:
    server.answer = answer
    timeout_s = 0.1 if answer is _slow else 10
    assert _left_by_a_failed_call(kind, auth, server.address, timeout_s) == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_call_without_a_connection_leaves_nothing_to_the_collector(
    kind: str, auth: meshpass.SignedJWT
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    assert _left_by_a_failed_call(kind, auth, address) == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_call_without_a_token_leaves_nothing_to_the_collector(kind: str, server: Server) -> None:
    assert _left_by_a_failed_call(kind, _Failing(), server.address) == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_source_without_a_token_leaves_nothing_to_the_collector(kind: str) -> None:
    def no_key() -> bytes:
        raise OSError("there is no key")

    async def failing() -> list[str]:
        with _garbage() as found:
            try:
                await meshpass.SignedJWT("i", "garbage", no_key).atoken()
            except meshpass.SigningKeyError:
                return found
        pytest.fail("there was a token")

    def failing_now() -> list[str]:
        with _garbage() as found:
            try:
                meshpass.SignedJWT("i", "garbage", no_key).token()
            except meshpass.SigningKeyError:
                return found
        pytest.fail("there was a token")

    for _ in range(2):  # the first loads what is loaded once
        found = failing_now() if kind == "sync" else asyncio.run(failing())
    assert found == []


def test_what_is_left_of_other_code_does_not_count() -> None:
    def leave(code: Callable[[], object]) -> None:
        try:
            code()
        except (ArithmeticError, meshpass.MeshError) as error:
            error.args = (error,)  # a cycle, which only the collector frees

    with _garbage() as found:
        leave(lambda: 1 // 0)
    assert found == []
    with _garbage() as found:
        leave(lambda: meshpass.SignedJWT("i", "garbage", lambda: b"no key").token())
    assert "SigningKeyError" in found


_LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
# By name, for each loop has classes of its own.
_OF_TLS = {"AsyncConnection", "SSLProtocol", "_SSLProtocolTransport"}


def _of_tls() -> list[object]:
    return [one for one in gc.get_objects() if type(one).__name__ in _OF_TLS]


async def _tls_left(before: Collection[object], expected: int = 0) -> list[str]:
    """Return what exists of TLS connections that did not before, once it is of so many or has had the time to be."""
    known = {id(one) for one in before}
    for _ in range(10):  # the loop ends a connection in a few turns
        await asyncio.sleep(0.01)
        left = sorted(type(one).__name__ for one in _of_tls() if id(one) not in known)
        if len(left) <= expected * len(_OF_TLS):
            break
    return left


@_LOOPS
def test_a_connection_that_grew_old_is_freed_without_the_collector(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    auth: meshpass.SignedJWT,
    serve: Callable[..., Server],
    ca: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(async_connection, "KEEPALIVE_S", 0)
    server = serve(ca.context("user-profile.internal"))

    async def scene() -> list[str]:
        before = _of_tls()
        client = meshpass.AsyncClient(
            "https://user-profile.internal", auth=auth, address=server.address, ca_file=ca.file
        )
        async with client:
            for _ in range(5):
                await client.get("/")
            return await _tls_left(before, expected=1)

    assert _without_collector(scene, new_loop) == sorted(_OF_TLS)
    assert server.connections == 5


@_LOOPS
@pytest.mark.parametrize("end", ["by the client", "by the server", "after a timeout", "without trust"])
def test_a_closed_connection_is_freed_without_the_collector(
    end: str,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    auth: meshpass.SignedJWT,
    serve: Callable[..., Server],
    ca: Authority,
) -> None:
    server = serve(ca.context("user-profile.internal"))
    if end == "by the server":
        server.answer = lambda _: (200, {"connection": "close"}, b"{}")
    elif end == "after a timeout":
        server.answer = _slow
    timeout_s = 0.1 if end == "after a timeout" else 10
    ca_file = None if end == "without trust" else ca.file

    async def scene() -> list[str]:
        before = _of_tls()
        client = meshpass.AsyncClient(
            "https://user-profile.internal",
            auth=auth,
            address=server.address,
            ca_file=ca_file,
            timeout_s=timeout_s,
            retry=meshpass.RetryPolicy(attempts=1),
        )
        async with client:
            with suppress(meshpass.MeshError):
                await client.get("/")
        return await _tls_left(before)

    assert _without_collector(scene, new_loop) == []
    assert server.connections


def _without_collector(
    scene: Callable[[], Coroutine[None, None, list[str]]], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> list[str]:
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(scene())
    finally:
        gc.enable()
