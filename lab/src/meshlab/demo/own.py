"""A demo with a pipeline, a table and a service of the user: options checked and made ready before anything starts."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.errors import LabError
from meshlab.istio import Address
from meshlab.lab.lookup_service import ProfilesError, load_profiles
from meshlab.lab.own_routes import with_routes
from meshlab.lab.pipeline import Lookup, Pipeline
from meshlab.lab.provision import Resources
from meshlab.lab.stack import OwnPipeline, shipped
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.lab.project import Project

__all__ = ["Own", "Ready", "prepare"]

_SERVED = Lookup().path
_OF_THE_EVENT = "the event would be dead-lettered: "


@dataclass(frozen=True)
class Own:
    """What the user named.

    Attributes:
        pipeline: Their `pipeline.toml`; None for the shipped one.
        table: The definition of their table; None for the shipped one.
        profiles: `FILE` or `NAME=FILE`, for each lookup that is answered from a file.
        app: `HOST:PORT` of their service; None for the lab's own.
    """

    pipeline: Path | None
    table: Path | None
    profiles: tuple[str, ...]
    app: str | None


@dataclass(frozen=True)
class Ready:
    """What the lab runs.

    Attributes:
        own: The pipeline and what answers its lookups.
        edits: What the checkout needs for the same mesh, one sentence for each file.
    """

    own: OwnPipeline
    edits: tuple[str, ...]


def prepare(project: Project, wanted: Own, directory: Path) -> Ready:
    """Check what the user named, and make the mesh for it.

    Args:
        project: The checkout.
        wanted: What the user named.
        directory: An empty directory for this run.

    Raises:
        LabError: Something cannot be read, does not fit, or does not answer; the message says what to do.
    """
    if wanted.app and wanted.profiles:
        raise LabError(
            "--profiles and --app exclude each other: with --app, your service answers every lookup"
        )
    app = _address(wanted.app) if wanted.app else None
    pipeline_file, table_file = wanted.pipeline or project.pipeline_file, wanted.table or project.table_file
    _check(project, pipeline_file, table_file, is_table_named=wanted.table is not None)
    pipeline = Pipeline.read(pipeline_file, table_file, Resources(project.contract()).table)
    served = () if app else _served(pipeline, wanted.profiles)
    routed = with_routes(project, pipeline.lookups, directory)
    return Ready(OwnPipeline(pipeline, routed.project, served, app), routed.edits)


def _check(project: Project, pipeline: Path, table: Path, *, is_table_named: bool) -> None:
    """Let the function itself say what is wrong with the two files."""
    for file in (pipeline, table):
        if not file.is_file():
            raise LabError(f"{file}: there is no such file")
    command = [
        *(sys.executable, "-m", "enrichment", "check"),
        *("--pipeline", str(pipeline.resolve()), "--table", str(table.resolve())),
    ]
    done = subprocess.run(  # noqa: S603
        command, cwd=project.root / "function", capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line.strip().removeprefix("- ") for line in (done.stdout + done.stderr).splitlines()]
        listed = [line for line in lines if line and not line.endswith("to correct:")]
        # A made-up event may not fit a pipeline that fits the table; the demo then shows what real events do.
        said = [line for line in listed if _OF_THE_EVENT not in line]
        if listed and not said:
            return
        if said and not is_table_named:
            said.append(
                "It was compared with the shipped table: name the definition of yours with --table FILE."
            )
        raise LabError(
            "\n".join(said[-50:]) or f"{pipeline}: the function refuses the pipeline and says nothing"
        )


def _served(pipeline: Pipeline, profiles: Sequence[str]) -> tuple[tuple[Lookup, Path], ...]:
    """Return each lookup with the file that answers it."""
    files: dict[str, Path] = {}
    for text in profiles:
        name, separator, file = text.partition("=")
        if not separator or Path(text).exists():
            name, file = pipeline.lookups[0].name if len(pipeline.lookups) == 1 else "profile", text
        files[name] = Path(file)
    by_name = {lookup.name: lookup for lookup in pipeline.lookups}
    if unknown := sorted(files.keys() - by_name.keys()):
        known = ", ".join(by_name) or "none"
        raise LabError(f"--profiles names the lookup {unknown[0]}, and {pipeline.file} has: {known}")
    found = []
    for name, lookup in by_name.items():
        if name not in files and lookup.path == _SERVED and lookup.echo in ("", Lookup().echo):
            files[name] = shipped("profiles.json")
        if name not in files:
            raise LabError(
                f"nothing answers the lookup {name} ({lookup.path}): give --profiles"
                f" {'' if name == 'profile' else f'{name}='}FILE with documents by key, or --app HOST:PORT"
            )
        if lookup.method != "GET" or lookup.is_batched:
            raise LabError(
                f"--profiles answers plain GET requests, and the lookup {name} is"
                f" {'batched' if lookup.is_batched else lookup.method}: let your service answer it with --app HOST:PORT"
            )
        try:
            load_profiles(files[name], lookup.echo)
        except ProfilesError as error:
            raise LabError(str(error)) from None
        found.append((lookup, files[name].resolve()))
    return tuple(found)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise LabError(f"--app takes HOST:PORT, such as 127.0.0.1:8080, and not {text!r}")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0][4]
    except OSError as error:
        raise LabError(f"--app: {host!r} is no host: {error.strerror}") from None
    address = str(found[0])
    if not ipaddress.ip_address(address).is_loopback:
        raise LabError(f"--app: {host} is not on this machine; the lab connects to loopback addresses only")
    try:
        socket.create_connection((address, int(port)), timeout=5).close()
    except OSError:
        raise LabError(f"--app: nothing listens on {text}: start your service first") from None
    return Address(address, int(port))
