"""Ranges in the contracts: what load balancers and NetworkPolicies open, held to a bound.

kustomize writes these values into manifests as they are, and no schema knows how wide a range may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcontract.ranges import private_range_problem
from meshlab.named_files import read_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["contract_range_problems"]

_RANGES: dict[str, dict[str, tuple[int, str]]] = {
    "infra/contract.env": {
        "FUNCTION_EGRESS_RANGE": (24, "the subnet that the function's traffic leaves from"),
    },
    "infra/mesh/lambda-bridge/contract/bridge.env": {
        # Pods of several nodes, or subnets of several zones.
        "GKE_SOURCE_RANGE": (20, "the range from which GKE's traffic arrives"),
        "EKS_GATEWAY_RANGE": (20, "the subnets of the network load balancer"),
        "ALB_RANGE": (20, "the subnets of the application load balancer"),
    },
}
"""By file and key: the shortest prefix that is taken, and what the range stands for."""


def contract_range_problems(root: Path) -> list[str]:
    """Return a sentence with file and line for each range of a contract that is wide, public or none.

    Args:
        root: The project's top directory.

    Raises:
        LabError: A contract cannot be read.
    """
    return [
        f"{root / file}:{number}: {key}: {problem}"
        for file, known in _RANGES.items()
        if (root / file).exists()
        for number, line in enumerate(read_text(root / file).splitlines(), start=1)
        for key, equals, value in [line.partition("=")]
        if equals and key in known and (problem := private_range_problem(value, *known[key]))
    ]
