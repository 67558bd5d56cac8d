"""Kinds that are read, kinds that are passed over by name, and kinds that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.read.fields import Where
from meshlab.istio.read.ingress import INGRESS
from meshlab.istio.read.pods import TEMPLATES

if TYPE_CHECKING:
    from meshlab.manifest import Manifest, ManifestError

__all__ = [
    "GATEWAY_API_EXPERIMENTS",
    "ISTIO_GROUPS",
    "NOT_ENFORCED",
    "READ",
    "REFUSED",
    "REMOVED_GROUPS",
    "WITHOUT_TRAFFIC",
    "Disposition",
    "classify",
    "refusal",
]

NETWORKING, SECURITY, TELEMETRY = "networking.istio.io", "security.istio.io", "telemetry.istio.io"
EXTENSIONS, GATEWAY_API = "extensions.istio.io", "gateway.networking.k8s.io"
GATEWAY_API_EXPERIMENTS = "gateway.networking.x-k8s.io"
ISTIO_GROUPS = (NETWORKING, SECURITY, TELEMETRY, EXTENSIONS, "install.istio.io")

Disposition = Literal["read", "passed over", "not enforced", "refused"]

READ = frozenset(
    {
        (NETWORKING, "DestinationRule"),
        (NETWORKING, "Gateway"),
        (NETWORKING, "ProxyConfig"),
        (NETWORKING, "ServiceEntry"),
        (NETWORKING, "Sidecar"),
        (NETWORKING, "VirtualService"),
        (NETWORKING, "WorkloadEntry"),
        (SECURITY, "RequestAuthentication"),
        (SECURITY, "AuthorizationPolicy"),
        (SECURITY, "PeerAuthentication"),
        (TELEMETRY, "Telemetry"),
        (GATEWAY_API, "BackendTLSPolicy"),
        (GATEWAY_API, "GRPCRoute"),
        (GATEWAY_API, "Gateway"),
        (GATEWAY_API, "GatewayClass"),
        (GATEWAY_API, "HTTPRoute"),
        (GATEWAY_API, "ListenerSet"),
        (GATEWAY_API, "ReferenceGrant"),
        (GATEWAY_API, "TCPRoute"),
        (GATEWAY_API, "TLSRoute"),
        ("", "Service"),
        ("", "ServiceAccount"),
        ("", "Namespace"),
        *TEMPLATES,
    }
)
"""(group, kind) of everything that shapes the compiled configuration."""

_VERSIONS = {
    NETWORKING: ("v1", "v1beta1", "v1alpha3"),
    SECURITY: ("v1", "v1beta1"),
    TELEMETRY: ("v1", "v1alpha1"),
    EXTENSIONS: ("v1alpha1",),
}
"""Versions of Istio's groups; all of them have the same fields. The first is the current one."""

_KIND_VERSIONS = {(NETWORKING, "ProxyConfig"): ("v1beta1",)}
"""Versions of kinds that have fewer than their group."""

_GATEWAY_API_VERSIONS = {
    "BackendTLSPolicy": ("v1", "v1alpha3"),
    "GRPCRoute": ("v1", "v1alpha2"),
    "Gateway": ("v1", "v1beta1"),
    "GatewayClass": ("v1", "v1beta1"),
    "HTTPRoute": ("v1", "v1beta1"),
    "ListenerSet": ("v1",),
    "ReferenceGrant": ("v1", "v1beta1"),
    "TCPRoute": ("v1", "v1alpha2"),
    "TLSRoute": ("v1", "v1alpha3", "v1alpha2"),
}
"""Versions of the kinds of the Gateway API. The first is the current one."""

_JUST_GRADUATED = ("BackendTLSPolicy", "ReferenceGrant", "TCPRoute", "TLSRoute")
"""Kinds of the Gateway API whose v1 most clusters do not serve yet, so that older versions deserve no note."""

