"""Namespace: what its labels say about injection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where, refuse_istio_keys

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = ["injects_by_namespace"]

_HARMLESS = ("istio.io/rev", "istio.io/tag", "topology.istio.io/network")


def injects_by_namespace(manifest: Manifest) -> bool | None:
    """Return what a Namespace's labels say about injection: yes, no, or nothing.

    Raises:
        ManifestError: A label that changes more than injection, such as ambient mode.
    """
    where = Where(manifest).key("metadata", "labels")
    labels = (manifest.body.get("metadata") or {}).get("labels") or {}
    mode = labels.get("istio.io/dataplane-mode", "none")
    if mode != "none":
        where.key("istio.io/dataplane-mode").report("ambient mode is not supported; use sidecars.")
    refuse_istio_keys(labels, (*_HARMLESS, "istio.io/dataplane-mode"), where)
    setting = labels.get("istio-injection")
    if setting is not None:
        # Istio's webhooks select `enabled`, and every other value keeps them away.
        return bool(setting == "enabled")
    return True if labels.get("istio.io/rev") else None
