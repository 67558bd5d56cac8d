"""Notes on what is legal in Istio and hardly intended: missing references, and assumptions.

In a cluster such slips are silent: a route to nowhere is a 503, a policy that selects nothing is no policy. The bench
does as Istio does, and says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.model.assumed import INSTALLED
from meshlab.istio.model.gateway_chains import PRIVILEGED, envoy_refuses, gateway_chains
from meshlab.istio.model.outbound_notes import outbound_notes
from meshlab.istio.model.route_notes import route_notes
from meshlab.istio.model.workload import target_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.attachment import Attachment
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.pods import Pod
    from meshlab.manifest import Problem

__all__ = ["notes_on"]


def notes_on(
    mesh: Mesh,
    pods: Sequence[Pod],
    accounts: set[tuple[str, str]],
    injects: Mapping[str, bool | None],
) -> Iterator[Problem]:
    """Yield what the owner of the manifests should know.

    Args:
        mesh: The mesh.
        pods: The pod templates of the manifests.
        accounts: (namespace, name) of every ServiceAccount.
        injects: Namespace to what its labels say about injection, for the namespaces of the manifests.
    """
    yield from _on_pods(pods, accounts, injects)
    yield from _on_gateways(mesh)
    yield from _on_gateway_ports(mesh)
    yield from route_notes(mesh, _service_ports(mesh))
    yield from outbound_notes(mesh)
    yield from _on_providers(mesh)
    for attachment in _attachments(mesh):
        yield from _on_selector(mesh, attachment)


def _service_ports(mesh: Mesh) -> dict[str, set[int]]:
    """Return the ports of every name; several services may have one name, each seen from other namespaces."""
    found: dict[str, set[int]] = {}
    for service in mesh.registry.services:
        found.setdefault(service.hostname, set()).update(port.number for port in service.ports)
    return found


def _note(where: Where, code: str, text: str) -> Problem:
    return where.manifest.problem(where.keys, text, code=code)


def _on_pods(
    pods: Sequence[Pod], accounts: set[tuple[str, str]], injects: Mapping[str, bool | None]
) -> Iterator[Problem]:
    unknown: set[str] = set()
    for pod in pods:
        account = (pod.ref.namespace, pod.service_account)
        if pod.service_account != "default" and account not in accounts:
            where = pod.where.key("spec", "serviceAccountName")
            yield _note(where, "ML501", f"there is no ServiceAccount {'/'.join(account)} in the manifests.")
        if pod.own_proxy:  # it does not ask for injection
            continue
        if pod.ref.namespace not in injects and pod.ref.namespace not in unknown:
            unknown.add(pod.ref.namespace)
            problem = f"the manifests do not hold Namespace {pod.ref.namespace}, so its injection labels are not known."
            yield _note(pod.where, "ML502", problem)
        if pod.template == "gateway" and not (injects.get(pod.ref.namespace) or pod.webhook_label):
            problem = 'the gateway template needs injection; add the label sidecar.istio.io/inject: "true".'
            yield _note(pod.where.key("metadata", "labels"), "ML503", problem)


def _on_gateways(mesh: Mesh) -> Iterator[Problem]:
    for gateway in mesh.gateways:
        found = [
            workload
            for workload in mesh.workloads
            if workload.is_gateway and gateway.selects(workload.ref.namespace, workload.labels)
        ]
        # A listener without any Service has a note of its own.
        if found and all(workload.assumed for workload in found):
            names = ", ".join(str(workload.ref) for workload in found)
            problem = f"selects no workload of the manifests; the gateway {names} is assumed."
            where = gateway.where.key("selector" if gateway.services is None else "addresses")
            is_standard = all(workload.ref in INSTALLED.values() for workload in found)
            yield _note(where, "ML114" if is_standard else "ML101", problem)
    for workload in mesh.workloads:
        if not workload.is_gateway or workload.assumed:
            continue
        ports = [port for service in mesh.services_of(workload) for port in service.ports]
        # A number that no Service has is taken for the pod's own.
        have = {port.number for port in ports} | {target_number(workload.named_ports, port) for port in ports}
        for gateway, server in mesh.servers(workload):
            if gateway.services is None and have and server.port not in have:
                problem = f"no Service of {workload.ref} has port {server.port}, so only the pod's port leads to it."
                yield _note(server.where.key("port", "number"), "ML102", problem)


def _on_gateway_ports(mesh: Mesh) -> Iterator[Problem]:
    # Several workloads may be selected by one Gateway.
    yield from dict.fromkeys(_in_gateway_ports(mesh))


def _in_gateway_ports(mesh: Mesh) -> Iterator[Problem]:
    for gateway in mesh.gateways:
        yield from (replace(note, code="ML103") for note in gateway.notes)
    for workload in mesh.workloads:
        if not workload.is_gateway:
            continue
        merged = mesh.gateway_ports(workload)
        for dropped in merged.dropped:
            yield _note(dropped.server.where, "ML104", dropped.reason)
        for port in merged.ports:
            chains = gateway_chains(mesh, workload, port)
            last = port.groups[-1][-1].server
            if not chains:
                yield _note(last.where.key("port"), "ML105", _closed(workload, port.number))
            elif reason := envoy_refuses(chains):
                yield _note(last.where, "ML106", f"{reason}; Envoy refuses the whole port {port.number}.")


def _on_providers(mesh: Mesh) -> Iterator[Problem]:
    for policy in mesh.authorization_policies:
        if policy.action == "CUSTOM" and policy.provider not in mesh.usable_authorizers:
            problem = (
                f"the MeshConfig has no provider {policy.provider!r} whose service the manifests hold; then Istio "
                "denies what the policy selects."
            )
            where = policy.attachment.where.manifest
            yield where.problem(("spec", "provider"), problem, code="ML301")


def _closed(workload: Workload, port: int) -> str:
    if workload.unprivileged and port < PRIVILEGED:
        return f"{workload.ref} says that it cannot open ports below {PRIVILEGED}, so Istio does not open port {port}."
    return "no route says where its connections go, so Istio does not open the port."


def _attachments(mesh: Mesh) -> Iterator[Attachment]:
    for policies in (
        mesh.request_authentications,
        mesh.authorization_policies,
        mesh.peer_authentications,
        mesh.telemetries,
    ):
        for policy in policies:
            yield policy.attachment


def _on_selector(mesh: Mesh, attachment: Attachment) -> Iterator[Problem]:
    if not attachment.selector:
        return
    chosen = [
        workload
        for workload in mesh.workloads
        if attachment.reaches(workload.ref.namespace, workload.labels, mesh.root_namespace)
    ]
    machines = (
        entry
        for entry in mesh.workload_entries
        if attachment.reaches(entry.namespace, entry.endpoint.labels, mesh.root_namespace)
    )
    if not chosen and not any(machines):
        problem = "selects no workload, so it has no effect; correct the labels or the namespace."
        yield _note(attachment.where, "ML302", problem)
    for workload in chosen:
        if not workload.injected:
            problem = f"selects {workload.ref}, which has no proxy to enforce it; have it injected."
            yield _note(attachment.where, "ML303", problem)
