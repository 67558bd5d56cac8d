"""Tree of commands, and the end of a run."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from meshpass.cli import _call_command, _doctor_command, _exit, _keys_commands, _token_command, version_line
from meshpass.cli._output import note, register

_HELP = """Call services inside an Istio mesh: the caller's token, a call, what is broken on the way, and signing keys.

Settings come from the environment (GKE_GATEWAY_*, JWT_*, SIGNING_KEY_*), and an option replaces its variable.
With --json the result is one JSON document on stdout, an error too. No command prints a private key.
"""

app = typer.Typer(
    help=_HELP,
    epilog=_exit.HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
register(app, _token_command.token)
register(app, _call_command.call)
register(app, _doctor_command.doctor)
app.add_typer(_keys_commands.app, name="keys", short_help=_keys_commands.SUMMARY)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_line())
        raise typer.Exit


@app.callback()
def root(
    *,
    shows_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the versions of meshpass and Python, and exit.",
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


# typer would show the callback's docstring in place of the app's help.
root.__doc__ = _HELP


def run() -> None:
    """Run the command with the process's arguments."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller's shell, as in `>&-`
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open until the process ends
        elif reconfigure := getattr(stream, "reconfigure", None):
            # Text from the network is printed on a terminal with another encoding, too.
            reconfigure(errors="backslashreplace")
    try:
        try:
            app(prog_name="meshpass")
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        # Not flushed again at the interpreter's end: it would fail as it has failed here.
        sys.stdout = None
        where = f" ({error.filename})" if error.filename else ""
        note(f"meshpass: The output or a file cannot be used: {error.strerror or error}{where}.")
        sys.exit(_exit.Exit.FAILED)
