"""Output of the commands: every line goes through one function, so that no value reaches the terminal raw."""

from __future__ import annotations

import typer

from meshlab.visible_text import visible, without_log_commands

__all__ = ["say"]


def say(text: str, *, err: bool = False, nl: bool = True, keep_tokens: bool = False) -> None:
    """Print a text without control characters, without tokens, and without commands to a CI system that reads the log.

    Args:
        text: Any number of lines.
        err: Print on stderr.
        nl: End with a line end.
        keep_tokens: Whether the text is for a program, so that tokens and all other words stay as they are.
    """
    seen = visible(text, keep_tokens=keep_tokens)
    typer.echo(seen if keep_tokens else without_log_commands(seen), err=err, nl=nl)
