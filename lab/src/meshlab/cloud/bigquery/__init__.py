"""BigQuery on this machine: the REST API v2, on DuckDB in memory, behind the official client.

Point the client at it with `BIGQUERY_EMULATOR_HOST=http://127.0.0.1:PORT`. It offers datasets, tables, streaming
inserts with the service's per-row errors and insertId de-duplication, table reads, SELECT queries, and views made
by CREATE VIEW. Whatever else the service has is refused with an error that says so. Nothing is downloaded and no
credentials are asked for.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["running"]


@contextlib.contextmanager
def running(now_s: Callable[[], float] | None = None) -> Iterator[str]:
    """Serve an empty BigQuery from a thread of this process, for as long as the block runs.

    Args:
        now_s: The clock, in seconds since the epoch; the system's if none is given.

    Yields:
        The value for `BIGQUERY_EMULATOR_HOST`, as `http://127.0.0.1:PORT`.
    """
    import time

    from meshlab.cloud.bigquery.app import create_app
    from meshlab.cloud.serving import serving

    with serving(create_app(now_s or time.time)) as address:
        yield f"http://{address}"
