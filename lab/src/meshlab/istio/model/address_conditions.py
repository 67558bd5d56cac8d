"""Conditions of AuthorizationPolicies on IP addresses, and whose address each of them asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy, Rule
    from meshlab.manifest import Manifest

__all__ = ["AddressCondition", "AddressKind", "address_conditions", "asked_addresses"]

AddressKind = Literal["source.ip", "remote.ip", "destination.ip"]
"""The connection's other end; the trusted client address; the pod itself."""

_KINDS: dict[str, AddressKind] = {
    "ipBlocks": "source.ip",
    "source.ip": "source.ip",
    "remoteIpBlocks": "remote.ip",
    "remote.ip": "remote.ip",
    "destination.ip": "destination.ip",
}


@dataclass(frozen=True)
class AddressCondition:
    """A rule that asks for an address.

    Attributes:
        kind: The address that it asks for.
        manifest: The policy.
        rule: The index of the rule.
    """

    kind: AddressKind
    manifest: Manifest
    rule: int

    def problem(self, text: str) -> str:
        """Return a problem with the rule, with the place where it stands."""
        return str(self.manifest.problem(("spec", "rules", self.rule), text))


def address_conditions(mesh: Mesh, workload: Workload) -> Iterator[AddressCondition]:
    """Yield the conditions on addresses of the policies that decide at a workload.

    AUDIT and dry runs decide nothing.
    """
    for policy, index, rule in _deciding_rules(mesh, workload):
        for kind in dict.fromkeys(_kinds(rule)):
            yield AddressCondition(kind, policy.attachment.where.manifest, index)


def asked_addresses(mesh: Mesh, workload: Workload) -> str:
    """Return the rules on addresses that decide at a workload, as written; equal texts ask for the same addresses."""
    found = (
        (policy.action, rule) for policy, _, rule in _deciding_rules(mesh, workload) if any(_kinds(rule))
    )
    return "\n".join(sorted(map(repr, found)))


def _deciding_rules(mesh: Mesh, workload: Workload) -> Iterator[tuple[AuthorizationPolicy, int, Rule]]:
    for policy in mesh.attached_to(workload, mesh.authorization_policies):
        if policy.action == "AUDIT" or policy.dry_run:
            continue
        for index, rule in enumerate(policy.rules):
            yield policy, index, rule


def _kinds(rule: Rule) -> Iterator[AddressKind]:
    for source in rule.sources:
        yield from (_KINDS[name] for name in source if name in _KINDS)
    yield from (_KINDS[condition.key] for condition in rule.conditions if condition.key in _KINDS)
