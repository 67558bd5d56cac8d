"""Members of `roles/run.invoker`, as the front door can check them.

Source: https://cloud.google.com/iam/docs/principal-identifiers
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["invoker_emails", "split_members"]

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+")
_BY_EMAIL = ("serviceAccount", "user")
_WHY_NOT = {
    "allUsers": "it admits everyone without a token",
    "allAuthenticatedUsers": "it admits every Google account",
    "group": "only Google knows the members of a group",
    "domain": "only Google knows the accounts of a domain",
    "principal": "a federated identity has no Google ID token; link it to a service account",
    "principalSet": "a federated identity has no Google ID token; link it to a service account",
}


def invoker_emails(members: Iterable[str]) -> tuple[str, ...]:
    """Return the e-mail addresses of the accounts that may call a service.

    Args:
        members: Members of `roles/run.invoker`, such as `serviceAccount:orders@PROJECT.iam.gserviceaccount.com`.

    Raises:
        LabError: The front door cannot check some of them; it lists all of these.
    """
    emails, problems = split_members(members)
    if problems:
        raise LabError(f"roles/run.invoker: {' '.join(problems)} Use serviceAccount:EMAIL.")
    return emails


def split_members(members: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the e-mail addresses of the members that can be checked, and a sentence for each other member."""
    emails, problems = [], []
    for member in dict.fromkeys(members):
        kind, _, value = member.partition(":")
        if kind in _BY_EMAIL and _EMAIL.fullmatch(value):
            emails.append(value)
        else:
            reason = _WHY_NOT.get(kind, "it is no member that IAM knows")
            problems.append(f"{member!r} cannot be checked here: {reason}.")
    return tuple(emails), tuple(problems)
