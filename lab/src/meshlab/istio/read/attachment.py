"""Attachment of policies to workloads: `pilot/pkg/model/policyattachment.go`, without waypoints."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Protocol, TypeVar

from meshlab.istio.read.fields import Where
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Manifest

__all__ = [
    "GATEWAY_NAME",
    "UNKNOWN_AGE",
    "Attachment",
    "TargetRef",
    "attached",
    "created_at",
    "read_attachment",
]

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label of the pods that serve a Gateway of the Gateway API; its value is the Gateway's name."""

_TARGET_KINDS = {
    ("", "Service"),
    ("core", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
}
_MAX_TARGET_REFS = 16
# A file says nothing of an object's age. Istio then has the zero time, which is older than any other.
UNKNOWN_AGE = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class TargetRef:
    """An object that a policy names as its target, in the policy's own namespace."""

    group: str
    kind: str
    name: str


@dataclass(frozen=True)
class Attachment:
    """Where a policy hangs.

    Attributes:
        namespace: The policy's namespace.
        name: The policy's name.
        selector: The labels of the pods that it takes; none for every pod.
        where: The place of the selector, for messages.
        target_refs: What it names instead of labels.
        created: When the object was created, as an export from a cluster says.
    """

    namespace: str
    name: str
    selector: Mapping[str, str]
    where: Where
    target_refs: tuple[TargetRef, ...] = ()
    created: dt.datetime = UNKNOWN_AGE

    def reaches(self, namespace: str, labels: Mapping[str, str], root_namespace: str) -> bool:
        """Return whether the policy applies to pods of that namespace with those labels.

        A policy counts in its own namespace, one of the root namespace in all. A selector must be a subset of the
        pod's labels. Target references only ever reach pods of the Gateway API: the pods of the Gateway that they
        name, in the policy's own namespace. Services and ServiceEntries are targets at waypoints alone.
        """
        if not self.target_refs:
            in_scope = self.namespace in (namespace, root_namespace)
            return in_scope and self.selector.items() <= labels.items()
        gateway = TargetRef("gateway.networking.k8s.io", "Gateway", labels.get(GATEWAY_NAME, ""))
        return self.namespace == namespace and gateway in self.target_refs


class _Attached(Protocol):
    @property
    def attachment(self) -> Attachment: ...


_Policy = TypeVar("_Policy", bound=_Attached)


def attached(
    policies: Iterable[_Policy], namespace: str, labels: Mapping[str, str], root_namespace: str
) -> list[_Policy]:
    """Return the policies that reach a workload, in Istio's order.

    Those of the workload's own namespace come before those of the root namespace. Within each the oldest comes first,
    and names order what is equally old (`pilot/pkg/model/authentication.go#getConfigsForWorkload`,
    `config.go#configCompareByCreationTime`).
    """
    found = [policy for policy in policies if policy.attachment.reaches(namespace, labels, root_namespace)]
    return sorted(
        found,
        key=lambda policy: (
            policy.attachment.namespace != namespace,
            policy.attachment.created,
            policy.attachment.name,
        ),
    )


def read_attachment(spec: Fields) -> Attachment:
    """Read `selector`, `targetRef` and `targetRefs` of a policy's spec, and the age of the object.

    Raises:
        ManifestError: Both labels and targets, a wildcard in a label, or a target of a kind that Istio refuses.
    """
    selector = spec.mapping("selector", ("matchLabels",))
    manifest = spec.where.manifest
    labels = selector.string_map("matchLabels")
    for key, value in labels.items():
        if "*" in key or "*" in value:
            raise selector.where.key("matchLabels").error(f"{key}={value}: labels know no wildcards.")
    chosen = [name for name in ("selector", "targetRef", "targetRefs") if spec.raw(name) not in (None, [])]
    if len(chosen) > 1:
        raise spec.where.key(chosen[1]).error(f"cannot stand beside {chosen[0]}; keep one of them.")
    return Attachment(
        namespace=manifest.namespace,
        name=manifest.name,
        selector=labels,
        where=selector.where,
        target_refs=_target_refs(spec),
        created=created_at(manifest),
    )


def _target_refs(spec: Fields) -> tuple[TargetRef, ...]:
    known = ("group", "kind", "name")
    refused = {"namespace": "Istio refuses targets of other namespaces; remove it."}
    if spec.raw("targetRef") is not None:
        return (_target_ref(spec.mapping("targetRef", known, refused)),)
    if spec.raw("targetRefs") in (None, []):
        return ()
    entries = spec.items("targetRefs", known, refused)
    if len(entries) > _MAX_TARGET_REFS:
        raise spec.where.key("targetRefs").error(f"holds more than {_MAX_TARGET_REFS} targets.")
    return tuple(_target_ref(entry) for entry in entries)


def _target_ref(entry: Fields) -> TargetRef:
    target = TargetRef(entry.string("group"), entry.required("kind"), entry.required("name"))
    if (target.group, target.kind) not in _TARGET_KINDS:
        written = f"{target.group or 'core'}/{target.kind}"
        problem = f"{written} is no target of a policy; use a Gateway, GatewayClass, Service or ServiceEntry."
        raise entry.where.error(problem)
    return target


def created_at(manifest: Manifest) -> dt.datetime:
    """Return when an object was created, as an export from a cluster says.

    Raises:
        ManifestError: It is not a time.
    """
    written = manifest.body["metadata"].get("creationTimestamp")
    if written is None:
        return UNKNOWN_AGE
    try:
        moment = dt.datetime.fromisoformat(written)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        problem = f"{written!r} is not a time such as 2026-01-31T12:00:00Z; correct or remove it."
        raise Where(manifest).key("metadata", "creationTimestamp").error(problem)
    return moment
