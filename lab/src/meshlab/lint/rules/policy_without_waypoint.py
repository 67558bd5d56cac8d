"""ML318: a policy for a waypoint or a Gateway that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import mapping
from meshlab.lint.missed import Missed
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.attachment import Attachment, TargetRef
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem

_GROUP = "gateway.networking.k8s.io"
_WAYPOINT_CLASS, _WAYPOINT_CONTROLLER = "istio-waypoint", "istio.io/mesh-controller"
_AT_WAYPOINTS = ("Service", "ServiceEntry", "GatewayClass")


def _check(facts: Facts) -> Iterator[Problem]:
    gateways = {
        (each.namespace, each.name): str(mapping(each.body, "spec").get("gatewayClassName", ""))
        for each in facts.of_kind("Gateway", _GROUP)
    }
    classes = {
        each.name
        for each in facts.of_kind("GatewayClass", _GROUP)
        if mapping(each.body, "spec").get("controllerName") == _WAYPOINT_CONTROLLER
    }
    has_waypoint = any(name in {*classes, _WAYPOINT_CLASS} for name in gateways.values())
    attachments = [
        *(policy.attachment for policy in facts.mesh.authorization_policies),
        *(policy.attachment for policy in facts.mesh.request_authentications),
    ]
    for attachment in attachments:
        for index, target in enumerate(attachment.target_refs):
            if why := _without_effect(attachment, target, set(gateways), has_waypoint=has_waypoint):
                yield RULE.at(_place(attachment.where, index), why)


def _without_effect(
    attachment: Attachment,
    target: TargetRef,
    gateways: set[tuple[str, str]],
    *,
    has_waypoint: bool,
) -> str:
    name = f"{target.kind} {target.name}"
    if target.kind in _AT_WAYPOINTS:
        return "" if has_waypoint else f"{name} is a target for waypoints alone, and no waypoint is here."
    if target.kind == "Gateway" and (attachment.namespace, target.name) not in gateways:
        return f"the namespace {attachment.namespace} has no {name} of the Gateway API."
    return ""


def _place(where: Where, index: int) -> Where:
    spec = mapping(where.manifest.body, "spec")
    keys = ("targetRef",) if spec.get("targetRef") is not None else ("targetRefs", index)
    return Where(where.manifest, ("spec", *keys))


RULE = Rule(
    code="ML318",
    name="policy-without-waypoint",
    severity=Severity.ERROR,
    summary="a policy for a waypoint or a Gateway that is not there",
    why="Sidecars and other gateways do not look at it. It has no effect: what it was to keep out gets in.",
    fix="Name the pods with a selector, or the Gateway of the Gateway API in the policy's own namespace.",
    source="istio/istio pilot/pkg/model/policyattachment.go: PolicyMatcher.ShouldAttachPolicy",
    check=_check,
    missed=Missed(frozenset({"Gateway", "GatewayClass"}), anywhere=True),
)
