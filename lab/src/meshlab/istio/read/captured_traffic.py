"""Annotations of pods that say which traffic goes through the sidecar: the values that leave it as it is by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Where

__all__ = ["CAPTURE_ANNOTATIONS", "check_capture"]

_EXCLUDED_INBOUND = "traffic.sidecar.istio.io/excludeInboundPorts"
_USUAL = {
    "sidecar.istio.io/interceptionMode": ("REDIRECT", "TPROXY"),
    "traffic.sidecar.istio.io/excludeInterfaces": ("",),
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": ("",),
    "traffic.sidecar.istio.io/excludeOutboundPorts": ("",),
    "traffic.sidecar.istio.io/includeInboundPorts": ("*",),
    "traffic.sidecar.istio.io/includeOutboundIPRanges": ("*",),
    "traffic.sidecar.istio.io/includeOutboundPorts": ("",),
    "traffic.sidecar.istio.io/kubevirtInterfaces": ("",),
}
_OWN_PORTS = ("15020", "15021", "15090", "")
"""Ports of the sidecar itself, which no case uses."""

CAPTURE_ANNOTATIONS = frozenset({*_USUAL, _EXCLUDED_INBOUND})
"""The annotations."""


def check_capture(annotations: Mapping[str, object], where: Where) -> None:
    """Report annotations that lead traffic past the sidecar.

    Args:
        annotations: All annotations of a pod.
        where: Where they stand.
    """
    for name in sorted(CAPTURE_ANNOTATIONS.intersection(annotations)):
        value = str(annotations[name])
        if name == _EXCLUDED_INBOUND:
            is_usual = all(port.strip() in _OWN_PORTS for port in value.split(","))
        else:
            is_usual = value in _USUAL[name]
        if not is_usual:
            where.key(name).report(
                f"{value!r} leads traffic past the sidecar, and that is not built. Remove it."
            )
