"""Permission to call a function: read before it is changed, and granted only where it is missing.

``gcloud functions deploy`` can only allow all callers or none. For a function that exists it then writes the policy,
which an account that only deploys may not do. So the deployment of such a function leaves the policy alone, and reads
that the function is private. An existing grant is not changed. If a member is removed from the contract, its grant
stays until it is removed with gcloud.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import gcloud
from .plan import Check, Matches, Read, Refusal, Run, Step, When, lacks_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ROLE = "roles/run.invoker"


def require_private(values: Mapping[str, str], function: str) -> tuple[Step, ...]:
    """Return steps that read who may call the function, and refuse one that everyone may call.

    They set the variable ``policy``: one line ``ROLE|MEMBER|CONDITION`` for each member.

    Args:
        values: a checked contract.
        function: the function's name, which is also that of its Cloud Run service.
    """
    place = (f"--project={values['GOOGLE_CLOUD_PROJECT']}", f"--region={values['REGION']}")
    policy = Read(
        ("policy",),
        ("run", "services", "get-iam-policy", function, *place, "--flatten=bindings[].members[]"),
        ("bindings.role", "bindings.members", "bindings.condition.title"),
        optional=True,
        lines=True,
    )
    # With this annotation Cloud Run asks for no permission at all, whatever the policy says.
    # https://docs.cloud.google.com/run/docs/securing/managing-access#invoker_check
    unchecked = Read(
        ("unchecked",),
        ("run", "services", "describe", function, *place),
        ('metadata.annotations."run.googleapis.com/invoker-iam-disabled"',),
        optional=True,
    )
    run = f"gcloud run services update {function} {' '.join(place)} --invoker-iam-check"
    text = f"Cloud Run does not check who calls {function}: its invoker check is switched off; run: {run}"
    refusals = (
        *(_public(function, member, place) for member in ("allUsers", "allAuthenticatedUsers")),
        Refusal(Matches("unchecked", "*rue"), (text,)),
    )
    return (policy, unchecked, Check(refusals))


def _public(function: str, member: str, place: tuple[str, ...]) -> Refusal:
    remove = " ".join(
        (
            "gcloud run services remove-iam-policy-binding",
            function,
            *place,
            f"--member={member}",
            f"--role={_ROLE}",
        )
    )
    text = f"{function} is public: its policy names {member}, who could make it call into the mesh; run: {remove}"
    return Refusal(Matches("policy", f"*|{member}|*"), (text,))


def grant(values: Mapping[str, str], function: str, member: str) -> tuple[Step, ...]:
    """Return steps that let a member call the function, if the variable ``policy`` does not name it yet."""
    command = (
        "functions",
        "add-invoker-policy-binding",
        function,
        f"--project={values['GOOGLE_CLOUD_PROJECT']}",
        f"--region={values['REGION']}",
        f"--member={member}",
    )
    shown = " ".join(gcloud.show(command).replace("\\\n", "").split())
    hint = f"if your account may not do this, one with roles/run.admin on the service runs it once: {shown}"
    does = Run(f"{member} may call {function}", command, hint)
    return (When(lacks_line("policy", f"{_ROLE}|{member}|"), (does,)),)


def members(values: Mapping[str, str]) -> Iterable[str]:
    """Return the members that the contract lets call the second entry point."""
    return filter(None, values["LOOKUP_INVOKERS"].split(","))
