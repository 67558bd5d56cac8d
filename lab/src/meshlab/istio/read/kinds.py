"""Which kinds the compiler reads, which it passes over by name, and which it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = ["COMPILED", "NOT_ENFORCED", "WITHOUT_TRAFFIC", "classify"]

NETWORKING, SECURITY, TELEMETRY = "networking.istio.io", "security.istio.io", "telemetry.istio.io"

COMPILED = frozenset(
    {
        (NETWORKING, "Gateway"),
        (NETWORKING, "VirtualService"),
        (SECURITY, "RequestAuthentication"),
        (SECURITY, "AuthorizationPolicy"),
        (SECURITY, "PeerAuthentication"),
        (TELEMETRY, "Telemetry"),
        ("", "Service"),
        ("", "ServiceAccount"),
        ("", "Namespace"),
        ("apps", "Deployment"),
    }
)
"""(group, kind) of everything that shapes the compiled configuration; all of them in version `v1`."""

WITHOUT_TRAFFIC = frozenset(
    {
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
"""(group, kind) of what never decides the fate of a request; passed over."""

NOT_ENFORCED = frozenset({("networking.k8s.io", "NetworkPolicy")})
"""(group, kind) of what a cluster enforces outside Envoy; the lab does not, and lists it in `Mesh.not_enforced`."""

_UNSUPPORTED = {
    (NETWORKING, "DestinationRule"): "the lab keeps to Istio's defaults for every destination",
    (
        NETWORKING,
        "EnvoyFilter",
    ): "its patches depend on istiod's exact output, which the lab does not reproduce",
    (NETWORKING, "ProxyConfig"): "the lab keeps to Istio's default proxy settings",
    (NETWORKING, "ServiceEntry"): "the lab's mesh has no hosts outside it",
    (NETWORKING, "Sidecar"): "outbound listeners of sidecars are not compiled",
    (NETWORKING, "WorkloadEntry"): "workloads of the lab are Deployments",
    (NETWORKING, "WorkloadGroup"): "workloads of the lab are Deployments",
    ("extensions.istio.io", "WasmPlugin"): "the lab's Envoy runs no plugins",
}


def classify(manifest: Manifest) -> str:
    """Say what becomes of a manifest.

    Returns:
        `compiled`, `without-traffic` or `not-enforced`.

    Raises:
        ManifestError: The kind or its version is none that the lab reads.
    """
    kind = (manifest.group, manifest.kind)
    if kind in WITHOUT_TRAFFIC:
        return "without-traffic"
    if kind in NOT_ENFORCED:
        return "not-enforced"
    if kind in COMPILED and manifest.version == "v1":
        return "compiled"
    if kind in COMPILED:
        current = f"{manifest.group}/v1" if manifest.group else "v1"
        raise Where(manifest, "apiVersion").error(f"{manifest.api_version} is not read; write {current}.")
    reason = _UNSUPPORTED.get(kind, "it may decide the fate of a request, and the lab does not know how")
    problem = (
        f"{manifest.api_version} {manifest.kind} is not supported: {reason}. Leave it out of the lab's build."
    )
    raise Where(manifest, "kind").error(problem)
