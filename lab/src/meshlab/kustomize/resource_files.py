"""Files of objects that `resources` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize.files import name
from meshlab.kustomize.resource import Resource
from meshlab.manifest import ManifestError, parse_manifests

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.kustomize.files import Files

__all__ = ["read_resources"]


def read_resources(path: Path, files: Files) -> list[Resource]:
    """Read the objects of a file. A list, such as a ConfigMapList, stands for its items.

    Raises:
        ManifestError: The file cannot be read, or a document is no Kubernetes object with a name.
    """
    found = parse_manifests(files.read(path), name(path))
    for manifest in found:
        if not manifest.name:
            raise ManifestError(
                f"{manifest}: kustomize builds no object without a metadata.name; give it one."
            )
    return [Resource.of(manifest) for manifest in found]
