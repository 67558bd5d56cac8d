"""Annotations of pods that say which traffic goes through the sidecar.

Istio's `tools/istio-iptables` makes rules of them: without any, all traffic goes through it, but for the sidecar's own
ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Where

__all__ = ["CAPTURE_ANNOTATIONS", "PastSidecar", "read_capture"]

_PREFIX = "traffic.sidecar.istio.io/"
_EXCLUDED_INBOUND, _INCLUDED_INBOUND = f"{_PREFIX}excludeInboundPorts", f"{_PREFIX}includeInboundPorts"
_EXCLUDED_OUTBOUND = f"{_PREFIX}excludeOutboundPorts"
_RANGES = {f"{_PREFIX}excludeOutboundIPRanges": "", f"{_PREFIX}includeOutboundIPRanges": "*"}
"""Annotations on addresses, each with the value that changes nothing. Manifests rarely hold what a cluster gives."""
_NO_EFFECT = f"{_PREFIX}includeOutboundPorts"
"""Takes ports in whose addresses are left out; where addresses are, no outbound request is judged anyway."""
_USUAL = {
    "sidecar.istio.io/interceptionMode": ("REDIRECT", "TPROXY"),
    f"{_PREFIX}excludeInterfaces": ("",),
    f"{_PREFIX}kubevirtInterfaces": ("",),
}
_HIGHEST_PORT = 65_535

CAPTURE_ANNOTATIONS = frozenset(
    {*_USUAL, *_RANGES, _EXCLUDED_INBOUND, _INCLUDED_INBOUND, _EXCLUDED_OUTBOUND, _NO_EFFECT}
)
"""The annotations."""


@dataclass(frozen=True)
class PastSidecar:
    """Traffic of a pod that does not go through its sidecar.

    Attributes:
        direction: Whether requests arrive at the pod or leave it.
        value: The annotation as written.
        where: The annotation.
        ports: The ports that it is about; `None` for all.
        but_ports: Whether it is about all ports except these.
    """

    direction: Literal["inbound", "outbound"]
    value: str
    where: Where
    ports: tuple[int, ...] | None = None
    but_ports: bool = False


def read_capture(annotations: Mapping[str, object], where: Where) -> tuple[PastSidecar, ...]:
    """Return what annotations lead past the sidecar, and report those that the bench cannot follow at all.

    Args:
        annotations: All annotations of a pod.
        where: Where they stand.
    """
    found: list[PastSidecar] = []
    for name in sorted(CAPTURE_ANNOTATIONS.intersection(annotations)):
        value, place = str(annotations[name]), where.key(name)
        if name in _USUAL and value not in _USUAL[name]:
            place.report(
                f"{value!r} changes which traffic passes the sidecar, and the bench has only Istio's usual way."
            )
        elif name in _RANGES and value != _RANGES[name]:
            found.append(PastSidecar("outbound", value, place))
        elif name in (_EXCLUDED_INBOUND, _EXCLUDED_OUTBOUND) and (ports := _ports(value, place)):
            direction: Literal["inbound", "outbound"] = "inbound" if name == _EXCLUDED_INBOUND else "outbound"
            found.append(PastSidecar(direction, value, place, ports))
        elif name == _INCLUDED_INBOUND and value != "*":
            found.append(PastSidecar("inbound", value, place, _ports(value, place), but_ports=True))
    return tuple(found)


def _ports(value: str, where: Where) -> tuple[int, ...]:
    """Return the ports of a list. What is none is reported, as `pkg/kube/inject/validate.go` refuses it."""
    texts = [text.strip() for text in value.split(",") if text.strip()]
    if not all(text.isdecimal() and int(text) <= _HIGHEST_PORT for text in texts):
        where.report(
            f"{value!r} is no list of ports, such as 3306,6379, so Istio injects no sidecar. Correct it."
        )
        return ()
    return tuple(map(int, texts))
