"""Files of objects that `resources` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize.file_access import name
from meshlab.kustomize.resource import Resource
from meshlab.manifest import documents_of

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.kustomize.file_access import Files

__all__ = ["read_resources"]


def read_resources(path: Path, files: Files) -> list[Resource]:
    """Read the objects of a file. A list, such as a ConfigMapList, stands for its items.

    Raises:
        ManifestError: The file cannot be read, or a document is no Kubernetes object with a name.
    """
    source = name(path)
    return [Resource.of(document, source, line) for document, line in documents_of(files.read(path), source)]
