"""`istio.io/rev`: the control plane that reads an object.

An istiod leaves out the configuration objects of other revisions, whatever their kind; names of tags do not count
(`pilot/pkg/config/kube/{crdclient/client.go,gateway/controller.go}#inRevision`). Services, namespaces and pods are read
by all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import REVISION, Where
from meshlab.istio.read.object_kinds import GATEWAY_API, GATEWAY_API_EXPERIMENTS, ISTIO_GROUPS

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = ["check_revision", "revision_of"]


def revision_of(manifest: Manifest) -> str | None:
    """Return the revision whose istiod alone reads an object; `None` where every istiod reads it."""
    metadata = manifest.body.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    by_revision = manifest.group in (*ISTIO_GROUPS, GATEWAY_API, GATEWAY_API_EXPERIMENTS)
    if not by_revision or not isinstance(labels, dict) or REVISION not in labels:
        return None
    return str(labels[REVISION])


def check_revision(manifest: Manifest, revision: str | None) -> bool:
    """Return whether the mesh's istiod reads an object.

    Args:
        manifest: The object.
        revision: The istiod's revision, `None` where it is not known.

    Raises:
        ManifestError: It depends on a revision that is not known.
    """
    wanted = revision_of(manifest)
    if wanted is None:
        return True
    if revision is None:
        problem = (
            f"only an istiod of revision {wanted} reads the object, and the mesh's revision is not known; give its "
            "IstioOperator or its ConfigMap istio-REVISION, or remove the label."
        )
        raise Where(manifest).key("metadata", "labels", REVISION).error(problem)
    return wanted == revision
