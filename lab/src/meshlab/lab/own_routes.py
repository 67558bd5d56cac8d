"""Routes and policies of the mesh for lookups that the shipped descriptions do not have.

The descriptions are copied, given the routes, and turned into manifests by the project's own generator, as a person
would do it in the checkout. The checkout itself is left as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshlab.lab.pipeline import Lookup
    from meshlab.lab.project import Project

__all__ = ["Routed", "with_routes"]

_SERVICE = "user-profile"
_CALLER = "enrichment"
_SERVICE_FILE = f"infra/mesh/services/{_SERVICE}/service.yaml"
_CALLER_FILE = f"infra/mesh/callers/{_CALLER}.yaml"
_ROUTE = "own"


@dataclass(frozen=True)
class Routed:
    """A project whose mesh admits some lookups.

    Attributes:
        project: The project to run; that of the user where nothing had to be added.
        edits: What the checkout needs for the same, one sentence for each file; empty where nothing had to be added.
    """

    project: Project
    edits: tuple[str, ...] = ()


def with_routes(project: Project, lookups: Sequence[Lookup], directory: Path) -> Routed:
    """Return a project whose mesh leads these lookups to the service, and lets the function make them.

    Args:
        project: The checkout.
        lookups: What the function looks up.
        directory: An empty directory for a copy of the manifests.

    Raises:
        LabError: The copy cannot be made, or the mesh's descriptions cannot have such a path.
    """
    service, caller = _read(project.root / _SERVICE_FILE), _read(project.root / _CALLER_FILE)
    called = caller.get("calls", {}).get(_SERVICE, [])
    admitted = {
        (method, path)
        for name, route in service.get("routes", {}).items()
        if name in called
        for method in route["methods"]
        for path in route["paths"]
    }
    missing = [
        found
        for found in dict.fromkeys((one.method, one.mesh_path) for one in lookups)
        if found not in admitted
    ]
    if not missing:
        return Routed(project)
    routes = {
        f"{_ROUTE}-{number}": {"methods": [method], "paths": [path]}
        for number, (method, path) in enumerate(missing, 1)
    }
    if not project.overlay.resolve().is_relative_to(project.root.resolve()):
        raise LabError(
            f"{project.overlay}: a lookup of another path needs new manifests, and this overlay is outside of"
            f" {project.root}: add the route there yourself, or use an overlay of infra/mesh/overlays"
        )
    copy = _copy(project, directory)
    service["routes"].update(routes)
    caller["calls"] = {**caller.get("calls", {}), _SERVICE: [*called, *routes]}
    (copy.root / _SERVICE_FILE).write_text(yaml.safe_dump(service, sort_keys=False))
    (copy.root / _CALLER_FILE).write_text(yaml.safe_dump(caller, sort_keys=False))
    _generate(copy.root)
    written = ", ".join(
        f"{name}: {{methods: [{m}], paths: [{p}]}}" for name, (m, p) in zip(routes, missing, strict=True)
    )
    return Routed(
        copy,
        (
            f"{_SERVICE_FILE}, under routes: {written}",
            f"{_CALLER_FILE}, under calls: {_SERVICE}: [{', '.join([*called, *routes])}]",
        ),
    )


def _copy(project: Project, directory: Path) -> Project:
    try:
        shutil.copytree(
            project.root / "infra",
            directory / "infra",
            ignore=shutil.ignore_patterns("generator", "__pycache__"),
        )
        (directory / "function").symlink_to((project.root / "function").resolve())
    except (OSError, shutil.Error) as error:
        raise LabError(f"{project.root / 'infra'} cannot be copied to {directory}: {error}") from None
    overlay = directory / project.overlay.resolve().relative_to(project.root.resolve())
    return replace(project, root=directory, overlay=overlay)


def _generate(root: Path) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "meshgen", "--project", str(root)], capture_output=True, text=True, check=False
    )
    if "No module named meshgen" in done.stderr:
        raise LabError(
            "a lookup of another path needs the project's generator, which is not installed: run `make setup`, or"
            " `pip install ./infra/contract ./infra/generator` in the checkout"
        )
    if done.returncode:
        problems = done.stderr.strip().replace(f"{root}/", "").splitlines() or ["no reason was given"]
        raise LabError(f"the mesh's descriptions cannot have this lookup: {problems[-1]}")


def _read(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise LabError(f"{file}: the description cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise LabError(f"{file}: the description is no mapping")
    return found
