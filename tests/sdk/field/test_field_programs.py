"""Programs from the field: greenlets, an address of IPv6, `help()`, and clients that are pickled."""

import asyncio
import copy
import json
import pickle
import pydoc
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import meshpass
import pytest

from ..conftest import Connect, Server  # noqa: TID252 - this folder's parent

_GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent, json, sys
import meshpass
from meshpass.testing import InMemorySource

client = meshpass.Client(
    "http://h.internal", address=sys.argv[1], auth=InMemorySource("a.b.c"), timeout_s=60
)

def call(number):
    if number % 5 == 0:
        try:
            return client.get("/never", timeout_s=0.05).text
        except meshpass.MeshTimeout:
            return "timeout"
    return client.request("POST", "/now/{n}", n=number, content=b"x" * 100_000).text

calls = [gevent.spawn(call, number) for number in range(50)]
gevent.joinall(calls, timeout=120)
print(json.dumps([one.value for one in calls]))
"""


def test_requests_3831_greenlets_share_a_client(server: Server) -> None:
    over = threading.Event()

    def answer(seen: object) -> tuple[int, dict[str, str], bytes]:
        target: str = getattr(seen, "target", "")
        if target == "/never":
            over.wait(60)
        return 200, {}, target.encode()

    server.answer = answer
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _GREENLETS, server.address],
        check=True,
        capture_output=True,
        text=True,
    )
    over.set()

    assert json.loads(ran.stdout) == [
        "timeout" if number % 5 == 0 else f"/now/{number}" for number in range(50)
    ]


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_a_gateway_is_reached_at_an_address_of_ipv6(connect: Connect) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    heads.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

        heads: list[bytes] = []
        thread = threading.Thread(target=serve)
        thread.start()
        client = connect("http://h.internal", address=f"[::1]:{listener.getsockname()[1]}")
        assert client.get("/").text == "ok"
        thread.join()

    assert b"\r\nhost: h.internal\r\n" in heads[0]


@pytest.mark.parametrize("kind", [meshpass.Client, meshpass.AsyncClient])
def test_help_shows_signatures_without_names_of_the_implementation(kind: type) -> None:
    shown = pydoc.plain(pydoc.render_doc(kind))

    assert "+Result" not in shown
    assert "<class '" not in shown
    for verb in ("get", "post", "put", "patch", "delete", "head", "options", "request"):
        # Python 3.13 writes a long signature with a line for each parameter.
        assert re.search(rf"\n \|  (async )?{verb}\([\s|]*self,[\s|]*(path_template|method)\b", shown)


@pytest.mark.parametrize("leak", [pickle.dumps, copy.deepcopy])
@pytest.mark.parametrize("kind", [meshpass.Client, meshpass.AsyncClient])
def test_a_client_is_not_copied_with_its_source_of_tokens(
    auth: meshpass.SignedJWT, kind: Callable[..., object], leak: Callable[[object], object]
) -> None:
    client = kind("http://h.internal", address="127.0.0.1:1", auth=auth)

    with pytest.raises(TypeError, match=r"pickle|copied"):
        leak(client)


def test_a_loop_that_runs_one_call_after_the_other_keeps_one_connection(
    server: Server, auth: meshpass.SignedJWT
) -> None:
    client = meshpass.AsyncClient("http://h.internal", address=server.address, auth=auth)

    with asyncio.Runner() as runner:

        async def call() -> int:
            return (await client.request("POST", "/")).status_code

        assert [runner.run(call()) for _ in range(5)] == [200] * 5
        runner.run(client.aclose())

    assert server.connections == 1
