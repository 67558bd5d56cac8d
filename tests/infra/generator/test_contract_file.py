"""Ranges of the contracts, which load balancers and NetworkPolicies open: a wide or public one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshgen.contract_file import contract_problems
from meshgen.plan import generate
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.generator.conftest import Change

CONTRACT = "infra/mesh/contract/values/contract.env"
BRIDGE = "infra/mesh/lambda-bridge/contract/bridge.env"
VALUES = {
    "FUNCTION_EGRESS_RANGE": (CONTRACT, "10.8.0.0/24", 24),
    "GKE_SOURCE_RANGE": (BRIDGE, "10.64.0.0/20", 20),
    "EKS_GATEWAY_RANGE": (BRIDGE, "10.96.0.0/24", 20),
    "ALB_RANGE": (BRIDGE, "10.96.1.0/24", 20),
}
WRONG = [
    ("0.0.0.0/0", "is wider than"),
    ("10.0.0.0/8", "is wider than"),
    ("10.0.0.0/19", "is wider than"),
    ("8.8.8.0/24", "is public"),
    ("34.118.224.0/24", "is public"),
    ("172.32.0.0/24", "is public"),
    ("10.8.0.1/26", "has host bits set"),
    ("169.254.169.254/32", "holds no address that a machine on a network can have"),
    ("127.0.0.0/24", "holds no address that a machine on a network can have"),
    ("255.255.255.0/24", "holds no address that a machine on a network can have"),
    ("10.8.0.300/26", "Octet 300"),
    ("10.8.0.0", "is not a range of private addresses"),
    ("10.8.0.0/255.255.255.0", "is not a range of private addresses"),
    ("10.8.0.0/26,0.0.0.0/0", "is not a range of private addresses"),
    ("10.8.0.0/26 ", "would end the value for a shell"),
    ("fd00::/64", "is not a range of private addresses"),
    ("::/0", "is not a range of private addresses"),
    ("", "is empty"),
]


@pytest.mark.parametrize("key", VALUES)
@pytest.mark.parametrize(("text", "says"), WRONG)
def test_a_range_that_is_wide_public_or_none_is_refused_with_its_line(
    root: Path, change: Change, key: str, text: str, says: str
) -> None:
    file, value, _ = VALUES[key]
    change(file, f"{key}={value}\n", f"{key}={text}\n")
    (problem,) = contract_problems(root)
    shown = "infra/contract.env" if file == CONTRACT else BRIDGE
    line = (root / file).read_text().split(f"{key}=")[0].count("\n") + 1
    assert problem.startswith(f"{root / shown}:{line}: {key} is ")
    assert says in problem


@pytest.mark.parametrize("key", VALUES)
def test_a_private_range_up_to_the_bound_is_taken(root: Path, change: Change, key: str) -> None:
    file, value, widest = VALUES[key]
    assert contract_problems(root) == []
    for text in ("10.8.0.0", "172.16.0.0", "192.168.0.0", "100.64.0.0", "240.1.0.0"):
        change(file, f"{key}={value}\n", f"{key}={text}/{widest}\n")
        assert contract_problems(root) == []
        change(file, f"{key}={text}/{widest}\n", f"{key}={value}\n")
    change(file, f"{key}={value}\n", f"{key}=10.0.0.0/{widest - 1}\n")
    assert len(contract_problems(root)) == 1


def test_meshgen_refuses_both_contracts_at_once(root: Path, change: Change) -> None:
    change(CONTRACT, "FUNCTION_EGRESS_RANGE=10.8.0.0/24", "FUNCTION_EGRESS_RANGE=0.0.0.0/0")
    change(BRIDGE, "GKE_SOURCE_RANGE=10.64.0.0/20", "GKE_SOURCE_RANGE=0.0.0.0/0")
    with pytest.raises(DescriptionError) as caught:
        generate(root)
    assert [problem.split(": ")[1].split()[0] for problem in caught.value.problems] == [
        "FUNCTION_EGRESS_RANGE",
        "GKE_SOURCE_RANGE",
    ]


def test_a_key_that_is_written_twice_is_refused(root: Path) -> None:
    lines = (root / CONTRACT).read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("FUNCTION_EGRESS_RANGE="))
    with (root / CONTRACT).open("a") as file:
        file.write("FUNCTION_EGRESS_RANGE=0.0.0.0/0\n")
    (problem,) = contract_problems(root)
    assert f"FUNCTION_EGRESS_RANGE is written a second time; line {first} has it too" in problem
