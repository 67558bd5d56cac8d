"""The server that every client calls: one small answer, as fast as asyncio can give it, from its own process.

It answers as a workload behind Envoy does, so that meshpass takes the way it takes in the mesh. It parses nothing: the
less it needs of the second CPU, the less it stands in a client's way.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from meshlab.processes.ports import LOOPBACK
from meshlab.processes.supervisor import Supervisor

BODY = b'{"user_id": "u-1001", "plan": "pro", "country": "NL", "segments": ["early", "beta"], "score": 0.87}'
HOST = "user-profile.internal"
PATH = "/profile/u-1001"

_ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: application/json\r\n"
    b"content-length: %d\r\n"
    b"server: istio-envoy\r\n"
    b"x-envoy-upstream-service-time: 1\r\n"
    b"\r\n%b"
) % (len(BODY), BODY)
_END_OF_REQUEST = b"\r\n\r\n"


@contextmanager
def running(delay_ms: int = 0) -> Iterator[str]:
    """Run the server in a process of its own.

    Args:
        delay_ms: How long it takes over each answer, as a service does that has work to do.

    Yields:
        Its address, `127.0.0.1:PORT`.
    """
    with Supervisor() as supervisor:
        child = supervisor.spawn("server", [sys.executable, "-m", "bench.server", str(delay_ms)])
        yield f"{LOOPBACK}:{child.listening_port()}"


class _Connection(asyncio.Protocol):
    """Answers each request without a body on one connection."""

    def __init__(self, delay_ms: int) -> None:
        self._delay_s = delay_ms / 1000
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._unread = (self._unread + data).split(_END_OF_REQUEST)
        answers = _ANSWER * len(whole)
        if self._delay_s and answers:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, answers)
        elif answers:
            self._transport.write(answers)


async def _serve(delay_ms: int) -> None:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    server = await loop.create_server(partial(_Connection, delay_ms), LOOPBACK, 0, backlog=256)
    print(f"listening {LOOPBACK}:{server.sockets[0].getsockname()[1]}", flush=True)
    await end.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
