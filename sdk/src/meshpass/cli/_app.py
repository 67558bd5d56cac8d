"""The command's tree."""

import sys

import typer

from meshpass.cli import _call_command, _doctor_command, _exit, _keys_commands, _token_command

_HELP = f"""Call services inside an Istio mesh: the caller's token, a call, what is broken on the way, and signing keys.

Settings come from the environment (GKE_GATEWAY_*, JWT_*, SIGNING_KEY_*), and an option replaces its variable.
With --json the result is one JSON document on stdout, an error too. No command prints a private key.

{_exit.HELP}
"""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(_token_command.token)
app.command()(_call_command.call)
app.command(epilog=_exit.HELP)(_doctor_command.doctor)
app.add_typer(_keys_commands.app, name="keys")


def run() -> None:
    """Run the command with the process's arguments."""
    try:
        app(prog_name="meshpass")
    except KeyboardInterrupt:
        sys.exit(130)
