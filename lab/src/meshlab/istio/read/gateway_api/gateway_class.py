"""GatewayClass: which controller serves the Gateways of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.schema_values import checked_spec
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Where
    from meshlab.manifest import Manifest

__all__ = ["GatewayClass", "read_gateway_class"]


@dataclass(frozen=True)
class GatewayClass:
    """A GatewayClass as read."""

    name: str
    controller: str
    where: Where


def read_gateway_class(manifest: Manifest) -> GatewayClass:
    """Read a GatewayClass.

    Istio does not look at `parametersRef`; parameters of a class are ConfigMaps with a label.

    Raises:
        ManifestError: An unknown field, or no controller.
    """
    known = ("controllerName", "description", "parametersRef")
    spec = checked_spec(manifest, known, namespaced=False)
    chosen = "Istio does not read it"
    spec.mapping(
        "parametersRef", (), passed_over=dict.fromkeys(("group", "kind", "name", "namespace"), chosen)
    )
    spec.string("description")
    return GatewayClass(manifest.name, spec.required("controllerName"), spec.where)
