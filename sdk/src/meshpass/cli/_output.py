"""Output of the command: tables for people, JSON for machines, and never a key.

Only `meshpass token` prints a token. Colours go to a terminal alone, and not with NO_COLOR.
"""

import base64
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from meshpass._errors import MeshError
from meshpass._token import Token
from meshpass.cli._exit import HELP, Exit, exit_code

# Without a terminal there is no width to fit into; a table must not be cut or folded for it.
_WIDTH_IN_A_PIPE = 200


def register(app: typer.Typer, command: Callable[..., None], name: str | None = None) -> None:
    """Add a command whose help names the exit codes, and whose summary in the list of commands is never cut."""
    summary = " ".join((command.__doc__ or "").partition("\n\n")[0].split())
    app.command(name, short_help=summary, epilog=HELP)(command)


def on_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def print_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a plain table; its last column takes what is left of the width."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    # Text is never read as markup, because some of it comes from the network.
    width = None if on_terminal() else _WIDTH_IN_A_PIPE
    Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False).print(table)


def note(text: str) -> None:
    """Print a line for a person on stderr, so that stdout holds only the result."""
    typer.echo(text, err=True)


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Turn the package's own errors into a message and an exit code."""
    try:
        yield
    except MeshError as error:
        if as_json:
            print_json({"error": error_fields(error)})
        else:
            note(f"meshpass: {error}")
        raise typer.Exit(exit_code(error)) from error
    except BrokenPipeError:
        # The reader of the output has closed it.
        sys.stdout = None
        raise typer.Exit(Exit.FAILED) from None


def error_fields(error: MeshError) -> dict[str, object]:
    """Return an error as JSON may hold it."""
    fields: dict[str, object] = {
        "code": error.code,
        "message": str(error.args[0]),
        "hint": error.hint,
        "retryable": error.retryable,
    }
    for name in ("service", "attempts", "status", "detail", "answered_by", "claims", "problems"):
        value = getattr(error, name, None)
        if value:
            fields[name] = value
    return fields


def claims_of(token: Token) -> dict[str, object]:
    """Return a token's claims, its `kid` and algorithm too; the signature is not checked and not returned."""
    try:
        header, payload = (_segment(part) for part in token.value.split(".")[:2])
    except (ValueError, TypeError):
        # Not a JWT. The error is not raised, because it would hold a part of the token.
        return dict(token.claims)
    return {**{name: header[name] for name in ("alg", "kid") if name in header}, **payload}


def shown_claims(claims: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return claims as rows of a table, times in words too."""
    return [(name, _shown(name, value)) for name, value in claims.items()]


def instant(posix_s: float) -> str:
    """Return a time in UTC, to the second."""
    return datetime.fromtimestamp(posix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _shown(name: str, value: object) -> str:
    if name in ("iat", "nbf", "exp") and isinstance(value, int | float):
        return f"{value:.0f}  {instant(value)}"
    return value if isinstance(value, str) else json.dumps(value)


def _segment(part: str) -> dict[str, object]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return dict(value)
