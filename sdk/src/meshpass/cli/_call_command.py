"""`meshpass call`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from meshpass._client import Client
from meshpass.cli._exit import Exit
from meshpass.cli._options import (
    CALL_TIMEOUT,
    PATH_VALUES,
    QUERY,
    Given,
    filled_path,
    path_values,
    with_settings,
)
from meshpass.cli._output import note, on_terminal, print_json, reported

if TYPE_CHECKING:
    import httpx


@with_settings
def call(
    *,
    given: Given,
    target: Annotated[
        list[str],
        typer.Argument(
            metavar="[METHOD] PATH",
            help="The method, GET when left out, and a path such as /profile/{user_id}; with --google also the URL of"
            " a service outside the mesh.",
        ),
    ],
    value: PATH_VALUES = None,
    param: QUERY = None,
    body: Annotated[
        typer.FileBinaryRead | None,
        typer.Option(metavar="FILE", help="File to send as the body; - is stdin."),
    ] = None,
    content_type: Annotated[
        str, typer.Option(metavar="TYPE", help="The body's media type.")
    ] = "application/json",
    timeout: CALL_TIMEOUT = 10.0,
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Print status and headers too, on stderr.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print status, headers and body as one JSON document.")
    ] = False,
) -> None:
    """Call the service through the gateway and print its response.

    With --google, a URL such as https://NAME-NUMBER.REGION.run.app/lookup/u-1001 is called as it is, with a Google ID
    token for its origin: a private Cloud Run service or function.
    """
    method, path = _method_and_path(target)
    content = body.read() if body else None
    headers = {"content-type": content_type} if content is not None else None
    with reported(as_json=as_json):
        found = given.destination(path)
        filled = filled_path(found.path, value)
        with Client(
            found.base_url,
            auth=found.auth,
            address=found.address,
            ca_file=found.ca_file,
            timeout_s=timeout,
        ) as client:
            response = client.request(
                method, filled, params=path_values(param or []), headers=headers, content=content
            )
        if as_json:
            print_json(_as_json(response))
        else:
            _print(response, include=include)
    raise typer.Exit(Exit.FAILED if response.status_code >= 400 else Exit.OK)


def _method_and_path(target: list[str]) -> tuple[str, str]:
    if len(target) > 2:
        raise typer.BadParameter("give a method and a path, or a path alone")
    method, path = target if len(target) == 2 else ("GET", target[0])
    return method.upper(), path


def _print(response: "httpx.Response", *, include: bool) -> None:
    if include or response.status_code >= 400:
        note(f"{response.status_code} {response.reason_phrase}")
    if include:
        note("".join(f"{name}: {value}\n" for name, value in response.headers.items()))
    sys.stdout.flush()
    sys.stdout.buffer.write(response.content)
    if on_terminal() and not response.content.endswith(b"\n"):
        typer.echo()
    sys.stdout.flush()


def _as_json(response: "httpx.Response") -> dict[str, object]:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = response.text
    return {"status": response.status_code, "headers": dict(response.headers), "body": body}
