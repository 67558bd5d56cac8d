"""Notes on DestinationRules and Sidecars: what Istio accepts although it is a mistake, one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import full_name, is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.read.destination_rule import ClientTls, DestinationRule
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.sidecar import Sidecar
    from meshlab.manifest import Problem

__all__ = ["outbound_notes"]


def outbound_notes(mesh: Mesh) -> Iterator[Problem]:
    """Yield the notes on the DestinationRules and Sidecars of a mesh."""
    refused = any("ServiceEntry" in problem.subject for one in mesh.refusals for problem in one.problems)
    named = frozenset(_named_subsets(mesh))
    for rule in mesh.destination_rules:
        for where, code, text in _on_rule(mesh, rule, named, knows_all=not refused):
            yield where.manifest.problem(where.keys, text, code=code)
    for sidecar in mesh.sidecars:
        for where, code, text in _on_sidecar(mesh, sidecar):
            yield where.manifest.problem(where.keys, text, code=code)


def _on_rule(
    mesh: Mesh, rule: DestinationRule, named: frozenset[tuple[str, str]], *, knows_all: bool
) -> Iterator[tuple[Where, str, str]]:
    services = [each for each in mesh.registry.services if is_subset(each.hostname, rule.host)]
    if not services and knows_all:
        yield rule.where.key("host"), "ML401", f"there is no service {rule.host}, so the rule has no effect."
    for index, subset in enumerate(rule.subsets):
        if services and not _has_servers(services, subset.labels):
            place = rule.where.key("subsets").item(index).key("labels")
            lacking = f"no server of {rule.host} has these labels"
            if any((service.hostname, subset.name) in named for service in services):
                yield place, "ML402", f"{lacking}; requests to the subset are answered 503."
            else:
                yield place, "ML411", f"{lacking}, and no route names the subset."
    for policy in (rule.policy, *(subset.policy for subset in rule.subsets)):
        for each in (policy, *policy.ports.values()) if policy else ():
            if each.tls:
                yield from _on_tls(mesh, rule, each.tls)


def _named_subsets(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """Yield the host and the name of each subset that a route or a mirror leads to."""
    for service in mesh.virtual_services:
        routed = [each.destination for rule in service.http for each in rule.destinations]
        routed += [each.destination for rule in service.http for each in rule.all_mirrors]
        routed += [each.destination for rule in service.tls for each in rule.destinations]
        routed += [each.destination for rule in service.tcp for each in rule.destinations]
        for found in routed:
            if found.subset:
                yield full_name(found.host, service.namespace), found.subset


def _has_servers(services: list[MeshService], labels: Mapping[str, str]) -> bool:
    if any(service.resolution in ("original", "dynamic dns") for service in services):
        return True
    # Locality labels come from the nodes, which manifests do not hold.
    own = {key: value for key, value in labels.items() if not (value and key.startswith(_LOCALITY))}
    return any(
        own.items() <= endpoint.labels.items()
        for service in services
        for endpoints in service.endpoints.values()
        for endpoint in endpoints
    )


def _sidecars_see(mesh: Mesh, rule: DestinationRule) -> bool:
    """Return whether a rule is visible to sidecars: to every namespace, or to one in which a workload has one."""
    namespaces = rule.export_to or mesh.settings.destination_rule_export_to
    return "*" in namespaces or any(
        workload.proxy == "sidecar" and workload.ref.namespace in namespaces for workload in mesh.workloads
    )


def _on_tls(mesh: Mesh, rule: DestinationRule, tls: ClientTls) -> Iterator[tuple[Where, str, str]]:
    if tls.mode not in ("SIMPLE", "MUTUAL"):
        return
    by_config_map = tls.credential_name.startswith("configmap://")
    if tls.credential_name and not by_config_map and rule.selector is None and _sidecars_see(mesh, rule):
        problem = "counts at gateways alone: sidecars send plaintext. Add a workloadSelector for them."
        yield tls.where.key("credentialName"), "ML403", problem
    if tls.insecure_skip_verify:
        yield (
            tls.where.key("insecureSkipVerify"),
            "ML404",
            "any server is taken, with a certificate of any authority.",
        )
    elif tls.sni and not tls.subject_alt_names:
        problem = (
            "with sni and without subjectAltNames any certificate of the CA is taken; add subjectAltNames."
        )
        yield tls.where.key("sni"), "ML405", problem


_LOCALITY = ("topology.kubernetes.io/", "topology.istio.io/", "failure-domain.beta.kubernetes.io/")


def _on_sidecar(mesh: Mesh, sidecar: Sidecar) -> Iterator[tuple[Where, str, str]]:
    if sidecar.selector is not None and not any(
        workload.proxy == "sidecar"
        and workload.ref.namespace == sidecar.namespace
        and sidecar.selector.items() <= workload.labels.items()
        for workload in mesh.workloads
    ):
        yield (
            sidecar.where.key("workloadSelector"),
            "ML208",
            "selects no workload with a sidecar, so it has no effect.",
        )
    for index, listener in enumerate(sidecar.egress):
        for position, (scope, host) in enumerate(listener.hosts):
            if scope.startswith("~") or host.startswith("*"):
                continue
            namespace = sidecar.namespace if scope == "." else scope
            known = mesh.registry.by_hostname.get(host, {})
            routed = any(host in service.hosts for service in mesh.virtual_services)
            if not routed and not (known if namespace == "*" else namespace in known):
                place = sidecar.where.key("egress").item(index).key("hosts").item(position)
                yield place, "ML209", f"namespace {scope} has no service {host}, so nothing is imported."
