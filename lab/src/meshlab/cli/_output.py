"""Output of the commands: every line goes through one function, so that no value reaches the terminal raw."""

from __future__ import annotations

import typer

from meshlab.visible_text import visible

__all__ = ["say"]


def say(text: str, *, err: bool = False, nl: bool = True, keep_tokens: bool = False) -> None:
    """Print a text without control characters and without tokens.

    Args:
        text: Any number of lines.
        err: Print on stderr.
        nl: End with a line end.
        keep_tokens: Whether tokens stay.
    """
    typer.echo(visible(text, keep_tokens=keep_tokens), err=err, nl=nl)
