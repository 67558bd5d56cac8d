"""Findings that something is missing, where an object that was not read may be what is missing.

One field that is not known costs the whole object. What names that object would then be reported as well, with advice
that is wrong. The object itself is a finding (ML000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from meshlab.manifest import Problem

__all__ = ["Unread"]

_WORKLOADS = frozenset(
    {
        "CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet",
        "WorkloadEntry", "WorkloadGroup",
    }
)  # fmt: skip
_SERVICES = frozenset({"Service", "ServiceEntry"})
_SETTINGS = frozenset({"ConfigMap", "IstioOperator", "MeshConfig"})
_MISSING: dict[str, tuple[frozenset[str], Literal["same namespace", "anywhere"]]] = {
    "ML101": (_WORKLOADS, "anywhere"),
    "ML205": (frozenset({"VirtualService"}), "anywhere"),
    "ML208": (_WORKLOADS, "same namespace"),
    "ML209": (_SERVICES, "anywhere"),
    "ML301": (_SETTINGS | _SERVICES, "anywhere"),
    "ML302": (_WORKLOADS, "same namespace"),
    "ML304": (frozenset({"AuthorizationPolicy"}), "same namespace"),
    "ML305": (frozenset({"RequestAuthentication"}), "same namespace"),
    "ML308": (frozenset({"RequestAuthentication"}), "same namespace"),
    "ML310": (_WORKLOADS, "anywhere"),
    "ML312": (_WORKLOADS | _SERVICES, "same namespace"),
    "ML402": (_WORKLOADS, "anywhere"),
    "ML514": (_SERVICES, "same namespace"),
}
"""Rule to the kinds of what it misses, and where an object of them may be."""
_NAME = "metadata.name"
"""The field that is named where two files have one object. The first of them is read."""


@dataclass(frozen=True)
class Unread:
    """The objects that were not read.

    Attributes:
        problems: Why they were not.
        root_namespace: The namespace whose policies count everywhere.
    """

    problems: tuple[Problem, ...]
    root_namespace: str

    def may_explain(self, finding: Problem) -> bool:
        """Return whether a finding may be there only because some object was not read."""
        if finding.code not in _MISSING:
            return False
        kinds, place = _MISSING[finding.code]
        unread = (each for each in self.problems if each.path != _NAME)
        found = {namespace for kind, namespace in map(_kind_and_namespace, unread) if kind in kinds}
        _, own = _kind_and_namespace(finding)
        if place == "anywhere" or own == self.root_namespace:
            return bool(found)
        return bool(found & {own, self.root_namespace})


def _kind_and_namespace(problem: Problem) -> tuple[str, str]:
    kind, _, name = problem.subject.partition(" ")
    namespace, slash, _ = name.partition("/")
    return kind, namespace if slash else ""
