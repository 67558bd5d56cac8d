"""GatewayClasses: whose Gateways Istio serves.

Follows `pilot/pkg/config/kube/gatewaycommon/{classinfo,gatewayclass_collection}.go`, with istiod's default features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.read.gateway_api import GatewayClass

__all__ = ["ISTIO_CONTROLLER", "ClassUse", "class_use"]

ISTIO_CONTROLLER = "istio.io/gateway-controller"

ClassUse = Literal["served", "remote", "waypoint", "foreign", "unknown"]
"""`served`: Istio runs it. `remote`: Istio leaves it alone. `waypoint`: ambient mode. `foreign`: another controller."""

_BUILT_IN = {
    "istio": ISTIO_CONTROLLER,
    "istio-remote": "istio.io/unmanaged-gateway",
    "istio-waypoint": "istio.io/mesh-controller",
}
"""Classes that istiod makes, so that they count without an object."""

_USES: dict[str, ClassUse] = {
    ISTIO_CONTROLLER: "served",
    "istio.io/unmanaged-gateway": "remote",
    "istio.io/mesh-controller": "waypoint",
    "istio.io/eastwest-controller": "waypoint",
}


def class_use(name: str, classes: Sequence[GatewayClass]) -> ClassUse:
    """Return how Istio treats the Gateways of a class.

    Args:
        name: The class.
        classes: The GatewayClasses of the manifests.
    """
    written = next((each.controller for each in classes if each.name == name), None)
    controller = written or _BUILT_IN.get(name)
    # Behind istio-east-west stands a feature of ambient mode that is off by default.
    if controller is None:
        return "waypoint" if name == "istio-east-west" else "unknown"
    use = _USES.get(controller)
    if use is None:
        # istiod overlooks a class with a controller that it does not know, and falls back to its own of that name.
        return _USES[_BUILT_IN[name]] if name in _BUILT_IN else "foreign"
    return use
