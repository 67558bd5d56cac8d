"""Workloads: the pod templates of Deployments and their like, and what they say about injection.

Injection follows `pkg/kube/inject/inject.go#injectRequired` and the selectors of Istio's webhook: the pod's label
wins over the namespace's, a pod on the host's network is never injected.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Literal

from meshlab.istio.read.captured_traffic import CAPTURE_ANNOTATIONS, read_capture
from meshlab.istio.read.fields import Where, refuse_istio_keys, require_namespace
from meshlab.istio.read.proxy_config import PROXY_CONFIG, GatewayTopology, proxy_config_of
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.captured_traffic import PastSidecar
    from meshlab.manifest import Manifest

__all__ = ["TEMPLATES", "ContainerPort", "Pod", "read_pod"]

_INJECT = "sidecar.istio.io/inject"
TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps.openshift.io", "DeploymentConfig"): ("spec", "template"),
    ("argoproj.io", "Rollout"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("extensions", "Deployment"): ("spec", "template"),
}
"""(group, kind) of what runs pods, and where the pod template stands in it."""

_MANAGED = "gateway.istio.io/managed"
_OF_GATEWAYS = "istio.io-gateway-controller"
_POD_LABELS = {
    _INJECT,
    _MANAGED,
    "istio.io/rev",
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
    "service.istio.io/workload-name",
    "security.istio.io/tlsMode",
    "topology.istio.io/network",
    "topology.istio.io/cluster",
    "topology.istio.io/subzone",
}
_POD_ANNOTATIONS = {
    _INJECT,
    "inject.istio.io/templates",
    "istio.io/rev",
    "prometheus.istio.io/merge-metrics",
    PROXY_CONFIG,
    "proxy.istio.io/overrides",
    "readiness.status.sidecar.istio.io/applicationPorts",
    "readiness.status.sidecar.istio.io/failureThreshold",
    "readiness.status.sidecar.istio.io/initialDelaySeconds",
    "readiness.status.sidecar.istio.io/periodSeconds",
    "sidecar.istio.io/agentLogLevel",
    "sidecar.istio.io/componentLogLevel",
    "sidecar.istio.io/extraStatTags",
    "sidecar.istio.io/logLevel",
    "sidecar.istio.io/nativeSidecar",
    "sidecar.istio.io/proxyCPU",
    "sidecar.istio.io/proxyCPULimit",
    "sidecar.istio.io/proxyImage",
    "sidecar.istio.io/proxyImageType",
    "sidecar.istio.io/proxyMemory",
    "sidecar.istio.io/proxyMemoryLimit",
    "sidecar.istio.io/rewriteAppHTTPProbers",
    "sidecar.istio.io/statsCompression",
    "sidecar.istio.io/statsEvictionInterval",
    "sidecar.istio.io/statsFlushInterval",
    "sidecar.istio.io/statsHistogramBins",
    "sidecar.istio.io/statsHistogramBuckets",
    "sidecar.istio.io/statsInclusionPrefixes",
    "sidecar.istio.io/statsInclusionRegexps",
    "sidecar.istio.io/statsInclusionSuffixes",
    "sidecar.istio.io/status",
    "sidecar.istio.io/userVolume",
    "sidecar.istio.io/userVolumeMount",
    "status.sidecar.istio.io/port",
}


@dataclass(frozen=True)
class ContainerPort:
    """A port that a container declares; `name` may be empty."""

    number: int
    name: str


@dataclass(frozen=True)
class Pod:
    """What a pod template says to the mesh.

    Attributes:
        ref: The qualified name of the object that runs it.
        kind: Its kind.
        labels: The pod's labels.
        service_account: Its service account.
        inject: What its own label or annotation says about injection; `None` for nothing.
        webhook_label: Whether a label of its own calls Istio's webhook where its namespace says nothing.
        template: The proxy that is injected.
        own_proxy: A proxy that stands in the pod already, as `istioctl kube-inject` and old gateway charts write.
        host_network: Whether it is on the node's network, so that nothing is injected.
        ports: The ports that its containers declare.
        unprivileged: Whether its own proxy says that it cannot open ports below 1024.
        topology: What its annotation says about what stands in front of a gateway.
        address: Its IP address, where the object is a Pod as a cluster shows it; empty where it is not known.
        where: The template.
        past_sidecar: Which of its traffic does not go through its sidecar.
    """

    ref: WorkloadRef
    kind: str
    labels: Mapping[str, str]
    service_account: str
    inject: bool | None
    webhook_label: bool
    template: Literal["sidecar", "gateway"]
    own_proxy: Literal["sidecar", "gateway"] | None
    host_network: bool
    ports: tuple[ContainerPort, ...]
    unprivileged: bool
    topology: GatewayTopology
    where: Where
    address: str = ""
    past_sidecar: tuple[PastSidecar, ...] = ()

    @property
    def named_ports(self) -> Mapping[str, int]:
        """The numbers of the ports that have a name."""
        return {port.name: port.number for port in self.ports if port.name}


def read_pod(manifest: Manifest) -> Pod:
    """Read the parts of a pod template that the mesh acts on; the rest of it is passed over.

    Raises:
        ManifestError: It asks for something that would lead traffic past the proxy, or that is not known.
    """
    way = TEMPLATES[manifest.group, manifest.kind]
    template = Where(manifest).key(*way)
    pod = _plain(manifest, *way, "spec")
    labels = {str(key): str(value) for key, value in _plain(manifest, *way, "metadata", "labels").items()}
    annotations = _plain(manifest, *way, "metadata", "annotations")
    if labels.get("istio.io/dataplane-mode", "none") != "none":
        template.key("metadata", "labels", "istio.io/dataplane-mode").report("ambient mode is not supported.")
    known = _POD_LABELS | {"istio.io/dataplane-mode"}
    refuse_istio_keys(labels, known, template.key("metadata", "labels"))
    if labels.get(_MANAGED, _OF_GATEWAYS) != _OF_GATEWAYS:
        template.key("metadata", "labels", _MANAGED).report(
            "waypoints belong to ambient mode, which is not supported; use sidecars."
        )
    known = _POD_ANNOTATIONS | CAPTURE_ANNOTATIONS
    refuse_istio_keys(annotations, known, template.key("metadata", "annotations"))
    past_sidecar = read_capture(annotations, template.key("metadata", "annotations"))
    templates = annotations.get("inject.istio.io/templates", "sidecar")
    if templates not in ("sidecar", "gateway"):
        where = template.key("metadata", "annotations", "inject.istio.io/templates")
        where.report(f"{templates!r} is not gateway or sidecar.")
    require_namespace(manifest)
    containers = [
        entry
        for kind in ("initContainers", "containers")
        for entry in _listed(pod, kind, template.key("spec"))
        if isinstance(entry, dict)
    ]
    return Pod(
        ref=WorkloadRef(manifest.namespace, manifest.name),
        kind=manifest.kind,
        labels=labels,
        service_account=str(pod.get("serviceAccountName") or pod.get("serviceAccount") or "default"),
        inject=_inject(labels, annotations),
        webhook_label=labels.get(_INJECT) == "true" or bool(labels.get("istio.io/rev")),
        template="gateway" if templates == "gateway" else "sidecar",
        own_proxy=_own_proxy(containers),
        host_network=bool(pod.get("hostNetwork")),
        ports=_ports(containers, template),
        unprivileged=_is_unprivileged(containers),
        topology=_topology(annotations, template),
        where=template,
        address=_address(manifest),
        past_sidecar=past_sidecar,
    )


def _address(manifest: Manifest) -> str:
    """Return the address that a cluster gave a Pod; what is none is no address."""
    if manifest.kind != "Pod":
        return ""
    status = manifest.body.get("status")
    try:
        return str(ipaddress.ip_address(str(status.get("podIP")))) if isinstance(status, dict) else ""
    except ValueError:
        return ""


def _topology(annotations: Mapping[str, Any], template: Where) -> GatewayTopology:
    if PROXY_CONFIG not in annotations:
        return GatewayTopology()
    return proxy_config_of(
        str(annotations[PROXY_CONFIG]), template.key("metadata", "annotations", PROXY_CONFIG)
    )


def _inject(labels: Mapping[str, str], annotations: Mapping[str, Any]) -> bool | None:
    # The label wins over the annotation. A value that is neither true nor false counts as absent.
    setting = labels.get(_INJECT, annotations.get(_INJECT))
    return {"true": True, "false": False}.get(str(setting).lower() if setting is not None else "")


def _listed(holder: Mapping[str, Any], name: str, where: Where) -> list[Any]:
    """Return a list that a pod or container has; what is none is reported."""
    value = holder.get(name)
    if value is not None and not isinstance(value, list):
        where.key(name).report(f"expected a list, found {shown_value(value)}.")
    return value if isinstance(value, list) else []


def _own_proxy(containers: list[dict[str, Any]]) -> Literal["sidecar", "gateway"] | None:
    for container in containers:
        arguments = container.get("args")
        if not isinstance(arguments, list):
            continue
        if container.get("name") == "istio-proxy" and "proxy" in arguments:
            return "gateway" if "router" in arguments else "sidecar"
    return None


def _is_unprivileged(containers: list[dict[str, Any]]) -> bool:
    return any(
        container.get("name") == "istio-proxy"
        and isinstance(entry, dict)
        and entry.get("name") == "ISTIO_META_UNPRIVILEGED_POD"
        and str(entry.get("value")).lower() in ("true", "t", "1")
        for container in containers
        if isinstance(container.get("env"), list)
        for entry in container["env"]
    )


def _ports(containers: list[dict[str, Any]], template: Where) -> tuple[ContainerPort, ...]:
    found: dict[int, ContainerPort] = {}
    for container in containers:
        for port in _listed(container, "ports", template.key("spec", "containers")):
            if container.get("name") == "istio-proxy" or not isinstance(port, dict):
                continue
            if str(port.get("protocol", "TCP")).upper() != "TCP":
                continue
            number, name = port.get("containerPort"), str(port.get("name") or "")
            if isinstance(number, str) and number.isascii() and number.isdigit():
                number = int(number)
            if not isinstance(number, int) or not 0 < number < 65536:
                template.key("spec", "containers").report(f"containerPort {number!r} is not a port.")
                continue
            if number not in found or (name and not found[number].name):
                found[number] = ContainerPort(number, name)
    return tuple(found.values())


def _plain(manifest: Manifest, *path: str) -> Mapping[str, Any]:
    value: Any = manifest.body
    for name in path:
        value = value.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise (
                Where(manifest)
                .key(*path)
                .error(f"expected mappings down to {name}, found {shown_value(value)}.")
            )
    found: Mapping[str, Any] = value
    return found
