"""Members: which principals a grant may name.

Source: https://cloud.google.com/iam/docs/principal-identifiers
"""

from __future__ import annotations

import re

from .. import RefusalError
from ..cloud.iam_policies import PUBLIC

_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
_POOL = r"iam\.googleapis\.com/(projects/\d+/locations/global|locations/global/workforcePools/[a-z0-9-]+)"
_FORMS = (
    rf"serviceAccount:{_EMAIL}",
    rf"serviceAccount:{_PROJECT}\.svc\.id\.goog\[[a-z0-9-]+/[a-z0-9.-]+\]",
    rf"(user|group):{_EMAIL}",
    rf"principal(Set)?://{_POOL}/[A-Za-z0-9_./:=@%*+-]+",
    r"domain:[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
)
_WIDE = re.compile(
    r"domain:[A-Za-z0-9.-]+|principalSet://.*/\*|projectOwner:.*|projectEditor:.*|projectViewer:.*"
)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ACCOUNT = re.compile(rf"[a-z][a-z0-9-]{{4,28}}[a-z0-9]@{_PROJECT}\.iam\.gserviceaccount\.com")


def checked(member: str, *, wide: bool = False) -> str:
    """Return a member that may be granted the call.

    Args:
        member: Such as ``serviceAccount:orders@other-project.iam.gserviceaccount.com``.
        wide: Whether a whole domain or identity pool is meant.

    Raises:
        RefusalError: it is everyone, a whole domain or pool without ``wide``, or no member.
    """
    if member in PUBLIC or member.partition(":")[2] in PUBLIC:
        raise RefusalError(
            f"{member} is everyone on the internet, and is never granted. Name the service account of the caller."
        )
    if _WIDE.fullmatch(member) and (member.startswith("project") or _is_formed(member.removesuffix("/*"))):
        if not wide or not member.startswith(("domain:", "principalSet:")):
            raise RefusalError(
                f"{member} is everyone of a domain, an identity pool or a project. Name the service account of the "
                "caller; if all of a domain or pool are meant, say so with --allow-wide."
            )
        return member
    if not _is_formed(member) or "*" in member:
        raise RefusalError(
            f"{member[:120]!r} is no member that can be granted. Write serviceAccount:EMAIL, group:EMAIL, user:EMAIL, "
            "principal://... or principalSet://..."
        )
    return member


def _is_formed(member: str) -> bool:
    return any(re.fullmatch(form, member, re.ASCII) for form in _FORMS)


def project_of(member: str) -> str:
    """Return the project of a service account or of a workload identity, or ""."""
    found = re.fullmatch(rf"serviceAccount:[^@]+@({_PROJECT})\.iam\.gserviceaccount\.com", member)
    found = found or re.fullmatch(rf"serviceAccount:({_PROJECT})\.svc\.id\.goog\[.*\]", member)
    return found[1] if found else ""


def gets_identity_tokens(member: str) -> bool:
    """Return whether a member can get the ID token that Cloud Run asks for.

    A Kubernetes account without a linked Google service account has a federated access token only.
    Source: https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#kubernetes-resources-iam-policies
    """
    return not (".svc.id.goog[" in member or member.startswith(("principal://", "principalSet://")))


def service_account(email: str) -> str:
    """Return the e-mail address of a service account.

    Raises:
        RefusalError: it is not one that was made in a project.
    """
    if not _ACCOUNT.fullmatch(email):
        raise RefusalError(
            f"{email[:120]!r} is no service account that was made in a project. Write "
            "NAME@PROJECT.iam.gserviceaccount.com."
        )
    return email


def kubernetes_name(kind: str, name: str) -> str:
    """Return a name of Kubernetes.

    Args:
        kind: What is named, for the message.
        name: The name.

    Raises:
        RefusalError: it is no DNS label (RFC 1123).
    """
    if not _LABEL.fullmatch(name):
        raise RefusalError(
            f"{name[:80]!r} is no name of a {kind}. Write lower-case letters, digits and hyphens."
        )
    return name


def project(name: str) -> str:
    """Return the id of a project.

    Raises:
        RefusalError: it is none.
    """
    if not re.fullmatch(_PROJECT, name):
        raise RefusalError(f"{name[:80]!r} is no project id, such as acme-apps-prod.")
    return name
