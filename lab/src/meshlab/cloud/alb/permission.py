"""A function's resource policy: whether a target group may invoke it.

Only what such a policy needs is read. Anything else is refused, so that a condition that is not understood never counts
as met.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["may_invoke", "require_permission"]

_SERVICE = "elasticloadbalancing.amazonaws.com"
_ACTIONS = ("lambda:InvokeFunction", "lambda:*", "*")
_OPERATORS = {
    "ArnEquals": fnmatchcase,
    "ArnLike": fnmatchcase,
    "StringEquals": lambda found, wanted: found == wanted,
    "StringLike": fnmatchcase,
}
_MEMBERS = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})


def may_invoke(policy: Mapping[str, Any], function: str, target_group: str, account: str) -> bool:
    """Return whether the load balancer may invoke a function for a target group.

    Args:
        policy: The function's resource policy.
        function: The function's ARN.
        target_group: The target group's ARN.
        account: The account that the target group is in.

    Raises:
        LabError: The policy holds something that is not read here.
    """
    context = {"aws:sourcearn": target_group, "aws:sourceaccount": account}
    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if _applies(statement, function) and _met(statement.get("Condition", {}), context)
    }
    return "Allow" in effects and "Deny" not in effects


def require_permission(policy: Mapping[str, Any], function: str, target_group: str, account: str) -> None:
    """Refuse a target group that may not invoke the function, as AWS does when the function is registered.

    Args: as for `may_invoke`.

    Raises:
        LabError: It may not, or the policy holds something that is not read here.
    """
    if not may_invoke(policy, function, target_group, account):
        raise LabError(f"the resource policy does not let {target_group} invoke {function}")


def _applies(statement: Mapping[str, Any], function: str) -> bool:
    if unknown := sorted(set(statement) - _MEMBERS):
        raise LabError(f"the resource policy has a member {unknown[0]} that is not read here")
    principal = statement["Principal"]
    services = principal if principal == "*" else principal.get("Service", [])
    return (
        (services == "*" or _SERVICE in _list(services))
        and any(action in _ACTIONS for action in _list(statement["Action"]))
        and any(fnmatchcase(function, resource) for resource in _list(statement["Resource"]))
    )


def _met(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for operator, keys in conditions.items():
        if operator not in _OPERATORS:
            raise LabError(f"the resource policy has a condition {operator} that is not read here")
        for key, wanted in keys.items():
            found = context.get(key.lower())
            if found is None or not any(_OPERATORS[operator](found, value) for value in _list(wanted)):
                return False
    return True


def _list(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
