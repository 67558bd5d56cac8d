"""Trees of files with a kustomization, and what they must build to."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from meshlab.kustomize import build
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from pathlib import Path

Tree = dict[str, str]

DEPLOYMENT = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {spec: %s}}}\n"
SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}\n"
ROUTE = (
    "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web}, "
    "spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}}\n"
)


def write(directory: Path, tree: Tree) -> Path:
    """Write the files of a tree and return the directory."""
    for name, text in tree.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def by_identity(bodies: list[Any]) -> dict[tuple[str, str, str, str], Any]:
    """Index objects by what distinguishes them, so that their order does not count."""
    return {
        (
            body["apiVersion"],
            body["kind"],
            body["metadata"].get("namespace", ""),
            body["metadata"]["name"],
        ): body
        for body in bodies
    }


def kubectl(directory: Path) -> list[Any] | None:
    """Return what `kubectl kustomize` builds, or `None` where it is not installed."""
    program = shutil.which("kubectl")
    if program is None:
        return None
    run = subprocess.run(
        [program, "kustomize", directory], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return list(yaml.safe_load_all(run.stdout))


def expect(directory: Path, tree: Tree, built: str, *, top: str = ".", in_kubectl: bool = True) -> None:
    """Assert that a tree builds to those objects, here and with kubectl where it is installed.

    Args:
        directory: Where to write the tree.
        tree: The files.
        built: The objects that kustomize 5.8 builds, as YAML.
        top: The directory of the tree that is built.
        in_kubectl: Whether the kustomize of kubectl 1.32 knows what the tree uses.
    """
    write(directory, tree)
    expected = by_identity([document for document in yaml.safe_load_all(built) if document])
    assert by_identity([dict(manifest.body) for manifest in build(directory / top)]) == expected
    theirs = kubectl(directory / top) if in_kubectl else None
    assert theirs is None or by_identity(theirs) == expected


def refusal(directory: Path, tree: Tree, top: str = ".") -> str:
    """Return the message with which a tree is refused."""
    write(directory, tree)
    with pytest.raises(ManifestError) as caught:
        build(directory / top)
    return str(caught.value).replace(f"{directory}/", "")
