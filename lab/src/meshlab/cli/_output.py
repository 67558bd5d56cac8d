"""Output of the commands: every line goes through one function, so that no value reaches the terminal raw."""

from __future__ import annotations

import typer

from meshlab.visible_text import visible

__all__ = ["say"]


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text without control characters.

    Args:
        text: Any number of lines.
        err: Print on stderr.
        nl: End with a line end.
    """
    typer.echo(visible(text), err=err, nl=nl)
