"""`meshlab demo`, `up` and `run`: this project's own lab. Its packages come with `meshlab[lab]`."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from meshlab.cli._errors import reported
from meshlab.cli._exit import Exit
from meshlab.cli._output import say
from meshlab.errors import LabError
from meshlab.lab.project import Project

if TYPE_CHECKING:
    from meshlab.lab.project_mesh import ProjectMesh

__all__ = ["demo", "run", "up"]

_LAB_PACKAGES = (
    "aiohttp", "duckdb", "google", "google_crc32c", "grpc", "meshcontract", "sqlglot", "starlette", "uvicorn", "yarl",
)  # fmt: skip
_FOLLOW_EVERY_S = 0.2
_TAKEN_NAMES = ("data", "ordering_key", "retry", "timeout", "topic")
"""Parameters of the official client's `publish`, which takes attributes as keyword arguments."""

_ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help="Top directory of a checkout; without it, the one that the working directory is in.",
        show_default=False,
    ),
]
_OverlayOption = Annotated[
    str | None,
    typer.Option(
        "--overlay",
        metavar="NAME",
        help="An overlay of infra/mesh/overlays, or the directory of one; without it, keyless where the contract has"
        " MESH_AUTH=google-id-token, else example.",
        show_default=False,
    ),
]


class _Mesh(StrEnum):
    """What a demo shows."""

    EVENTS = "events"
    EGRESS = "egress"
    LAMBDA_BRIDGE = "lambda-bridge"
    LOOKUP_ACCESS = "lookup-access"


class _Pod(StrEnum):
    """A pod outside the mesh, as `meshlab.lab.lookup_access` names it."""

    INVOKER = "invoker"
    STRANGER = "stranger"
    UNLINKED = "unlinked"