WITHOUT_TRAFFIC = frozenset(
    {
        (GATEWAY_API, "UDPRoute"),  # Istio does not implement it
        (NETWORKING, "WorkloadGroup"),  # a template; only the WorkloadEntries that are made from it count
        ("", "ConfigMap"),
        ("", "LimitRange"),
        ("", "PersistentVolumeClaim"),
        ("", "ResourceQuota"),
        ("", "Secret"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("cert-manager.io", "Certificate"),
        ("cert-manager.io", "ClusterIssuer"),
        ("cert-manager.io", "Issuer"),
        ("policy", "PodDisruptionBudget"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
    }
)
"""(group, kind) of what never decides a request; passed over, as is every kind of a group that is not Istio's."""

REMOVED_GROUPS = ("authentication.istio.io", "config.istio.io", "rbac.istio.io")
"""Groups of Istio that its releases since 1.6 do not know: their objects do nothing."""

NOT_ENFORCED = frozenset({("networking.k8s.io", "NetworkPolicy")})
"""(group, kind) of what a cluster enforces outside Envoy; the bench does not, and lists it in `Mesh.not_enforced`."""

_ENDPOINTS = (
    "servers of a Service without a selector are not compiled; write a ServiceEntry with their addresses"
)
_EXPERIMENT = "experiments of the Gateway API are not compiled"
_OPERATOR = "mesh-wide settings are not read from it; give them as a MeshConfig with --mesh-config"
REFUSED = {
    (NETWORKING, "EnvoyFilter"): "its patches depend on istiod's exact output, which is not reproduced",
    (EXTENSIONS, "WasmPlugin"): "the bench's Envoy runs no plugins",
    (EXTENSIONS, "TrafficExtension"): "the bench's Envoy runs no plugins",
    ("", "Endpoints"): _ENDPOINTS,
    ("discovery.k8s.io", "EndpointSlice"): _ENDPOINTS,
    INGRESS: "Istio's gateways serve an Ingress of Istio's class, and it is not compiled; write a Gateway and a "
    "VirtualService",
    (GATEWAY_API_EXPERIMENTS, "XBackendTrafficPolicy"): _EXPERIMENT,
    (GATEWAY_API_EXPERIMENTS, "XListenerSet"): _EXPERIMENT,
    ("maistra.io", "ServiceMeshControlPlane"): _OPERATOR,
    ("sailoperator.io", "Istio"): _OPERATOR,
    ("sailoperator.io", "IstioRevision"): _OPERATOR,
}
"""(group, kind) of what may decide a request and is not compiled, each with the reason."""


def classify(manifest: Manifest) -> Disposition:
    """Return how a manifest is treated."""
    kind = (manifest.group, manifest.kind)
    if kind in NOT_ENFORCED:
        return "not enforced"
    if kind in READ:
        return "read" if _is_known_version(manifest) else "refused"
    if kind in REFUSED:
        return "refused"
    of_istio = manifest.group == GATEWAY_API or manifest.group.endswith(".istio.io")
    may_decide = of_istio and kind not in WITHOUT_TRAFFIC and manifest.group not in REMOVED_GROUPS
    # `apiVersion: security.istio.io` names no version, and so no group.
    without_group = not manifest.group and manifest.version != "v1"
    return "refused" if may_decide or without_group else "passed over"


def refusal(manifest: Manifest) -> ManifestError:
    """Return the reason for which `classify` refuses a manifest."""
    if (manifest.group, manifest.kind) in READ:
        current = "/".join(filter(None, (manifest.group, (_versions(manifest) or ("v1",))[0])))
        return (
            Where(manifest).key("apiVersion").error(f"{manifest.api_version} is not known; write {current}.")
        )
    if not manifest.group and manifest.version != "v1":
        return (
            Where(manifest)
            .key("apiVersion")
            .error(f"{manifest.api_version} is not known; write GROUP/VERSION.")
        )
    reason = REFUSED.get(
        (manifest.group, manifest.kind), "it may change the outcome of a request, and it is not compiled"
    )
    return (
        Where(manifest)
        .key("kind")
        .error(f"{manifest.api_version} {manifest.kind} is not supported: {reason}.")
    )


def is_old_version(manifest: Manifest) -> bool:
    """Return whether a newer version of the manifest's kind has the same fields."""
    if manifest.group == GATEWAY_API and manifest.kind in _JUST_GRADUATED:
        return False
    return manifest.version in _versions(manifest)[1:]


def _is_known_version(manifest: Manifest) -> bool:
    known = _versions(manifest) if manifest.group else ("v1",)
    return not known or manifest.version in known


def _versions(manifest: Manifest) -> tuple[str, ...]:
    if manifest.group == GATEWAY_API:
        return _GATEWAY_API_VERSIONS.get(manifest.kind, ())
    usual = _VERSIONS.get(manifest.group, ())
    return _KIND_VERSIONS.get((manifest.group, manifest.kind), usual)
