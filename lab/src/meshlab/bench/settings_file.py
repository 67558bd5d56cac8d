"""A MeshConfig of a file that the command line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.mesh_config import read_mesh_settings
from meshlab.manifest import ManifestError, documents_of, to_manifest
from meshlab.named_files import read_text

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from meshlab.istio.read.mesh_config import MeshSettings
    from meshlab.manifest import Manifest

__all__ = ["read_settings_document", "read_settings_file"]


def read_settings_file(file: Path) -> MeshSettings:
    """Read a MeshConfig from a file: an IstioOperator, the ConfigMap `istio`, or the MeshConfig alone.

    Raises:
        FileReadError: The file cannot be read.
        ManifestError: It holds something that the bench does not know.
    """
    return read_mesh_settings(read_settings_document(file), str(file))


def read_settings_document(file: Path) -> Manifest | dict[str, Any]:
    """Return what such a file holds: the object, or the MeshConfig alone.

    Raises:
        FileReadError: The file cannot be read.
        ManifestError: It is not one mapping.
    """
    documents = [document for document, _ in documents_of(read_text(file), str(file))]
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict):
        raise ManifestError(
            f"{file}: expected one mapping: a MeshConfig, an IstioOperator or the ConfigMap istio"
        )
    return to_manifest(document, str(file)) if "apiVersion" in document and "kind" in document else document
