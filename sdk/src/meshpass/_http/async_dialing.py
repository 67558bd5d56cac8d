"""Opening connections for asyncio code, by the schedule of `dialing`."""

import asyncio
import errno
import os
import time
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket
from typing import TYPE_CHECKING, cast

from meshpass._address import is_ip
from meshpass._call.failures import from_connect, is_wrong_name, unreachable
from meshpass._http.async_connection import AsyncConnection
from meshpass._http.dialing import AddressInfo, Schedule, open_socket, share_s
from meshpass._http.tls import certificate_names

if TYPE_CHECKING:
    import ssl

    from meshpass._call.service import Service
    from meshpass._errors import MeshError


async def connect(
    service: "Service", context: "ssl.SSLContext | None", timeout_s: float
) -> "AsyncConnection | MeshError":
    """Open a connection to the service's address, under the service's name, within so many seconds."""
    give_up_at = time.monotonic() + timeout_s
    failures: list[tuple[AddressInfo, OSError]] = []
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await _dial(service, context, give_up_at, failures)
    except OSError as exc:  # TimeoutError is one: ours, or the kernel's
        # What went wrong with TLS says more than that the other addresses could not be reached either.
        address, failure = failures[-1] if failures else (None, exc)
    try:
        if isinstance(failure, TimeoutError) and (limit.expired() or failure.errno is None):
            return unreachable(service, f"no connection within {timeout_s:g} s")
        names: tuple[str, ...] = ()
        if address is not None and is_wrong_name(failure):
            names = await asyncio.get_running_loop().run_in_executor(
                None, certificate_names, service, address, give_up_at
            )
        return from_connect(service, failure, names)
    finally:
        # Their tracebacks hold this frame, and those of asyncio's TLS with the connection, which in turn holds the
        # error that ended it: only the garbage collector would free them.
        for error in (failure, *(error for _, error in failures)):
            error.__traceback__ = None
        failures.clear()
        del failure, error


async def _dial(
    service: "Service",
    context: "ssl.SSLContext | None",
    give_up_at: float,
    failures: list[tuple[AddressInfo, OSError]],
) -> AsyncConnection:
    schedule = Schedule(await _addresses(service))
    while True:
        address, stream = await _race(schedule)
        try:
            if context is None:
                return await _over(service, stream)
            async with asyncio.timeout(share_s(give_up_at - time.monotonic(), schedule.left)):
                return await _over_tls(service, stream, context)
        except OSError as exc:
            failures.append((address, exc))
            if not schedule.left:
                raise


async def _addresses(service: "Service") -> list[AddressInfo]:
    host, port = service.address.host, service.address.port
    if is_ip(host) and "%" not in host:
        return [(AF_INET6, (host, port, 0, 0)) if ":" in host else (AF_INET, (host, port))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def _over(service: "Service", stream: socket) -> AsyncConnection:
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: AsyncConnection(service), sock=stream
        )
    except BaseException:
        stream.close()
        raise
    return connection


async def _over_tls(service: "Service", stream: socket, context: "ssl.SSLContext") -> AsyncConnection:
    """Begin TLS on a connection of our own: so the bytes that were not sent yet can be counted below TLS as well."""
    loop = asyncio.get_running_loop()
    connection = await _over(service, stream)
    try:
        secure = await loop.start_tls(
            connection.tcp, connection, context, server_hostname=service.origin.host
        )
        connection.start_tls(cast("asyncio.Transport", secure))
        # With TLS 1.3 a refused client certificate shows after the handshake: take what is there before sending.
        await asyncio.sleep(0)
    except BaseException:
        connection.close()
        raise
    return connection


async def _race(schedule: Schedule) -> tuple[AddressInfo, socket]:
    """Return the first connection that is made to one of these addresses.

    Raises:
        OSError: no address can be connected to; the last one's error.
    """
    pending: dict[asyncio.Task[socket], AddressInfo] = {}
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    schedule.hurry()
    try:
        while True:
            now = time.monotonic()
            address = schedule.next(now)
            if address is not None and not pending and not schedule.left:
                return address, await _connected(address)
            if address is not None:
                pending[asyncio.create_task(_connected(address))] = address
            due_s = schedule.wait_s(now)
            if not pending and due_s is None:
                raise failure
            done, _ = await asyncio.wait(pending, timeout=due_s, return_when=asyncio.FIRST_COMPLETED)
            winner: tuple[AddressInfo, socket] | None = None
            for task in done:
                address = pending.pop(task)
                error = task.exception()
                if error is None and winner is None:
                    winner = (address, task.result())
                elif error is None:
                    task.result().close()
                elif isinstance(error, OSError):
                    failure = error
                    schedule.hurry()
                else:
                    raise error
            if winner is not None:
                schedule.put_back(pending.values())
                return winner
    finally:
        del failure  # its traceback holds this frame: only the garbage collector would free both
        for task in pending:
            task.add_done_callback(_close_result)
            task.cancel()


async def _connected(address: AddressInfo) -> socket:
    stream = open_socket(address)
    try:
        await asyncio.get_running_loop().sock_connect(stream, address[1])
    except BaseException:
        stream.close()
        raise
    return stream


def _close_result(task: "asyncio.Task[socket]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
