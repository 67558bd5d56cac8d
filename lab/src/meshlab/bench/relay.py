"""Relay for connections that must end at the address that a client asked for.

Addresses of a cluster do not exist on this machine. A proxy that lets a connection pass to its original destination
sends it here, with a PROXY header in front that names the destination; the relay connects to what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

from meshlab.processes.ports import connect_from

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from meshlab.istio.envoy.placement import Address

__all__ = ["Relay", "read_proxy_header"]

_LONGEST_HEADER = 107  # bytes, by the specification of the PROXY protocol
_CHUNK = 65536  # bytes


class Relay:
    """The relay in a thread of its own. Use it as a context manager.

    Args:
        address: Where it listens.
        destination: Returns where an IP address and port of the cluster are on this machine; `None` for nowhere, so
            that the connection is closed.
    """

    def __init__(self, address: Address, destination: Callable[[str, int], Address | None]) -> None:
        self._address = address
        self._destination = destination
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay")
        self._server: asyncio.Server | None = None
        self._onward: dict[str, tuple[str, str]] = {}

    def onward(self, client: str) -> tuple[str, str] | None:
        """Return where a connection was passed on to.

        Args:
            client: The client's address on the connection, as `HOST:PORT`.

        Returns:
            The address behind the relay, and the relay's own address on the way there, empty where nothing listened;
            `None` for a connection that the relay does not know.
        """
        return self._onward.get(client)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        listening = asyncio.start_server(self._serve, self._address.host, self._address.port)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # The server of asyncio reports a cancelled connection as an error, so the end of the relay stays here.
            with contextlib.suppress(
                OSError, ValueError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                found = self._destination(*read_proxy_header(await reader.readuntil(b"\r\n")))
                if found is not None:
                    client = "{}:{}".format(*writer.get_extra_info("peername")[:2])
                    self._onward[client] = (str(found), "")
                    await self._connect(client, found, reader, writer)
        except asyncio.CancelledError:
            # Cancelled by `_close` alone. Python 3.11 would print a cancelled handler's traceback on stderr.
            return
        finally:
            writer.close()

    async def _connect(
        self, client: str, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # What listens there knows the client by the address that it connects from.
        back, forth = await _connection(address, client.rpartition(":")[0])
        self._onward[client] = (str(address), "{}:{}".format(*forth.get_extra_info("sockname")[:2]))
        try:
            await asyncio.gather(_copy(reader, forth), _copy(back, writer))
        finally:
            forth.close()


def read_proxy_header(line: bytes) -> tuple[str, int]:
    """Return the destination in a PROXY header of version 1.

    Raises:
        ValueError: It is none.
    """
    parts = line.decode("ascii").split()
    if len(line) > _LONGEST_HEADER or len(parts) != 6 or parts[0] != "PROXY":
        raise ValueError(f"{line!r} is no PROXY header.")
    return parts[3], int(parts[5])


async def _connection(address: Address, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = socket.socket()
    try:
        sock.setblocking(False)
        connect_from(sock, source)
        await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
        return await asyncio.open_connection(sock=sock)
    except BaseException:
        sock.close()
        raise


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
