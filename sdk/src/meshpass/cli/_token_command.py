"""`meshpass token`."""

from typing import Annotated

import typer

from meshpass.cli._options import Given, with_settings
from meshpass.cli._output import claims_of, note, on_terminal, print_json, print_table, reported, shown_claims


@with_settings
def token(
    *,
    given: Given,
    show: Annotated[bool, typer.Option("--show", help="Print the token itself, on a terminal too.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the claims as JSON; with --show the token too.")
    ] = False,
) -> None:
    """Print the caller's token into a pipe, or its claims on a terminal.

    A token is a secret until it expires, so that a terminal shows its claims alone. An example of a pipe:

    curl -H "Authorization: Bearer $(meshpass token)" ...
    """
    with reported(as_json=as_json):
        made = given.token_source(given.settings()).token()
    claims = claims_of(made)
    if as_json:
        secret = {"token": made.value} if show else {}
        print_json({"source": made.source, "expires_at": made.expires_at, "claims": claims, **secret})
    elif show or not on_terminal():
        typer.echo(made.value)
    else:
        print_table(("claim", "value"), shown_claims(claims))
        note(f"From {made.source}. --show prints the token itself.")
