"""Which policies reach which workload: `pilot/pkg/model/policyattachment.go`, for workloads chosen by labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.read.fields import Fields, Where

__all__ = ["TARGET_REFS", "Attachment", "attached", "read_attachment"]

TARGET_REFS = {
    "targetRef": "the lab has no Gateway API objects to attach to; use selector.",
    "targetRefs": "the lab has no Gateway API objects to attach to; use selector.",
}


@dataclass(frozen=True)
class Attachment:
    """Where a policy hangs: its namespace, name and selector; `where` is the place of the selector."""

    namespace: str
    name: str
    selector: Mapping[str, str]
    where: Where

    def reaches(self, namespace: str, labels: Mapping[str, str], root_namespace: str) -> bool:
        """Whether it applies to pods of that namespace with those labels.

        A policy counts in its own namespace, one of the root namespace in all; a selector must be a subset of the
        pod's labels, no selector takes every pod.
        """
        in_scope = self.namespace in (namespace, root_namespace)
        return in_scope and self.selector.items() <= labels.items()


class _Attached(Protocol):
    @property
    def attachment(self) -> Attachment: ...


_Policy = TypeVar("_Policy", bound=_Attached)


def attached(
    policies: Iterable[_Policy], namespace: str, labels: Mapping[str, str], root_namespace: str
) -> list[_Policy]:
    """The policies that reach a workload, in Istio's order.

    Istio orders by creation time, then by name and namespace. Files have no creation time, so the names decide.
    """
    found = [policy for policy in policies if policy.attachment.reaches(namespace, labels, root_namespace)]
    return sorted(found, key=lambda policy: (policy.attachment.name, policy.attachment.namespace))


def read_attachment(spec: Fields) -> Attachment:
    """Read `selector.matchLabels` of a policy's spec."""
    selector = spec.mapping("selector", ("matchLabels",))
    manifest = spec.where.manifest
    labels = selector.string_map("matchLabels")
    if "selector" in spec and not labels:
        raise selector.where.error("it selects every pod; name labels, or remove it if that is meant.")
    for key, value in labels.items():
        if "*" in key or "*" in value:
            raise selector.where.key("matchLabels").error(f"{key}={value}: labels know no wildcards.")
    return Attachment(manifest.namespace, manifest.name, labels, selector.where)
