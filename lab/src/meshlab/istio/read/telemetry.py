"""Telemetry: whether a proxy writes access logs, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.read.attachment import TARGET_REFS, Attachment, read_attachment
from meshlab.istio.read.fields import spec_of

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Manifest

__all__ = ["Telemetry", "read_telemetry"]

_REFUSED = {
    "metrics": "the lab's proxies report no Istio metrics; remove it.",
    "tracing": "the lab has no tracing back end; remove it.",
    **TARGET_REFS,
}


@dataclass(frozen=True)
class Telemetry:
    """A Telemetry as read; `logs` is `None` where it says nothing about access logs."""

    attachment: Attachment
    logs: bool | None


def read_telemetry(manifest: Manifest) -> Telemetry:
    """Read and check a Telemetry.

    Raises:
        ManifestError: An unknown field, or a provider other than `envoy`.
    """
    spec = spec_of(manifest, ("selector", "accessLogging"), _REFUSED)
    refused = {
        "filter": "log filters are not supported; remove it.",
        "match": "remove it; both sides are logged.",
    }
    entries = spec.items("accessLogging", ("providers", "disabled"), refused)
    enabled = [_enables(entry) for entry in entries]
    return Telemetry(read_attachment(spec), any(enabled) if enabled else None)


def _enables(entry: Fields) -> bool:
    providers = entry.items("providers", ("name",))
    if entry.boolean("disabled"):
        return False
    if not providers:
        problem = (
            "missing; Istio would use the providers of MeshConfig, which the lab does not have. Write envoy."
        )
        raise entry.where.key("providers").error(problem)
    for provider in providers:
        provider.choice("name", ("envoy",), "")
    return True
