"""The command `meshlab`: test, init, render, coverage, schema; and the lab with demo, up, run."""

from __future__ import annotations

import os

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of the process."""
    if value := os.environ.get("MESHLAB_LOG"):
        from meshlab import debug_log

        debug_log.enable(value)
    from meshlab.cli._app import run

    run()
