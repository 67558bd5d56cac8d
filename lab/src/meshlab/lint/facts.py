"""What rules look at: the objects as written, the mesh that they describe, and questions that several rules ask."""

from __future__ import annotations

import dataclasses
import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING, Any

from meshlab.istio.read.fields import Where
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy, Rule, Values
    from meshlab.istio.read.request_authentication import JwtRule
    from meshlab.manifest import Manifest

__all__ = [
    "Facts",
    "account_of",
    "asks_for_token",
    "egress_ranges",
    "gateway_credentials",
    "listed",
    "mapping",
    "named_values",
    "scalar",
    "takes_client_certificates",
]


@dataclass(frozen=True)
class Facts:
    """Manifests, read.

    Attributes:
        manifests: Every object.
        mesh: What they describe together.
        now: The present time, which certificates are compared with.
    """

    manifests: tuple[Manifest, ...]
    mesh: Mesh
    now: dt.datetime = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC))

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


def scalar(holder: object, name: str) -> int | str | None:
    """Return a number or string of an object as written; `None` where there is none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, int | str) else None


def listed(holder: object, name: str) -> Sequence[Any]:
    """Return a list of an object as written; empty where there is none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else ()


def gateway_credentials(facts: Facts) -> Iterator[tuple[Where, str, str]]:
    """Yield the Secrets that servers of Gateways name: the place, the namespace of the pods, and the name."""
    for gateway in facts.mesh.gateways:
        namespaces = {
            workload.ref.namespace
            for workload in facts.mesh.workloads
            if workload.is_gateway and gateway.selects(workload.ref.namespace, workload.labels)
        }
        for server in gateway.servers:
            for name in server.tls.credentials if server.tls else ():
                for namespace in sorted(namespaces) if "/" not in name else ():
                    yield server.where.key("tls", "credentialName"), namespace, name


def takes_client_certificates(facts: Facts, workload: Workload) -> bool:
    """Return whether a gateway checks clients' certificates of a CA that is not the mesh's."""
    return workload.is_gateway and any(
        server.tls is not None and server.tls.mode in ("MUTUAL", "OPTIONAL_MUTUAL")
        for _, server in facts.mesh.servers(workload)
    )


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
