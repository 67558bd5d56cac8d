"""Who may invoke the function: the target group of the bridge, and no other."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from meshlab.cloud.alb.permission import may_invoke, require_permission
from meshlab.env_file import read_env_file
from meshlab.errors import LabError

ROOT = Path(__file__).parents[2]
POLICY: dict[str, Any] = json.loads((ROOT / "function-aws/resource-policy.json").read_text())
VALUES = read_env_file(ROOT / "infra/mesh/lambda-bridge/contract/bridge.env")
FUNCTION, GROUP, ACCOUNT = VALUES["LAMBDA_FUNCTION_ARN"], VALUES["TARGET_GROUP_ARN"], VALUES["AWS_ACCOUNT_ID"]


def test_the_target_group_of_the_bridge_may_invoke_the_function() -> None:
    assert may_invoke(POLICY, FUNCTION, GROUP, ACCOUNT)


@pytest.mark.parametrize(
    ("function", "group", "account"),
    [
        (FUNCTION, GROUP.replace("lambda-bridge", "other"), ACCOUNT),
        (FUNCTION, GROUP[:-1] + "0", ACCOUNT),
        (FUNCTION, GROUP, "210987654321"),
        (FUNCTION.replace("lambda-bridge", "other"), GROUP, ACCOUNT),
    ],
    ids=["another target group", "another id", "another account", "another function"],
)
def test_everything_else_may_not(function: str, group: str, account: str) -> None:
    assert not may_invoke(POLICY, function, group, account)
    with pytest.raises(LabError, match="does not let"):
        require_permission(POLICY, function, group, account)


def test_the_policy_names_one_service_one_action_and_one_function() -> None:
    (statement,) = POLICY["Statement"]
    assert statement["Principal"] == {"Service": "elasticloadbalancing.amazonaws.com"}
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"] == FUNCTION
    assert "*" not in json.dumps(POLICY)


@pytest.mark.parametrize("operator", ["ArnEquals", "StringEquals"])
def test_each_condition_counts(operator: str) -> None:
    weaker = copy.deepcopy(POLICY)
    del weaker["Statement"][0]["Condition"][operator]
    other_group, other_account = GROUP.replace("lambda-bridge", "other"), "210987654321"
    changed = {"ArnEquals": (other_group, ACCOUNT), "StringEquals": (GROUP, other_account)}[operator]
    assert may_invoke(weaker, FUNCTION, *changed)
    assert not may_invoke(POLICY, FUNCTION, *changed)


@pytest.mark.parametrize(
    "more", [{"NotAction": "x"}, {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]
)
def test_what_is_not_understood_never_counts_as_met(more: dict[str, Any]) -> None:
    strange = copy.deepcopy(POLICY)
    strange["Statement"][0] |= more
    with pytest.raises(LabError, match="not read here"):
        may_invoke(strange, FUNCTION, GROUP, ACCOUNT)
