"""The bridge's side in AWS: who may invoke the function, what it may do, and how its values go back to bridge.env."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.infra.terraform.evaluate import Reference
from tests.infra.terraform.roots import AWS, BRIDGE, ROOT, aws, variables

POLICY = json.loads((ROOT / "function-aws/resource-policy.json").read_text())


def one(kind: str) -> dict[str, Any]:
    (found,) = aws().all(kind).values()
    return found


def test_one_target_group_may_invoke_the_function_as_the_policy_says() -> None:
    permission = one("aws_lambda_permission")
    (statement,) = POLICY["Statement"]
    assert permission["statement_id"] == statement["Sid"]
    assert permission["action"] == statement["Action"]
    assert permission["principal"] == statement["Principal"]["Service"]
    assert permission["source_account"] == statement["Condition"]["StringEquals"]["AWS:SourceAccount"]
    assert permission["source_arn"] == Reference("module.lambda.aws_lb_target_group.this.arn")
    # The alias that the target group invokes has the permission, not the function with all of its versions.
    assert permission["qualifier"] == "live"
    assert one("aws_lb_target_group_attachment")["target_id"].address.endswith("aws_lambda_alias.live.arn")


def test_names_are_those_of_the_bridge() -> None:
    assert BRIDGE["LAMBDA_FUNCTION_ARN"].endswith(f":function:{one('aws_lambda_function')['function_name']}")
    assert f"targetgroup/{one('aws_lb_target_group')['name']}/" in BRIDGE["TARGET_GROUP_ARN"]
    assert one("aws_route53_record")["name"] == BRIDGE["ALB_HOST"]


def test_the_function_may_write_its_own_log_and_nothing_else() -> None:
    assert not aws().all("aws_iam_role_policy_attachment")
    (statement,) = json.loads(one("aws_iam_role_policy")["policy"])["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    account, region = BRIDGE["AWS_ACCOUNT_ID"], BRIDGE["AWS_REGION"]
    assert (
        statement["Resource"]
        == f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/lambda-bridge:log-stream:*"
    )


def test_the_function_knows_its_target_group() -> None:
    function = one("aws_lambda_function")
    assert function["environment"][0]["variables"] == {
        "TARGET_GROUP_ARN": Reference("module.lambda.aws_lb_target_group.this.arn")
    }
    assert function["handler"] == "lambda_function.lambda_handler"
    assert function["timeout"] < 12


def test_the_listener_forwards_one_host_and_answers_404_to_the_rest() -> None:
    listener, rule = one("aws_lb_listener"), one("aws_lb_listener_rule")
    assert listener["default_action"][0]["fixed_response"][0]["status_code"] == "404"
    assert {"host_header": [{"values": [BRIDGE["BRIDGE_HOST"]]}]} in rule["condition"]
    assert listener["protocol"] == "HTTPS"
    assert re.fullmatch(r"ELBSecurityPolicy-TLS13-1-2-\d{4}-\d{2}", listener["ssl_policy"])


def test_only_the_gateway_of_eks_reaches_the_load_balancer() -> None:
    rule = one("aws_vpc_security_group_ingress_rule")
    assert (rule["from_port"], rule["to_port"], rule["ip_protocol"]) == (443, 443, "tcp")
    assert rule["referenced_security_group_id"] == "sg-0123456789abcdef0"
    assert not aws().all("aws_vpc_security_group_egress_rule")


def test_logs_have_an_end_and_failures_an_alarm() -> None:
    assert one("aws_cloudwatch_log_group")["retention_in_days"] > 0
    metrics = {alarm["metric_name"] for alarm in aws().all("aws_cloudwatch_metric_alarm").values()}
    assert metrics == {"Errors", "Throttles", "Duration", "HTTPCode_ELB_5XX_Count"}


def test_values_come_from_bridge_env_and_go_back_there() -> None:
    described = (AWS / "variables.tf").read_text().partition("# --- what exists")[0]
    from_bridge = set(re.findall(r'^variable "(\w+)"', described, re.MULTILINE))
    assert {name.upper() for name in from_bridge} <= BRIDGE.keys()
    assert from_bridge <= variables(AWS)
    assert {"LAMBDA_FUNCTION_ARN", "TARGET_GROUP_ARN"} == {
        name.upper() for name in aws().outputs
    } & BRIDGE.keys()
