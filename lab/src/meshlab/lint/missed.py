"""Objects that a rule misses where it finds something."""

from __future__ import annotations

from meshlab.quick_dataclass import dataclass

__all__ = ["SERVICES", "SETTINGS", "WORKLOADS", "Missed"]

WORKLOADS = frozenset(
    {
        "CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet",
        "WorkloadEntry", "WorkloadGroup",
    }
)  # fmt: skip
SERVICES = frozenset({"Service", "ServiceEntry"})
SETTINGS = frozenset({"ConfigMap", "IstioOperator", "MeshConfig"})


@dataclass(frozen=True)
class Missed:
    """What is not there where a rule finds something. An object that was not read may be just that.

    Attributes:
        kinds: The kinds of objects.
        anywhere: Whether one of any namespace would do; otherwise one of the finding's own, or of the root namespace.
    """

    kinds: frozenset[str]
    anywhere: bool = False
