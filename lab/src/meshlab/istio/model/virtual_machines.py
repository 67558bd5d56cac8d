"""Virtual machines of the mesh: servers outside of the cluster that have a sidecar and an identity of their own.

A WorkloadEntry with a service account is one. Clients of the mesh speak mutual TLS to it. Its sidecar enforces the
policies that select it, and no such sidecar is run here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.trust import Refusal, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.attachment import Attachment

__all__ = ["machine_identities", "policies_of_machines"]


def machine_identities(mesh: Mesh) -> Mapping[str, str]:
    """Return the SPIFFE id that a server outside of the cluster shows to clients of the mesh, by its address."""
    return {
        endpoint.address: endpoint.identity
        for service in mesh.registry.services
        for endpoints in service.endpoints.values()
        for endpoint in endpoints
        if endpoint.workload is None and endpoint.takes_mtls and endpoint.identity
    }


def policies_of_machines(mesh: Mesh) -> Iterator[Refusal]:
    """Yield a refusal for each WorkloadEntry whose own sidecar would decide about requests."""
    attachments = [
        policy.attachment
        for policies in (mesh.authorization_policies, mesh.request_authentications)
        for policy in policies
    ]
    for entry in mesh.workload_entries:
        deciding = [
            each
            for each in attachments
            if entry.endpoint.takes_mtls
            and each.reaches(entry.namespace, entry.endpoint.labels, mesh.root_namespace)
        ]
        if deciding and (hosts := _hosts(mesh, entry.endpoint.address)):
            problem = (
                f"{_names(deciding)} would be enforced by the sidecar of this machine, and none is run for it; "
                "write a Deployment with its labels in its place to judge its requests."
            )
            where = entry.endpoint.where
            yield Refusal(
                (where.manifest.problem(where.keys, problem),),
                (Scope(direction="outbound", hosts=hosts),),
                is_right=True,
            )


def _hosts(mesh: Mesh, address: str) -> tuple[str, ...]:
    found = (
        service.hostname
        for service in mesh.registry.services
        for endpoints in service.endpoints.values()
        if any(each.workload is None and each.address == address for each in endpoints)
    )
    return tuple(dict.fromkeys(found))


def _names(deciding: list[Attachment]) -> str:
    return " and ".join(dict.fromkeys(each.where.manifest.subject for each in deciding))
