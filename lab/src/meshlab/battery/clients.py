"""Workloads that send: those of the meshes, and declared ones for identities and namespaces that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import DeclaredWorkload
from meshlab.istio.model.workload import Workload
from meshlab.istio.read.names import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio import Mesh
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy

__all__ = ["clients_of"]

_DEFAULT, _STRANGER = "default", "stranger"
_MOST_DECLARED = 24
_EVERYWHERE = ("*", "~", ".")


def clients_of(
    meshes: Sequence[Mesh],
) -> tuple[tuple[Workload, ...], dict[WorkloadRef, DeclaredWorkload]]:
    """Return the workloads that send requests, and those of them that no manifest holds.

    A declared workload has a sidecar, no port and a label of its own, so nothing but what is for its whole namespace
    applies to it, and nothing that others send can meet it.
    """
    real: dict[WorkloadRef, Workload] = {}
    for mesh in meshes:
        for workload in mesh.workloads:
            if not workload.is_gateway:
                real.setdefault(workload.ref, workload)
    taken = {workload.ref for mesh in meshes for workload in mesh.workloads}
    accounts = {(workload.ref.namespace, workload.service_account) for workload in real.values()}
    closed = {workload.ref.namespace for mesh in meshes for workload in mesh.workloads if workload.is_gateway}
    closed |= {mesh.root_namespace for mesh in meshes}
    senders = {namespace for namespace, _ in accounts}
    declared: dict[WorkloadRef, DeclaredWorkload] = {}
    clients = list(real.values())
    wanted = dict.fromkeys(pair for mesh in meshes for pair in _wanted(mesh))
    for namespace, account in (*wanted, (_STRANGER, _STRANGER)):
        known = (namespace, account) in accounts or (not account and namespace in senders)
        if known or namespace in closed or len(declared) >= _MOST_DECLARED:
            continue
        own = account or _DEFAULT
        ref = _free(WorkloadRef(namespace, own), taken)
        taken.add(ref)
        accounts.add((namespace, own))
        senders.add(namespace)
        labels = {"app": f"{ref.name}-of-the-battery"}
        declared[ref] = DeclaredWorkload(labels, own)
        clients.append(Workload(ref, labels, own, "sidecar", (), {}, assumed=True))
    return tuple(clients), declared


def _wanted(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """Yield the namespaces that manifests mention as clients, with a service account where one is named."""
    for policy in mesh.authorization_policies:
        yield from _named(policy, mesh.trust_domain)
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
