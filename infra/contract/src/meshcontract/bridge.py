"""Types of the Lambda bridge's contract, `infra/mesh/lambda-bridge/contract/bridge.env`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcontract.env_file import read_lines
from meshcontract.errors import Problem
from meshcontract.mesh_types import HOST
from meshcontract.value_types import Type, private_range

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BRIDGE_KEYS", "bridge_problems"]

_REGION = "[a-z]{2}(?:-[a-z]+)+-[0-9]"
_ACCOUNT = "[0-9]{12}"
# https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#2-spiffe-identity
_SPIFFE = "[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?:/[A-Za-z0-9_.-]+)+"

BRIDGE_KEYS: Mapping[str, Type] = {
    "BRIDGE_HOST": HOST,
    "BRIDGE_CLIENT_IDENTITY": Type(
        "a SPIFFE id", "a SPIFFE id, such as spiffe://gke.example/ns/N/sa/S", f"spiffe://{_SPIFFE}"
    ),
    "BRIDGE_CLIENT_PRINCIPAL": Type(
        "a SPIFFE id without spiffe://",
        "the SPIFFE id without spiffe://, such as gke.example/ns/N/sa/S",
        _SPIFFE,
    ),
    "EKS_GATEWAY_ADDRESS": HOST,
    # Pods of several nodes, or subnets of several zones.
    "GKE_SOURCE_RANGE": private_range(20, 32, "what GKE's traffic arrives from"),
    "EKS_GATEWAY_RANGE": private_range(20, 32, "the subnets of the network load balancer"),
    "ALB_HOST": HOST,
    "ALB_RANGE": private_range(20, 32, "the subnets of the application load balancer"),
    "AWS_ACCOUNT_ID": Type("an account id of AWS", "the twelve digits of an account", _ACCOUNT),
    "AWS_REGION": Type("a region of AWS", "a region, such as eu-west-1", _REGION),
    "LAMBDA_FUNCTION_ARN": Type(
        "the ARN of a function",
        "arn:aws:lambda:REGION:ACCOUNT:function:NAME",
        f"arn:aws(?:-[a-z]+)*:lambda:{_REGION}:{_ACCOUNT}:function:[A-Za-z0-9_-]{{1,64}}(?::[A-Za-z0-9_-]{{1,128}})?",
    ),
    "TARGET_GROUP_ARN": Type(
        "the ARN of a target group",
        "arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID",
        f"arn:aws(?:-[a-z]+)*:elasticloadbalancing:{_REGION}:{_ACCOUNT}:targetgroup/[A-Za-z0-9-]{{1,32}}/[0-9a-f]{{16}}",
    ),
}
"""Every key of the bridge, by its type."""


def bridge_problems(path: Path) -> list[Problem]:
    """Return every problem of the bridge's contract, in the order of its lines.

    Args:
        path: The ``KEY=VALUE`` file.

    Raises:
        ContractError: The file cannot be read.
    """
    file = read_lines(path)
    wrong = {problem.key for problem in file.problems}
    found = [
        Problem(key, problem, file.lines[key])
        for key, of in BRIDGE_KEYS.items()
        if key not in wrong and key in file.values and (problem := _value_problem(of, file.values[key]))
    ]
    values = file.values
    identity = values.get("BRIDGE_CLIENT_IDENTITY", "")
    if not found and identity and identity != f"spiffe://{values.get('BRIDGE_CLIENT_PRINCIPAL', '')}":
        what = "is not BRIDGE_CLIENT_IDENTITY without spiffe://, so policy and certificate differ. Write the same."
        found.append(Problem("BRIDGE_CLIENT_PRINCIPAL", what, file.lines.get("BRIDGE_CLIENT_PRINCIPAL", 0)))
    for key in ("LAMBDA_FUNCTION_ARN", "TARGET_GROUP_ARN"):
        if not found and (parts := re.split("[:]", values.get(key, ""))) and len(parts) > 4:
            region, account = values.get("AWS_REGION", ""), values.get("AWS_ACCOUNT_ID", "")
            if (region and parts[3] != region) or (account and parts[4] != account):
                what = f"lies in {parts[3]} of {parts[4]}, and AWS_REGION or AWS_ACCOUNT_ID is another. Change one."
                found.append(Problem(key, what, file.lines[key]))
    return sorted([*file.problems, *found], key=lambda problem: problem.line)


def _value_problem(of: Type, value: str) -> str:
    return of.problem(value) if value else f"is empty. Write {of.form}."
