"""Command that the bench starts: `python -m meshlab.bench.echo TABLE`, where TABLE is a JSON file."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from meshlab.bench.echo.server import EchoServer
from meshlab.bench.echo.server_tls import ServerTls
from meshlab.bench.echo.table import EchoTable


def main(path: Path) -> None:
    """Serve the table until SIGTERM."""
    os.umask(0o077)
    # Handshakes with hostile clients must not print tracebacks into the log of a run.
    threading.excepthook = lambda problem: print(f"connection: {problem.exc_value!r}", file=sys.stderr)  # noqa: T201
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    table = EchoTable.read(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="echo-certificates-") as certificates:
        tls = ServerTls(Path(table.authority), Path(table.trusted), Path(certificates))
        record = os.open(table.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        server = EchoServer(table, tls, record)
        first = table.ports[0].port if table.ports else 0
        print(f"listening 127.0.0.1:{first}", flush=True)  # noqa: T201 - the supervisor reads it
        server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
