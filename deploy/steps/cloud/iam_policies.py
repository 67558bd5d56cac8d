"""IAM policies: who has which role.

Source: https://cloud.google.com/iam/docs/reference/rest/v1/Policy
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PUBLIC = frozenset({"allUsers", "allAuthenticatedUsers"})
BASIC_ROLES = frozenset({"roles/owner", "roles/editor", "roles/viewer"})
"""Roles of a whole project that hold thousands of permissions.

Source: https://cloud.google.com/iam/docs/roles-overview#basic
"""


@dataclass(frozen=True)
class Grant:
    """One member of one binding.

    Attributes:
        role: The role.
        member: Who has it.
        condition: The title of the condition, or its expression; "" for a grant without one.
        expression: The expression of the condition; "" where it is not shown.
    """

    role: str
    member: str
    condition: str = ""
    expression: str = ""


HIDDEN_CONDITION = "a condition that is not shown"
# Some commands ask for a policy of version 1, which puts a mark into the role's name in place of the condition.
# https://cloud.google.com/iam/docs/troubleshooting-withcond
_MARKED = re.compile(r"(?P<role>.+)_withcond_[0-9a-f]+")


def grants(policy: Any) -> Iterator[Grant]:  # noqa: ANN401 - JSON
    """Yield every grant of a policy."""
    for binding in fields.items(policy, "bindings"):
        role, expression = fields.text(binding, "role"), fields.text(binding, "condition", "expression")
        condition = fields.text(binding, "condition", "title") or expression
        if marked := _MARKED.fullmatch(role):
            role, condition = marked["role"], condition or HIDDEN_CONDITION
        for member in fields.strings(binding, "members"):
            yield Grant(role, member, condition, expression)


def members(policy: Any, *roles: str) -> list[str]:  # noqa: ANN401 - JSON
    """Return who has one of the roles, sorted, each once; grants with a condition included."""
    return sorted({grant.member for grant in grants(policy) if grant.role in roles})


def holds(policy: Any, member: str, roles: Iterable[str]) -> bool:  # noqa: ANN401 - JSON
    """Return whether a member has one of the roles without a condition."""
    wanted = set(roles)
    return any(
        grant.member == member and grant.role in wanted and not grant.condition for grant in grants(policy)
    )


def holds_conditionally(policy: Any, member: str, roles: Iterable[str]) -> str:  # noqa: ANN401 - JSON
    """Return the condition under which a member has one of the roles, or ""."""
    wanted = set(roles)
    found = [grant.condition for grant in grants(policy) if grant.member == member and grant.role in wanted]
    return next((condition for condition in found if condition), "")


def service_account(email: str) -> str:
    """Return the member that is this service account."""
    return f"serviceAccount:{email}"
