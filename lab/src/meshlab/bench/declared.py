"""Workloads that a case file declares, as the pods that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.bench.case import DeclaredWorkload
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["declared_manifests"]

_PROXIES = {"sidecar": "sidecar", "gateway": "router"}


def declared_manifests(workloads: Mapping[WorkloadRef, DeclaredWorkload]) -> Iterator[Manifest]:
    """Yield a Pod for each workload, and a Service for those that have ports.

    Args:
        workloads: The workloads of a case file.
    """
    for ref, declared in workloads.items():
        labels = dict(declared.labels) or {"app": ref.name}
        yield _manifest("v1", "Pod", ref, {"metadata": {"labels": labels}, "spec": _pod(declared)})
        if declared.ports and declared.proxy != "gateway":
            ports = [
                {"name": f"{protocol}-{number}", "port": number, "targetPort": number}
                for number, protocol in declared.ports.items()
            ]
            yield _manifest("v1", "Service", ref, {"spec": {"selector": labels, "ports": ports}})


def _pod(declared: DeclaredWorkload) -> dict[str, Any]:
    containers: list[dict[str, Any]] = [
        {"name": "app", "ports": [{"containerPort": number} for number in declared.ports]}
    ]
    if declared.proxy in _PROXIES:
        containers.append({"name": "istio-proxy", "args": ["proxy", _PROXIES[declared.proxy]]})
    pod: dict[str, Any] = {"serviceAccountName": declared.service_account, "containers": containers}
    # The network of the node is what keeps Istio's webhook away whatever the namespace says.
    return pod if declared.proxy in _PROXIES else {**pod, "hostNetwork": True}


def _manifest(api_version: str, kind: str, ref: WorkloadRef, parts: Mapping[str, Any]) -> Manifest:
    metadata = {"name": ref.name, "namespace": ref.namespace, **parts.get("metadata", {})}
    body = {"apiVersion": api_version, "kind": kind, **parts, "metadata": metadata}
    return Manifest(api_version, kind, ref.name, ref.namespace, body, "the case file's workloads")
