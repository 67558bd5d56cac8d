"""`meshpass call`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshpass._client import Client
from meshpass.cli._exit import Exit
from meshpass.cli._options import Given, path_values, with_settings
from meshpass.cli._output import note, on_terminal, print_json, reported

if TYPE_CHECKING:
    import httpx


@with_settings
def call(
    *,
    given: Given,
    target: Annotated[
        list[str],
        typer.Argument(metavar="[METHOD] PATH", help="GET when left out; a path such as /profile/{user_id}."),
    ],
    value: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of a placeholder in the path.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the query.")] = None,
    body: Annotated[
        typer.FileBinaryRead | None, typer.Option(help="File to send as the body; - is stdin.")
    ] = None,
    content_type: Annotated[str, typer.Option(help="The body's type.")] = "application/json",
    timeout: Annotated[float, typer.Option(help="Limit for the whole call, in seconds.")] = 10.0,
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Print status and headers too, on stderr.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print status, headers and body as one JSON document.")
    ] = False,
) -> None:
    """Call the service through the gateway and print its answer."""
    method, path = _method_and_path(target)
    values: dict[str, Any] = dict(path_values(value or []))
    content = body.read() if body else None
    headers = {"content-type": content_type} if content is not None else None
    with reported(as_json=as_json):
        found = given.settings()
        with Client(
            found.base_url,
            auth=given.token_source(found),
            address=found.address,
            ca_file=found.ca_file,
            timeout_s=timeout,
        ) as client:
            answer = client.request(
                method, path, params=path_values(param or []), headers=headers, content=content, **values
            )
        if as_json:
            print_json(_as_json(answer))
        else:
            _print(answer, include=include)
    raise typer.Exit(Exit.FAILED if answer.status_code >= 400 else Exit.OK)


def _method_and_path(target: list[str]) -> tuple[str, str]:
    if len(target) > 2:
        raise typer.BadParameter("give a method and a path, or a path alone")
    method, path = target if len(target) == 2 else ("GET", target[0])
    return method.upper(), path


def _print(answer: "httpx.Response", *, include: bool) -> None:
    if include or answer.status_code >= 400:
        note(f"{answer.status_code} {answer.reason_phrase}")
    if include:
        note("".join(f"{name}: {value}\n" for name, value in answer.headers.items()))
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.content)
    if on_terminal() and not answer.content.endswith(b"\n"):
        typer.echo()
    sys.stdout.flush()


def _as_json(answer: "httpx.Response") -> dict[str, object]:
    try:
        body = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = answer.text
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": body}
