"""Workloads that send: those of the meshes, and declared ones for identities and namespaces that have none.

A declared workload has a sidecar, a port, and a label of its own. So it is also what a policy for a whole namespace or
for the whole mesh is seen at, where the manifests have no workload of their own for that. Where a route asks for labels
that no workload has, one is declared with these labels, and without a port.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.route_sources import labelled_sources
from meshlab.bench.case import DeclaredWorkload
from meshlab.bench.declared import declared_manifests
from meshlab.istio.model.workload import workload_of
from meshlab.istio.read.pods import read_pod
from meshlab.istio.read.services import read_service
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from meshlab.istio import Mesh
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy

__all__ = ["declared_clients", "with_declared"]

_DEFAULT, _STRANGER, _LABELLED = "default", "stranger", "labelled"
_MOST_DECLARED = 24
_EVERYWHERE = ("*", "~", ".")
_PORTS = {8080: "http"}
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_ACCOUNT = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
"""What Kubernetes takes for names of namespaces and of service accounts. No pod has another identity."""


def declared_clients(meshes: Sequence[Mesh]) -> dict[WorkloadRef, DeclaredWorkload]:
    """Return the workloads to declare: one for each identity and namespace without one, and a stranger."""
    real = [workload for mesh in meshes for workload in mesh.workloads]
    taken = {workload.ref for workload in real}
    accounts = {
        (workload.ref.namespace, workload.service_account) for workload in real if not workload.is_gateway
    }
    closed = {workload.ref.namespace for workload in real if workload.is_gateway}
    closed |= {mesh.root_namespace for mesh in meshes}
    senders = {namespace for namespace, _ in accounts}
    declared: dict[WorkloadRef, DeclaredWorkload] = {}
    wanted = dict.fromkeys(pair for mesh in meshes for pair in _wanted(mesh))
    for namespace, account in ((_STRANGER, _STRANGER), *wanted):
        known = (namespace, account) in accounts or (not account and namespace in senders)
        can_be = _NAMESPACE.fullmatch(namespace) and (not account or _ACCOUNT.fullmatch(account))
        if known or not can_be or namespace in closed or len(declared) >= _MOST_DECLARED:
            continue
        own = account or _DEFAULT
        ref = _free(WorkloadRef(namespace, own), taken)
        taken.add(ref)
        accounts.add((namespace, own))
        senders.add(namespace)
        labels = {"app": f"{ref.name}-of-the-battery"}
        declared[ref] = DeclaredWorkload(labels, own, ports=_PORTS)
    _declare_labelled(meshes, declared, closed, taken)
    return declared


def _declare_labelled(
    meshes: Sequence[Mesh],
    declared: dict[WorkloadRef, DeclaredWorkload],
    closed: Collection[str],
    taken: set[WorkloadRef],
) -> None:
    """Declare a workload for labels that a route asks for and no workload has.

    It has no port and so no Service. Where a Service selects the labels it would answer for that one, so there is none.
    """
    known = [each for mesh in meshes for each in mesh.workloads]
    sources = dict.fromkeys(
        (source.namespace, tuple(sorted(source.labels.items())))
        for mesh in meshes
        for source in labelled_sources(mesh)
        if not any(map(source.takes, known))
    )
    for namespace, wanted in sources:
        labels = dict(wanted)
        selected = any(
            service.selector and service.selector.items() <= labels.items()
            for mesh in meshes
            for service in mesh.services
            if service.namespace == namespace
        )
        if (
            selected
            or not _NAMESPACE.fullmatch(namespace)
            or namespace in closed
            or len(declared) >= _MOST_DECLARED
        ):
            continue
        ref = _free(WorkloadRef(namespace, _LABELLED), taken)
        taken.add(ref)
        declared[ref] = DeclaredWorkload(labels, _DEFAULT, ports={})


def with_declared(mesh: Mesh, declared: Mapping[WorkloadRef, DeclaredWorkload]) -> Mesh:
    """Return a mesh that has the declared workloads and their Services."""
    manifests = list(declared_manifests(declared))
    services = [read_service(manifest) for manifest in manifests if manifest.kind == "Service"]
    pods = [read_pod(manifest) for manifest in manifests if manifest.kind == "Pod"]
    workloads = [workload_of(pod, pod.own_proxy or "sidecar", services, ()) for pod in pods]
    return replace(
        mesh,
        workloads=tuple(sorted((*mesh.workloads, *workloads), key=lambda workload: workload.ref)),
        services=(*mesh.services, *services),
    )


def _wanted(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """Yield the namespaces that manifests mention as clients, with a service account where one is named."""
    for policy in mesh.authorization_policies:
        yield from _named(policy, mesh.trust_domain)
    attachments = [policy.attachment for policy in mesh.authorization_policies]
    attachments += [policy.attachment for policy in mesh.request_authentications]
    attachments += [policy.attachment for policy in mesh.peer_authentications]
    for attachment in attachments:
        if not attachment.selector and not attachment.target_refs:
            yield attachment.namespace, ""
    for service in mesh.virtual_services:
        if "mesh" in service.gateways:
            yield service.namespace, ""
        yield from ((namespace, "") for namespace in service.export_to if namespace not in _EVERYWHERE)
        for route in service.http:
            for match in route.matches:
                if match.source_namespace:
                    yield match.source_namespace, ""
    for sidecar in mesh.sidecars:
        if sidecar.selector is None:
            yield sidecar.namespace, ""
    for entry in mesh.service_entries:
        yield entry.namespace, ""
        yield from ((namespace, "") for namespace in entry.export_to if namespace not in _EVERYWHERE)


def _named(policy: AuthorizationPolicy, trust_domain: str) -> Iterator[tuple[str, str]]:
    for rule in policy.rules:
        keyed = [(key, values) for source in rule.sources for key, values in source.items()]
        keyed += [(condition.key.removeprefix("source."), condition.values) for condition in rule.conditions]
        for key, values in keyed:
            for value in (*values.any_of, *values.none_of):
                yield from _client(key, value, policy.attachment.namespace, trust_domain)


def _client(key: str, value: str, policy_namespace: str, trust_domain: str) -> Iterator[tuple[str, str]]:
    if key in ("namespaces", "namespace") and "*" not in value:
        yield value, ""
    if key in ("serviceAccounts", "serviceAccount"):
        namespace, slash, account = value.rpartition("/")
        yield (namespace if slash else policy_namespace), account
    if key in ("principals", "principal"):
        domain, _, rest = value.partition("/ns/")
        namespace, slash, account = rest.partition("/sa/")
        if (
            domain in (trust_domain, "cluster.local")
            and slash
            and "*" not in namespace
            and "/" not in namespace
        ):
            yield namespace, "" if "*" in account else account


def _free(ref: WorkloadRef, taken: set[WorkloadRef]) -> WorkloadRef:
    number = 2
    found = ref
    while found in taken:
        found = WorkloadRef(ref.namespace, f"{ref.name}-{number}")
        number += 1
    return found
