"""BigQuery on this machine: the REST API v2 and the Storage Write API, on DuckDB, behind the official clients.

Point the client at it with `BIGQUERY_EMULATOR_HOST=http://127.0.0.1:PORT`. It offers datasets, tables, streaming
inserts with the service's per-row errors and insertId de-duplication, table reads, SELECT queries, and views made
by CREATE VIEW. Whatever else the service has is refused with an error that says so. Nothing is downloaded and no
credentials are asked for.

The Storage Write API is gRPC, on a port of its own and on the same tables: `meshlab.cloud.bigquery.write_api` says what
it has. Google's client reads no variable for it. The lab's name for its address is
`BIGQUERY_WRITE_EMULATOR_HOST=127.0.0.1:PORT`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Hosts", "running", "running_both"]


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where both APIs listen.

    Attributes:
        rest: The value for `BIGQUERY_EMULATOR_HOST`, as `http://127.0.0.1:PORT`.
        write: The value for `BIGQUERY_WRITE_EMULATOR_HOST`, as `127.0.0.1:PORT`.
    """

    rest: str
    write: str


@contextlib.contextmanager
def running(now_s: Callable[[], float] | None = None) -> Iterator[str]:
    """Serve the REST API of an empty BigQuery from a thread of this process, for as long as the block runs.

    Args:
        now_s: The clock, in seconds since the epoch; the system's if none is given.

    Yields:
        The value for `BIGQUERY_EMULATOR_HOST`, as `http://127.0.0.1:PORT`.
    """
    import time

    from meshlab.cloud.bigquery.app import create_app
    from meshlab.cloud.bigquery.backend import Backend
    from meshlab.cloud.serving import serving

    with (
        contextlib.closing(Backend(now_s or time.time)) as backend,
        serving(create_app(backend)) as address,
    ):
        yield f"http://{address}"


@contextlib.contextmanager
def running_both(
    now_s: Callable[[], float] | None = None, *, max_connections: int | None = None
) -> Iterator[Hosts]:
    """Serve both APIs of an empty BigQuery from a thread of this process, for as long as the block runs.

    Args:
        now_s: The clock, in seconds since the epoch; the system's if none is given.
        max_connections: How many calls of AppendRows may be open at once; as many as the service allows if none is
            given.

    Yields:
        Where they listen.
    """
    import asyncio
    import time

    from meshlab.cloud.bigquery.app import create_app
    from meshlab.cloud.bigquery.backend import Backend
    from meshlab.cloud.bigquery.write_api.server import MAX_CONNECTIONS, WriteServer
    from meshlab.cloud.serving import serving

    with contextlib.closing(Backend(now_s or time.time)) as backend:
        server = WriteServer(backend, max_connections or MAX_CONNECTIONS)
        ports = []
        loops = []

        async def beside() -> None:
            loops.append(asyncio.get_running_loop())
            ports.append(await server.start())

        with serving(create_app(backend), beside=beside) as address:
            try:
                yield Hosts(f"http://{address}", f"127.0.0.1:{ports[0]}")
            finally:
                asyncio.run_coroutine_threadsafe(server.stop(), loops[0]).result()
