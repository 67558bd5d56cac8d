"""The command `meshlab`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from meshlab.errors import LabError
from meshlab.lab.project import DEFAULT_OVERLAY, Project
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from meshlab.lab.project_mesh import RunningMesh

_FOLLOW_EVERY_S = 0.2

app = typer.Typer(
    help="The mesh on one laptop: infra/mesh as real Envoy processes, Google's services as local stand-ins.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", help="Top directory of the checkout; found by itself when left out."),
]
_OverlayOption = Annotated[
    str, typer.Option("--overlay", help="An overlay of infra/mesh/overlays, or the directory of one.")
]


@app.command()
def demo(
    events: Annotated[
        Path | None, typer.Option(help="Publish this file, one event a line, instead of the shipped sample.")
    ] = None,
    project: _ProjectOption = None,
    overlay: _OverlayOption = DEFAULT_OVERLAY,
) -> None:
    """Send events through the whole system and show what became of each, and who gets into the mesh.

    Exit code 0 only if no event was lost or doubled and every policy test met its expected fate.
    """
    with _reported():
        from meshlab.demo import show
        from meshlab.demo.run import run_demo

        good = run_demo(Project.find(root=project, overlay=overlay), events, show.console())
    raise typer.Exit(0 if good else 1)


@app.command()
def up(
    env_file: Annotated[
        Path | None, typer.Option(help="Also write the variables here, as KEY=VALUE; deleted on exit.")
    ] = None,
    jwks: Annotated[
        Path | None,
        typer.Option(
            help="Whenever this file changes, trust the public keys in it and no others. Until it is there, the"
            " key in Secret Manager is trusted."
        ),
    ] = None,
    project: _ProjectOption = None,
    overlay: _OverlayOption = DEFAULT_OVERLAY,
) -> None:
    """Start everything, print the environment for clients, and stay up until Ctrl-C."""
    with _reported():
        from meshlab.lab.stack import Lab

        with Lab(Project.find(root=project, overlay=overlay)) as lab:
            variables = "".join(f"{name}={value}\n" for name, value in sorted(lab.environment.items()))
            try:
                if env_file:
                    env_file.write_text(variables)
                typer.echo(variables, nl=False)
                typer.echo(f"# up after {lab.ready_after_s:.2f} s; Ctrl-C ends everything")
                if jwks:
                    _follow(jwks, lab.mesh)
                signal.pause()
            finally:
                if env_file:
                    env_file.unlink(missing_ok=True)


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    project: _ProjectOption = None,
    overlay: _OverlayOption = DEFAULT_OVERLAY,
) -> None:
    """Run a command inside the lab's environment and exit with its exit code; everything ends after it."""
    with _reported():
        from meshlab.lab.stack import Lab

        with Lab(Project.find(root=project, overlay=overlay)) as lab:
            try:
                done = subprocess.run(command, env={**os.environ, **lab.environment}, check=False)  # noqa: S603
            except OSError as error:
                raise LabError(f"cannot run {command[0]}: {error.strerror}") from error
    # A shell's way to pass a signal on: 128 and its number.
    raise typer.Exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


@app.command()
def render(
    workload: Annotated[str, typer.Option(help="The proxy's workload, as NAMESPACE/NAME.")],
    project: _ProjectOption = None,
    overlay: _OverlayOption = DEFAULT_OVERLAY,
) -> None:
    """Print the Envoy configuration that one proxy gets, as JSON.

    Addresses are examples. Certificates and keys are named, not shown: a proxy fetches them over a local socket.
    """
    with _reported():
        from meshlab.lab.project_mesh import render_proxy

        config = render_proxy(Project.find(root=project, overlay=overlay), workload)
    typer.echo(json.dumps(config, indent=2))


def _follow(jwks: Path, mesh: "RunningMesh") -> NoReturn:
    seen = None
    while True:
        content = jwks.read_text() if jwks.is_file() else None
        if content is not None and content != seen:
            seen = content
            try:
                mesh.publish_keys(content)
            except ManifestError as error:
                typer.echo(f"meshlab: {jwks} was not taken: {error}", err=True)
            else:
                typer.echo(f"# the mesh trusts the keys in {jwks}")
        time.sleep(_FOLLOW_EVERY_S)


@contextmanager
def _reported() -> Iterator[None]:
    """Turn the lab's own errors into one message, and signals that end a program into a clean end."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    # A shell starts background jobs with SIGINT ignored, and Python then leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except (LabError, ManifestError) as error:
        typer.echo(f"meshlab: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)
