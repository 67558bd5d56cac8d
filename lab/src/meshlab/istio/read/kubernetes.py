"""The Kubernetes objects that a mesh leans on: namespaces, Deployments and their injection, Services.

Injection follows `pkg/kube/inject/inject.go#injectRequired` and the selectors of Istio's webhook: the pod's label
wins over the namespace's, a pod on the host's network is never injected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshlab.istio.read.fields import Fields, Where, refuse_istio_keys, spec_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.manifest import Manifest, ManifestError

__all__ = [
    "Deployment",
    "Service",
    "ServicePort",
    "WorkloadRef",
    "injects_by_namespace",
    "read_deployment",
    "read_service",
]

_INJECT = "sidecar.istio.io/inject"
_POD_LABELS = {
    _INJECT,
    "istio.io/rev",
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
}
_POD_ANNOTATIONS = {
    "inject.istio.io/templates",
    "sidecar.istio.io/logLevel",
    "sidecar.istio.io/proxyCPU",
    "sidecar.istio.io/proxyCPULimit",
    "sidecar.istio.io/proxyMemory",
    "sidecar.istio.io/proxyMemoryLimit",
    "sidecar.istio.io/rewriteAppHTTPProbers",
}
_HTTP1, _HTTP2 = "http", "http2"
_PROTOCOLS = {
    "http": _HTTP1,
    "http2": _HTTP2,
    "grpc": _HTTP2,
    "kubernetes.io/h2c": _HTTP2,
}
_SERVICE_FIELDS = (
    "allocateLoadBalancerNodePorts",
    "clusterIP",
    "clusterIPs",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "type",
)


@dataclass(frozen=True, order=True)
class WorkloadRef:
    """The qualified name of a Deployment, such as `istio-ingress/istio-internal-gateway`."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> WorkloadRef:
        """Read `namespace/name`.

        Raises:
            ValueError: The text is not of that form.
        """
        namespace, slash, name = text.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise ValueError(f"{text!r} is not a workload; write namespace/name.")
        return cls(namespace, name)

    def __str__(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Deployment:
    """What a Deployment's pod template says to the mesh."""

    ref: WorkloadRef
    labels: Mapping[str, str]
    service_account: str
    inject: bool | None
    gateway_template: bool
    named_ports: Mapping[str, int]
    where: Where


@dataclass(frozen=True)
class ServicePort:
    """A port of a Service; `protocol` is `http`, `http2`, or empty for one that Istio would not treat as HTTP."""

    number: int
    target: int | str
    protocol: str
    where: Where


@dataclass(frozen=True)
class Service:
    """A Service with a selector, or without one (then it reaches nothing)."""

    namespace: str
    name: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    limits_sources: bool
    where: Where

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether pods of that namespace with those labels are its endpoints."""
        chosen = self.selector.items() <= labels.items()
        return self.namespace == namespace and bool(self.selector) and chosen

    @property
    def hostname(self) -> str:
        """The name by which routes refer to it."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"


def injects_by_namespace(manifest: Manifest) -> bool | None:
    """What a Namespace's labels say about injection: yes, no, or nothing."""
    where = Where(manifest, "metadata.labels")
    labels = (manifest.body.get("metadata") or {}).get("labels") or {}
    if "istio.io/dataplane-mode" in labels:
        raise where.key("istio.io/dataplane-mode").error("ambient mode is not supported; use sidecars.")
    refuse_istio_keys(labels, ("istio.io/rev",), where)
    setting = labels.get("istio-injection")
    if setting not in (None, "enabled", "disabled"):
        raise where.key("istio-injection").error(f"{setting!r} means nothing; write enabled or disabled.")
    if setting is not None:
        return bool(setting == "enabled")
    return True if labels.get("istio.io/rev") else None


def read_deployment(manifest: Manifest) -> Deployment:
    """Read the parts of a Deployment that the mesh acts on; the rest of the pod template is passed over.

    Raises:
        ManifestError: It asks for something that would lead traffic past the proxy, or that the lab cannot do.
    """
    template = Where(manifest, "spec.template")
    pod = _plain(manifest, "spec", "template", "spec")
    labels = {str(key): str(value) for key, value in _plain(manifest, *_POD_META, "labels").items()}
    annotations = _plain(manifest, *_POD_META, "annotations")
    refuse_istio_keys(labels, _POD_LABELS, template.key("metadata.labels"))
    if _INJECT in annotations:
        raise _annotation_error(
            template, _INJECT, "write it as a label of the pod template; Istio acts on the label."
        )
    refuse_istio_keys(annotations, _POD_ANNOTATIONS, template.key("metadata.annotations"))
    if pod.get("hostNetwork"):
        raise template.key("spec.hostNetwork").error("such a pod has no sidecar and no policy; remove it.")
    inject = _inject_label(labels, template)
    templates = annotations.get("inject.istio.io/templates", "sidecar")
    if templates not in ("sidecar", "gateway"):
        raise _annotation_error(
            template, "inject.istio.io/templates", f"{templates!r} is not gateway or sidecar."
        )
    return Deployment(
        ref=WorkloadRef(_namespace(manifest), manifest.name),
        labels=labels,
        service_account=pod.get("serviceAccountName") or pod.get("serviceAccount") or "default",
        inject=inject,
        gateway_template=templates == "gateway",
        named_ports={
            port["name"]: port["containerPort"]
            for container in pod.get("containers") or []
            for port in container.get("ports") or []
            if "name" in port and "containerPort" in port
        },
        where=template,
    )


def read_service(manifest: Manifest) -> Service:
    """Read a Service.

    Raises:
        ManifestError: A field that the lab does not know, or one that it cannot reproduce.
    """
    spec = spec_of(manifest, _SERVICE_FIELDS, _SERVICE_REFUSED)
    spec.choice("type", ("ClusterIP", "NodePort", "LoadBalancer"), "ClusterIP")
    if spec.raw("clusterIP") == "None":
        raise spec.where.key("clusterIP").error("headless Services are not supported; remove clusterIP.")
    known = ("name", "port", "targetPort", "protocol", "appProtocol", "nodePort")
    ports = spec.items("ports", known)
    return Service(
        namespace=manifest.namespace,
        name=manifest.name,
        selector=spec.string_map("selector"),
        ports=tuple(_service_port(port) for port in ports),
        limits_sources="loadBalancerSourceRanges" in spec,
        where=spec.where,
    )


_POD_META = ("spec", "template", "metadata")
_SERVICE_REFUSED = {
    "externalName": "a name outside the cluster is not supported; the lab has no network beyond itself.",
    "sessionAffinity": "Istio does not honour it; remove it.",
}


def _service_port(port: Fields) -> ServicePort:
    number = port.port("port")
    target = port.raw("targetPort")
    if target is None:
        target = number
    elif not isinstance(target, str):
        target = port.port("targetPort")
    port.choice("protocol", ("TCP",), "TCP")
    # Istio takes appProtocol first, else the part of the port's name before the first dash
    # (pkg/config/kube/conversion.go).
    declared = port.string("appProtocol") or port.string("name").partition("-")[0]
    return ServicePort(number, target, _PROTOCOLS.get(declared.lower(), ""), port.where)


def _inject_label(labels: Mapping[str, str], template: Where) -> bool | None:
    setting = labels.get(_INJECT)
    if setting is None:
        return True if labels.get("istio.io/rev") else None
    if setting not in ("true", "false"):
        where = template.key("metadata.labels").key(_INJECT)
        raise where.error(f'{setting!r} is neither "true" nor "false".')
    return setting == "true"


def _annotation_error(template: Where, name: str, problem: str) -> ManifestError:
    return template.key("metadata.annotations").key(name).error(problem)


def _namespace(manifest: Manifest) -> str:
    if not manifest.namespace:
        problem = "missing; kubectl would take the namespace of whoever applies it. Write it down."
        raise Where(manifest, "metadata.namespace").error(problem)
    return manifest.namespace


def _plain(manifest: Manifest, *path: str) -> Mapping[str, Any]:
    value: Any = manifest.body
    for name in path:
        value = value.get(name) or {}
        if not isinstance(value, dict):
            raise Where(manifest, ".".join(path)).error(f"expected mappings down to {name}, found {value!r}.")
    found: Mapping[str, Any] = value
    return found
