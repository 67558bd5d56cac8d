"""Policies that depend on IP addresses inside the mesh, which a bench on one machine cannot reproduce."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.manifest import Problem

__all__ = ["address_problems"]

_SOURCES = ("ipBlocks", "remoteIpBlocks")
_CONDITIONS = ("source.ip", "remote.ip", "destination.ip")
_TEXT = "depends on IP addresses, and inside the mesh every connection comes from 127.0.0.1 here."


def address_problems(mesh: Mesh, workload: Workload) -> Iterator[Problem]:
    """Yield a problem for each policy of a sidecar that asks for an IP address.

    A gateway's clients have the address that the case gives them, so its policies can be judged.

    Args:
        mesh: The mesh.
        workload: The workload.
    """
    if workload.proxy != "sidecar":
        return
    for policy in mesh.attached_to(workload, mesh.authorization_policies):
        for index, rule in enumerate(policy.rules):
            named = any(name in source for source in rule.sources for name in _SOURCES)
            named = named or any(condition.key in _CONDITIONS for condition in rule.conditions)
            if named:
                yield policy.attachment.where.manifest.problem(("spec", "rules", index), _TEXT)
