"""Rows of the second and the fourth document about who may change a mesh, and which pods may exist."""

from __future__ import annotations

from functools import partial

from tests.infra.access.admission_cases import RULES
from tests.infra.access.test_rbac import plural
from tests.infra.defects.checks import admission, bindings, roles
from tests.infra.defects.model import Defect, Objects

__all__ = ["DEFECTS"]

_NETWORKING, _SECURITY, _TELEMETRY = "networking.istio.io", "security.istio.io", "telemetry.istio.io"
_MISSING = [
    (_NETWORKING, "VirtualService"), (_NETWORKING, "DestinationRule"), (_NETWORKING, "EnvoyFilter"),
    (_SECURITY, "PeerAuthentication"), (_SECURITY, "RequestAuthentication"),
    (_NETWORKING, "WorkloadEntry"), (_NETWORKING, "WorkloadGroup"),
    (_TELEMETRY, "Telemetry"), (_NETWORKING, "ProxyConfig"), ("extensions.istio.io", "WasmPlugin"),
    ("extensions.istio.io", "TrafficExtension"),
    *(
        ("gateway.networking.k8s.io", kind)
        for kind in ("Gateway", "GatewayClass", "GRPCRoute", "HTTPRoute", "ReferenceGrant", "TCPRoute", "TLSRoute")
    ),
]  # fmt: skip
"""Kinds that the document's list of what network administrators alone may write leaves out."""

_BYPASSES = {
    "host-network": "a pod in the node's network",
    "traffic-capture": "annotations that leave traffic out of the sidecar",
    "injection": "a pod without a sidecar",
    "proxy-identity": "a pod with the sidecar's UID",
    "capabilities": "a pod that may rewrite what is captured",
    "gateway-nodes": "a pod that tolerates every taint",
    "node-name": "a pod that names its node",
    "proxy-settings": "a pod with another proxy",
    "bare-pods": "a pod that looks as if it had been injected",
    "services": "a Service that leads out of the mesh",
}


def _written_by_teams(group: str, kind: str, objects: Objects) -> None:
    rule = {"apiGroups": [group], "resources": [plural(kind)], "verbs": ["create"]}
    objects.append("ClusterRole /team-member", "rules", value=rule)


def _without_rule(rule: str, objects: Objects) -> None:
    names = [name for name in objects.names("ValidatingAdmissionPolicy") if name.endswith(f"/{rule}")]
    assert len(names) == 1
    objects.drop(*names)


def _team_edits(objects: Objects) -> None:
    objects.set("RoleBinding team-x/team-members", "roleRef", "name", value="edit")


assert set(_BYPASSES) == set(RULES)

DEFECTS = [
    Defect(
        "2.20", "Any pod may tolerate the taint of the gateway's nodes",
        "admission", partial(_without_rule, "gateway-nodes"), checks=(admission("gateway-nodes"),),
    ),
    Defect(
        "2.23", "No roles: a team's members have the built-in one",
        "bindings", _team_edits, checks=(bindings,),
    ),
    *(
        Defect(
            "4.2", f"A team may write {group}/{kind}",
            "roles", partial(_written_by_teams, group, kind), checks=(roles(group, kind),),
        )
        for group, kind in _MISSING
    ),
    *(
        Defect(
            "4.3", f"Nothing refuses {what}",
            "admission", partial(_without_rule, rule), checks=(admission(rule),),
        )
        for rule, what in _BYPASSES.items()
    ),
    Defect(
        "4.6", "The control of tolerations is described, and not written",
        "admission",
        lambda objects: objects.drop(*objects.names("ValidatingAdmissionPolicyBinding")),
        checks=(admission("gateway-nodes"),),
    ),
]  # fmt: skip
