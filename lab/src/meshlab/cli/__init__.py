"""The command `meshlab`: test, init, render, coverage, schema; and the lab with demo, up, run."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of the process."""
    from meshlab.cli._app import run

    run()
