"""Choice of the DestinationRule for a client and a host, and its settings for one port.

Follows `pilot/pkg/model/{push_context,destination_rule,sidecar}.go`: rules of one namespace for one host are merged.
A rule is looked for in the client's namespace, then in the service's, then in the root namespace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from meshlab.istio.read.destination_rule import TrafficPolicy
from meshlab.istio.read.export_to import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.read.destination_rule import ClientTls, DestinationRule, Subset

__all__ = ["DestinationRules", "MergedRule", "endpoint_tls_mode", "most_specific_host", "policy_for"]

_EMPTY = TrafficPolicy()


@dataclass(frozen=True, eq=False)
class MergedRule:
    """DestinationRules of one namespace for one host, as one.

    Attributes:
        host: The host that the rules name.
        namespace: Their namespace.
        policy: The policy of the first that has one.
        subsets: The subsets of all, of each name the first.
        selector: Labels of the workloads that it is for; `None` for all.
        export_to: Namespaces that see it; empty for all.
        rules: The rules, in order.
    """

    host: str
    namespace: str
    policy: TrafficPolicy | None
    subsets: tuple[Subset, ...]
    selector: Mapping[str, str] | None
    export_to: frozenset[str]
    rules: tuple[DestinationRule, ...]

    def subset(self, name: str) -> Subset | None:
        """Return the subset of that name."""
        return next((subset for subset in self.subsets if subset.name == name), None)


class DestinationRules:
    """All DestinationRules of a mesh, merged."""

    def __init__(self, mesh: Mesh) -> None:
        self._root = mesh.root_namespace
        self._local: dict[str, dict[str, list[MergedRule]]] = {}
        self._exported: dict[str, dict[str, list[MergedRule]]] = {}
        self._root_local: dict[str, list[MergedRule]] = {}
        private_by_default = "." in mesh.settings.destination_rule_export_to
        ordered = sorted(
            mesh.destination_rules,
            key=lambda rule: (rule.selector is None, rule.created, rule.name, rule.namespace),
        )
        for rule in ordered:
            own = rule.namespace
            export_to = frozenset([own]) if rule.selector is not None else frozenset(rule.export_to)
            if not export_to or export_to & {EVERYWHERE, own}:
                _merge(self._local.setdefault(own, {}), rule, export_to)
            if (not export_to and private_by_default) or export_to == {own}:
                if own == self._root:
                    _merge(self._root_local, rule, export_to)
            else:
                _merge(self._exported.setdefault(own, {}), rule, export_to)

    @cached_property
    def selector_keys(self) -> frozenset[str]:
        """The labels by which rules choose workloads."""
        rules = [rule for by_host in self._local.values() for merged in by_host.values() for rule in merged]
        return frozenset(key for rule in rules for key in rule.selector or ())

    def candidates(self, client_namespace: str, service: MeshService) -> list[MergedRule]:
        """Return the rules for a service that clients of a namespace see; which of them depends on the workload."""
        # Rules of the root namespace count everywhere, so its own clients use only its private rules before the rest.
        local = self._root_local if client_namespace == self._root else self._local.get(client_namespace, {})
        host = most_specific_host(service.hostname, local)
        if host is not None:
            return local[host]
        for namespace in (service.namespace, self._root):
            exported = self._exported.get(namespace, {})
            host = most_specific_host(service.hostname, exported)
            if host is not None:
                found = [
                    rule
                    for rule in exported[host]
                    if not rule.export_to or rule.export_to & {EVERYWHERE, client_namespace}
                ]
                if found:
                    return found
        return []

    def rule_for(
        self, client_namespace: str, labels: Mapping[str, str], service: MeshService
    ) -> MergedRule | None:
        """Return the rule that a workload's proxy follows for a service.

        Args:
            client_namespace: The workload's namespace.
            labels: Its labels.
            service: The service that it calls.
        """
        found: MergedRule | None = None
        for rule in self.candidates(client_namespace, service):
            if rule.selector is None:
                found = rule
            elif rule.namespace == client_namespace and rule.selector.items() <= labels.items():
                return rule
        return found


def most_specific_host(hostname: str, hosts: Iterable[str]) -> str | None:
    """Return the narrowest of the hosts that covers a name (`pilot/pkg/model/config.go#MostSpecificHostMatch`)."""
    known = hosts if isinstance(hosts, dict) else set(hosts)
    if hostname in known:
        return hostname
    name = hostname.removeprefix("*")
    fitting = [host for host in known if host.startswith("*") and name.endswith(host[1:])]
    return min(fitting, key=lambda host: (-len(host), host)) if fitting else None


def policy_for(rule: MergedRule | None, port: int, subset: str = "") -> TrafficPolicy:
    """Return the traffic policy for one port of a host, or of one of its subsets.

    Settings of a port replace those of the host as a whole. A subset's replace those of the host one by one
    (`pilot/pkg/networking/util/util.go#MergeSubsetTrafficPolicy`).
    """
    if rule is None:
        return _EMPTY
    wide = _at_port(rule.policy, port)
    chosen = rule.subset(subset) if subset else None
    if chosen is None or chosen.policy is None:
        return wide or _EMPTY
    narrow = _at_port(chosen.policy, port) or _EMPTY
    if wide is None or port in chosen.policy.ports:
        return narrow
    merged = wide
    if narrow.tls is not None:
        merged = replace(merged, tls=narrow.tls)
    if narrow.balancer:
        merged = replace(merged, passthrough=narrow.passthrough, balancer=True)
    if narrow.pool:
        merged = replace(
            merged,
            h2_upgrade=narrow.h2_upgrade,
            use_client_protocol=narrow.use_client_protocol,
            pool=True,
        )
    return merged


def endpoint_tls_mode(rule: MergedRule | None, port: int, subset: str = "") -> str | None:
    """Return the TLS mode that marks endpoints, `None` where each endpoint's own state counts.

    Unlike the policy of a cluster, a port without TLS settings inherits those of the host here
    (`pilot/pkg/xds/endpoints/mtls_checker.go`).
    """
    if rule is None:
        return None
    chosen = rule.subset(subset) if subset else None
    for policy in (chosen.policy if chosen else None, rule.policy):
        tls = _tls_at_port(policy, port)
        if tls is not None:
            return tls.mode
    return None


def _tls_at_port(policy: TrafficPolicy | None, port: int) -> ClientTls | None:
    if policy is None:
        return None
    at_port = policy.ports.get(port)
    return at_port.tls if at_port and at_port.tls else policy.tls


def _at_port(policy: TrafficPolicy | None, port: int) -> TrafficPolicy | None:
    return policy.ports.get(port, policy) if policy else None


def _merge(by_host: dict[str, list[MergedRule]], rule: DestinationRule, export_to: frozenset[str]) -> None:
    """Add a rule to those of its host (`pilot/pkg/model/destination_rule.go#mergeDestinationRule`)."""
    known = by_host.setdefault(rule.host, [])
    separate = True
    for index, merged in enumerate(known):
        if export_to == merged.export_to:
            separate = False
        else:
            separate = True
            if not (merged.export_to and export_to > merged.export_to):
                continue
        selective = rule.selector is not None, merged.selector is not None
        if all(selective) and rule.selector != merged.selector:
            separate = True
            continue
        if selective == (False, False) or all(selective):
            separate = False
        names = {subset.name for subset in merged.subsets}
        known[index] = replace(
            merged,
            policy=merged.policy or rule.policy,
            subsets=(*merged.subsets, *(subset for subset in rule.subsets if subset.name not in names)),
            rules=(*merged.rules, rule),
        )
    if separate:
        known.append(
            MergedRule(
                host=rule.host,
                namespace=rule.namespace,
                policy=rule.policy,
                subsets=rule.subsets,
                selector=rule.selector,
                export_to=export_to,
                rules=(rule,),
            )
        )
