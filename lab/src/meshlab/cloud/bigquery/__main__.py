"""Run the BigQuery fake until a signal ends it.

The line `listening 127.0.0.1:PORT` names the port of the REST API. The Storage Write API has the port that
`--write-port` names, or none. It answers a moment later: what it needs is loaded only then, so that the REST API does
not wait for it.
"""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from pathlib import Path

from meshlab.cloud import serving
from meshlab.cloud.bigquery.app import create_app
from meshlab.cloud.bigquery.backend import Backend

_WRITE_SERVER = "meshlab.cloud.bigquery.write_api.server"


def main() -> None:
    """Parse the command line and serve."""
    parser = serving.argument_parser("meshlab.cloud.bigquery", "BigQuery fake")
    parser.add_argument(
        "--write-port",
        type=int,
        metavar="N",
        help="port of the Storage Write API on 127.0.0.1; none by default",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        help="where rows are paged to that do not fit into memory; deleted at the end",
    )
    arguments = parser.parse_args()
    serving.hold_signals()  # before DuckDB starts its threads
    backend = Backend(time.time, arguments.directory)

    async def start_write_api() -> None:
        # The import goes on in another thread, while requests are answered here.
        module = await asyncio.to_thread(import_module, _WRITE_SERVER)
        await module.WriteServer(backend).start(arguments.write_port)

    serving.serve(
        create_app(backend),
        arguments.port,
        beside=None if arguments.write_port is None else start_write_api,
        tidy_up=backend.store.delete_files,
    )


if __name__ == "__main__":
    main()