def demo(
    mesh: Annotated[
        _Mesh,
        typer.Argument(
            help="events: events through the function into the mesh; egress: who gets out of it, step by step;"
            " lambda-bridge: who reaches AWS Lambda; lookup-access: who may call the private function."
        ),
    ] = _Mesh.EVENTS,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Publish these events, a JSON array or one a line, instead of the shipped sample. For events alone.",
            show_default=False,
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="An attribute of every message; may be given again. For events alone.",
            show_default=False,
        ),
    ] = None,
    pipeline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Run your own pipeline.toml; the checkout is not changed.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The definition of its table, as a resource of BigQuery's API.",
            show_default=False,
        ),
    ] = None,
    profiles: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE",
            help="Answer its [lookup], or its [lookups.NAME], from this JSON file of documents by key.",
            show_default=False,
        ),
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Let a service of yours, which listens there on this machine, answer its lookups.",
            show_default=False,
        ),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            metavar="DRIVER",
            help="What receives the events: function, to which they are pushed, or work, which pulls them.",
            show_default="function",
        ),
    ] = None,
    policy_tests: Annotated[
        bool,
        typer.Option(
            "--policy-tests/--no-policy-tests",
            help="Whether to run the policy tests after the events. Without them the demo is several seconds faster."
            " For events alone.",
        ),
    ] = True,
    explain: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="Also explain the requests whose names hold these words, as meshlab explain does. For lambda-bridge.",
            show_default=False,
        ),
    ] = "",
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show every policy test, and not only those that fail.")
    ] = False,
    project: _ProjectOption = None,
    overlay: _OverlayOption = None,
) -> None:
    """Show one of the project's meshes at work, on real Envoys.

    \b
      meshlab demo                 send events through the whole system; show the outcome of each and the access matrix
      meshlab demo --driver work   the same with the pull worker in place of the function
      meshlab demo --overlay keyless   the same, and the function has no key: it calls with Google's identity
      meshlab demo egress          build the egress mesh step by step; show who gets out after each, and why not
      meshlab demo lambda-bridge   two meshes and a function in AWS: who reaches it, who is refused where, and why
      meshlab demo lookup-access   the private function behind Cloud Run's check of callers: who calls it, and how

    \b
    Your own events, as rows of your own table:
      meshlab demo --pipeline pipeline.toml --table table.json --events events.jsonl --profiles profiles.json

    Exit code 0 only if no event was lost or doubled and every policy test and call met its expectation.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(Exit.FAILED), _extra("demo"):
        found = Project.find(root=project, overlay=overlay)
        own = (pipeline, table, profiles, app)
        given = (events, attribute, driver, *own)
        if mesh is not _Mesh.EVENTS and (overlay is not None or any(given) or not policy_tests):
            raise LabError(
                f"--events, --overlay and --no-policy-tests are for the demo of events, not for {mesh}"
            )
        if explain and mesh is not _Mesh.LAMBDA_BRIDGE:
            raise LabError(f"--explain is for lambda-bridge; ask meshlab explain about the mesh of {mesh}")
        attributes = _attributes(attribute or [])  # before the imports below, which take a second
        if mesh is _Mesh.EGRESS:
            from meshlab.demo import story_show
            from meshlab.demo.story_demo import run_story_demo

            good = run_story_demo(found, mesh.value, story_show.console(), verbose=verbose)
            raise typer.Exit(0 if good else 1)
        from meshlab.demo.grpc_log import log_errors_only

        log_errors_only()
        from meshlab.demo import terminal_tables

        if mesh is _Mesh.LAMBDA_BRIDGE:
            from meshlab.demo.lambda_bridge import run_lambda_bridge

            good = run_lambda_bridge(found, terminal_tables.console(), verbose=verbose, to_explain=explain)
        elif mesh is _Mesh.LOOKUP_ACCESS:
            from meshlab.demo.lookup_access import run_lookup_access

            good = run_lookup_access(found, terminal_tables.console())
        else:
            from meshlab.demo.own import Own
            from meshlab.demo.run import run_demo

            wanted = Own(pipeline, table, tuple(profiles or ()), app) if any(own) else None
            good = run_demo(
                found,
                events,
                terminal_tables.console(),
                attributes=attributes,
                own=wanted,
                driver=driver or "function",
                policy_tests=policy_tests,
                verbose=verbose,
            )
    raise typer.Exit(0 if good else 1)


def up(
    env_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the variables here, as KEY=VALUE; deleted on exit.",
            show_default=False,
        ),
    ] = None,
    jwks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Whenever this file changes, trust the public keys in it and no others. Until it is there, the"
            " key in Secret Manager is trusted.",
            show_default=False,
        ),
    ] = None,
    project: _ProjectOption = None,
    overlay: _OverlayOption = None,
) -> None:
    """Start everything, print the environment for clients, and stay up until Ctrl-C."""
    with reported(Exit.FAILED), _extra("up"):
        found = Project.find(root=project, overlay=overlay)
        from meshlab.lab.stack import Lab

        with Lab(found) as lab:
            variables = "".join(f"{name}={value}\n" for name, value in sorted(lab.environment.items()))
            try:
                if env_file:
                    _write(env_file, variables)
                say(variables, nl=False)
                say(f"# up after {lab.ready_after_s:.2f} s; Ctrl-C ends everything")
                if jwks:
                    _follow(jwks, lab.mesh)
                signal.pause()
            finally:
                if env_file:
                    env_file.unlink(missing_ok=True)


def run(
    command: Annotated[
        list[str], typer.Argument(help="The command and its arguments, after --.", show_default=False)
    ],
    pod: Annotated[
        _Pod | None,
        typer.Option(
            help="Run it as in a GKE pod of another project: invoker may call the function at LOOKUP_URL, stranger may"
            " not, unlinked has no Google service account.",
            show_default=False,
        ),
    ] = None,
    project: _ProjectOption = None,
    overlay: _OverlayOption = None,
) -> None:
    """Run a command inside the lab's environment and exit with its exit code; everything ends after it."""
    with reported(Exit.FAILED), _extra("run"):
        found = Project.find(root=project, overlay=overlay)
        if shutil.which(command[0]) is None:  # before a lab is started for nothing
            raise LabError(f"cannot run {command[0]}: no such command can be executed")
        from meshlab.lab.stack import Lab

        with ExitStack() as ends:
            lab = ends.enter_context(Lab(found))
            environment = {**os.environ, **lab.environment}
            if pod:
                from meshlab.lab.lookup_access import LookupAccess

                access = ends.enter_context(LookupAccess(found, lab))
                access.wait_ready()
                environment = access.environment(pod)
            try:
                done = subprocess.run(command, env=environment, check=False)  # noqa: S603
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise LabError(f"cannot run {command[0]}: {reason}") from error
    # A shell's way to pass a signal on: 128 and its number.
    raise typer.Exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


def _attributes(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not name or not separator:
            raise LabError(f"--attribute takes NAME=VALUE, and not {text!r}")
        if name in _TAKEN_NAMES:
            raise LabError(f"--attribute: the official client cannot publish an attribute named {name}")
        found[name] = value
    return found


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise LabError(f"{file}: cannot be written: {error.strerror}") from None


def _follow(jwks: Path, mesh: "ProjectMesh") -> NoReturn:
    from meshlab.manifest import ManifestError

    seen = None
    while True:
        content = _content(jwks)
        if content is not None and content != seen:
            seen = content
            try:
                mesh.publish_keys(content)
            except ManifestError as error:
                # Every RequestAuthentication that has the keys has the same problem with them.
                reasons = dict.fromkeys(problem.text for problem in error.problems) or (str(error),)
                say(f"meshlab: {jwks} was not taken: {'; '.join(reasons)}", err=True)
            else:
                say(f"# the mesh trusts the keys in {jwks}")
        time.sleep(_FOLLOW_EVERY_S)


def _content(file: Path) -> str | None:
    try:
        return file.read_text() if file.is_file() else None
    except OSError as error:
        raise LabError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        return "not UTF-8 text"


@contextmanager
def _extra(command: str) -> Iterator[None]:
    """Turn a package of the extra `lab` that is not installed into one sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LAB_PACKAGES:
            raise
        raise LabError(
            f"`meshlab {command}` needs packages that are not installed ({error.name})."
            ' Run `pip install ./infra/contract "./lab[lab]"` in a clone of the project.'
        ) from None
