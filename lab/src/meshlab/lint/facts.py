"""What rules look at: the objects as written, the mesh that they describe, and questions that several rules ask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from meshlab.istio.read.fields import Where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy, Rule, Values
    from meshlab.istio.read.request_authentication import JwtRule
    from meshlab.manifest import Manifest

__all__ = ["Facts", "account_of", "asks_for_token", "egress_ranges", "listed", "mapping", "named_values"]


@dataclass(frozen=True)
class Facts:
    """Manifests, read.

    Attributes:
        manifests: Every object.
        mesh: What they describe together.
    """

    manifests: tuple[Manifest, ...]
    mesh: Mesh

    def of_kind(self, kind: str, group: str = "") -> list[Manifest]:
        """Return the objects of one kind."""
        return [each for each in self.manifests if (each.group, each.kind) == (group, kind)]

    @cached_property
    def workloads(self) -> list[Workload]:
        """The workloads that the manifests hold."""
        return [workload for workload in self.mesh.workloads if not workload.assumed]

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of workloads."""
        return frozenset(workload.ref.namespace for workload in self.workloads)

    def reached(self, policy: AuthorizationPolicy) -> list[Workload]:
        """Return the workloads with a proxy that a policy reaches."""
        return [
            workload
            for workload in self.mesh.workloads
            if workload.injected
            and policy.attachment.reaches(workload.ref.namespace, workload.labels, self.mesh.root_namespace)
        ]

    def jwt_rules(self, workload: Workload) -> list[JwtRule]:
        """Return the issuers whose tokens a workload's proxy checks."""
        found = self.mesh.attached_to(workload, self.mesh.request_authentications)
        return [rule for each in found for rule in each.rules]

    def policies(self, workload: Workload) -> list[AuthorizationPolicy]:
        """Return the policies of a workload's proxy."""
        return self.mesh.attached_to(workload, self.mesh.authorization_policies)


def named_values(policy: AuthorizationPolicy, *fields: str) -> Iterator[tuple[Where, str]]:
    """Yield what the rules of a policy name in fields of `from.source` or `to.operation`, each with its place."""
    spec = Where(policy.attachment.where.manifest, ("spec", "rules"))
    for index, rule in enumerate(policy.rules):
        for outer, inner, entries in (("from", "source", rule.sources), ("to", "operation", rule.operations)):
            for number, entry in enumerate(entries):
                for field in fields:
                    if field not in entry:
                        continue
                    place = spec.item(index).key(outer).item(number).key(inner)
                    yield from _in(place, field, entry[field])


def _in(place: Where, field: str, values: Values) -> Iterator[tuple[Where, str]]:
    for position, value in enumerate(values.any_of):
        yield place.key(field).item(position), value
    excluded = f"not{field[0].upper()}{field[1:]}"
    for position, value in enumerate(values.none_of):
        yield place.key(excluded).item(position), value


def asks_for_token(rule: Rule) -> bool:
    """Return whether a rule of a policy says anything of the caller's token."""
    in_sources = any("requestPrincipals" in source for source in rule.sources)
    return in_sources or any(condition.key.startswith("request.auth.") for condition in rule.conditions)


def mapping(holder: object, *path: str) -> Mapping[str, Any]:
    """Return a mapping of an object as written; empty where there is none."""
    value: Any = holder
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def listed(holder: object, name: str) -> Sequence[Any]:
    """Return a list of an object as written; empty where there is none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else ()


def account_of(value: str, namespace: str) -> tuple[str, str] | None:
    """Return (namespace, ServiceAccount) of a value of `principals` or `serviceAccounts`; `None` for a pattern.

    Args:
        value: `domain/ns/NAMESPACE/sa/NAME`, `NAMESPACE/NAME` or `NAME`.
        namespace: The namespace of the policy.
    """
    if "*" in value:
        return None
    _, marker, rest = value.partition("/ns/")
    if marker:
        found, marker, name = rest.partition("/sa/")
        return (found, name) if marker else None
    parts = value.split("/")
    return (parts[0], parts[1]) if len(parts) == 2 else (namespace, value)


def egress_ranges(policy: Manifest) -> Iterator[tuple[Where, str]]:
    """Yield the address ranges of a NetworkPolicy's egress rules, each with its place."""
    for index, rule in enumerate(listed(mapping(policy.body, "spec"), "egress")):
        for number, peer in enumerate(listed(rule, "to")):
            cidr = mapping(peer, "ipBlock").get("cidr")
            if isinstance(cidr, str):
                yield Where(policy, ("spec", "egress", index, "to", number, "ipBlock", "cidr")), cidr
