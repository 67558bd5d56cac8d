"""Ingress: whether Istio's gateways serve it. What an Ingress asks for is not compiled.

Follows `pilot/pkg/config/kube/ingress/{virtualservices,gateways}.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.manifest import Manifest

__all__ = ["INGRESS", "IngressMode", "IngressSettings", "may_be_served"]

INGRESS = ("networking.k8s.io", "Ingress")
IngressMode = Literal["OFF", "DEFAULT", "STRICT"]

_CLASS_KIND = ("networking.k8s.io", "IngressClass")
_CLASS = "kubernetes.io/ingress.class"
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_CONTROLLER = "istio.io/ingress-controller"


@dataclass(frozen=True)
class IngressSettings:
    """What a MeshConfig says about Ingress objects.

    Attributes:
        mode: `STRICT` serves those of Istio's class, `DEFAULT` those without any class, too, and `OFF` none.
        class_name: The class that the annotation of an Ingress names.
        gateway: The label `istio` of the pods that serve them.
    """

    mode: IngressMode = "STRICT"
    class_name: str = "istio"
    gateway: str = "ingressgateway"

    @property
    def selector(self) -> tuple[tuple[str, str], ...]:
        """The labels of the pods that serve Ingress objects."""
        return (("istio", self.gateway),)


def may_be_served(manifest: Manifest, settings: IngressSettings, manifests: Iterable[Manifest]) -> bool:
    """Return whether Istio serves an Ingress, or could: the manifests need not hold its IngressClass.

    Args:
        manifest: The Ingress.
        settings: The mesh's settings.
        manifests: All manifests, for their IngressClasses.
    """
    if settings.mode == "OFF":
        return False
    annotations = _annotations(manifest)
    if _CLASS in annotations:
        return annotations[_CLASS] == settings.class_name
    classes = {each.name: each for each in manifests if (each.group, each.kind) == _CLASS_KIND}
    name = _spec(manifest).get("ingressClassName")
    if name is None:
        # The API server writes the default class, where there is one.
        name = next((each.name for each in classes.values() if _is_default(each)), None)
    if name is None:
        return settings.mode == "DEFAULT"
    if name in classes:
        return _spec(classes[name]).get("controller") == _CONTROLLER
    return name == settings.class_name or settings.mode == "DEFAULT"


def _is_default(ingress_class: Manifest) -> bool:
    return _annotations(ingress_class).get(_DEFAULT_CLASS) == "true"


def _spec(manifest: Manifest) -> Mapping[str, object]:
    spec = manifest.body.get("spec")
    return spec if isinstance(spec, dict) else {}


def _annotations(manifest: Manifest) -> Mapping[str, object]:
    metadata = manifest.body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return annotations if isinstance(annotations, dict) else {}
