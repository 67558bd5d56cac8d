"""``bind``, ``unbind`` and ``list``: roles/run.invoker on the Cloud Run service under a function.

A function of the second generation is called through its Cloud Run service, so the grant belongs there:
roles/cloudfunctions.invoker on the function lets no caller in.
Source: https://cloud.google.com/functions/docs/securing/authenticating
"""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

from meshcontract.cloud_types import MEMBER

from .. import RefusalError
from ..cloud import actions, iam_policies, questions
from ..cloud.actions import Changes, required
from ..deploy.entry_points import ENRICH, LOOKUP
from ..verify.finding import printable
from . import conditions, members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud.answers import Question
    from ..cloud.readers import Reader
    from ..deploy.entry_points import EntryPoint

ROLE = "roles/run.invoker"


def bind(
    values: Mapping[str, str],
    entry: EntryPoint,
    reader: Reader,
    *,
    member: str,
    title: str = "",
    expression: str = "",
    dry_run: bool = False,
) -> None:
    """Let a member call a function, if it may not already.

    Args:
        values: A checked contract.
        entry: The function.
        reader: Reads policies.
        member: A checked member.
        title: The title of a condition; "" for none.
        expression: The condition in CEL.
        dry_run: Show the command only.

    Raises:
        RefusalError: the policy cannot be read or written, or the function takes no other caller.
    """
    if entry is ENRICH and member != iam_policies.service_account(values["TRIGGER_SERVICE_ACCOUNT"]):
        raise RefusalError(
            f"{values['FUNCTION_NAME']} takes events from Pub/Sub alone, as TRIGGER_SERVICE_ACCOUNT. "
            "Callers are let in to the other function: --entry-point=lookup."
        )
    condition = conditions.flag(expression, title)
    policy = required(reader, _policy(values, entry))
    _warn_of_public(policy, values, entry)
    granted = [
        grant for grant in iam_policies.grants(policy) if grant.member == member and grant.role == ROLE
    ]
    if title and any(not grant.condition for grant in granted):
        raise RefusalError(
            f"{member} may call {values[entry.deployed_as]} without a condition, so a second grant would limit "
            f"nothing. Take it out first: deploy/grant unbind --entry-point={entry.name} "
            f"{shlex.quote(f'--member={member}')}"
        )
    if any((grant.condition, grant.expression) == (title, expression) for grant in granted):
        actions.say(f"{member} may call {values[entry.deployed_as]} already", dry_run=dry_run)
    else:
        changes = Changes(dry_run=dry_run)
        command = (*_command(values, entry, "add"), f"--member={member}", f"--role={ROLE}", condition)
        changes.run("the grant", command)
        if not dry_run:
            _confirm(changes.look(reader, _policy(values, entry)), member, bound=True)
            sys.stdout.write(f"{member} may call {values[entry.deployed_as]}; it can take minutes to hold\n")
    if not members.gets_identity_tokens(member):
        sys.stderr.write(
            f"deploy/grant: {member} has no ID token of its own, and Cloud Run asks for one. Link a Google service "
            "account to it (deploy/grant workload-identity), and grant that account.\n"
        )
    _compare(values, entry, member, bound=True)


def unbind(
    values: Mapping[str, str], entry: EntryPoint, reader: Reader, *, member: str, dry_run: bool = False
) -> None:
    """Take the right to call a function from a member, whatever its condition.

    Args:
        values: A checked contract.
        entry: The function.
        reader: Reads policies.
        member: A member as the policy writes it; also one that is never granted, such as allUsers.
        dry_run: Show the command only.

    Raises:
        RefusalError: the policy cannot be read or written.
    """
    policy = required(reader, _policy(values, entry))
    found = [grant for grant in iam_policies.grants(policy) if grant.member == member and grant.role == ROLE]
    if not found:
        actions.say(f"{printable(member)} has no grant on {values[entry.deployed_as]}", dry_run=dry_run)
    else:
        changes = Changes(dry_run=dry_run)
        # Without --all gcloud refuses as soon as any grant of the policy has a condition.
        command = (*_command(values, entry, "remove"), f"--member={member}", f"--role={ROLE}", "--all")
        changes.run("the grant is removed", command)
        if not dry_run:
            _confirm(changes.look(reader, _policy(values, entry)), member, bound=False)
            sys.stdout.write(f"{member} may not call {values[entry.deployed_as]} any more\n")
    inherited = reader(_project_policy(values))
    if inherited.ok and member in iam_policies.members(inherited.data, ROLE):
        sys.stderr.write(
            f"deploy/grant: {printable(member)} has {ROLE} on the whole project, and still gets in. "
            "Remove that grant too.\n"
        )
    _compare(values, entry, member, bound=False)


def show(values: Mapping[str, str], entry: EntryPoint, reader: Reader, *, as_json: bool) -> None:
    """Print who may call a function, from which project, and whether the contract names each.

    Raises:
        RefusalError: the policy cannot be read.
    """
    service = list(iam_policies.grants(required(reader, _policy(values, entry))))
    answer = reader(_project_policy(values))
    project = list(iam_policies.grants(answer.data)) if answer.ok else []
    wanted = expected(values, entry)
    rows: list[dict[str, Any]] = [
        {
            "member": printable(grant.member),
            "on": where,
            "project": members.project_of(grant.member),
            "condition": printable(grant.condition),
            "in_contract": grant.member in wanted,
        }
        for where, found in (("service", service), ("project", project))
        for grant in found
        if grant.role == ROLE
    ]
    named = {row["member"] for row in rows}
    rows += [
        {
            "member": member,
            "on": "",
            "project": members.project_of(member),
            "condition": "",
            "in_contract": True,
        }
        for member in wanted
        if member not in named
    ]
    if as_json:
        report = {"function": values[entry.deployed_as], "project_policy_read": answer.ok, "invokers": rows}
        sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        return
    for row in rows:
        place = f"on the {row['on']}" if row["on"] else "no grant"
        contract = "in the contract" if row["in_contract"] else "NOT in the contract"
        other = row["project"] and row["project"] != values["GOOGLE_CLOUD_PROJECT"]
        origin = f", of the project {row['project']}" if other else ""
        condition = f", {row['condition']}" if row["condition"] else ""
        sys.stdout.write(f"{row['member']}: {place}, {contract}{origin}{condition}\n")
    if not rows:
        sys.stdout.write(f"no member may call {values[entry.deployed_as]}\n")
    if not answer.ok:
        sys.stderr.write(f"deploy/grant: grants on the whole project are not shown: {answer.error}\n")


def expected(values: Mapping[str, str], entry: EntryPoint) -> list[str]:
    """Return the members that the contract lets call a function."""
    if entry is ENRICH:
        return [iam_policies.service_account(values["TRIGGER_SERVICE_ACCOUNT"])]
    return [member for member in values["LOOKUP_INVOKERS"].split(",") if member]


def _policy(values: Mapping[str, str], entry: EntryPoint) -> Question:
    return _question(values, entry, f"service-policy-{entry.name}")


def _project_policy(values: Mapping[str, str]) -> Question:
    return _question(values, LOOKUP, "project-policy")


def _question(values: Mapping[str, str], entry: EntryPoint, name: str) -> Question:
    return next(question for question in questions.first(values, [entry]) if question.name == name)


def _command(values: Mapping[str, str], entry: EntryPoint, verb: str) -> tuple[str, ...]:
    return (
        "gcloud",
        "run",
        "services",
        f"{verb}-iam-policy-binding",
        values[entry.deployed_as],
        f"--project={values['GOOGLE_CLOUD_PROJECT']}",
        f"--region={values['REGION']}",
    )


def _confirm(policy: Any, member: str, *, bound: bool) -> None:  # noqa: ANN401 - JSON
    if (member in iam_policies.members(policy, ROLE)) != bound:
        word = "does not show" if bound else "still shows"
        raise RefusalError(
            f"gcloud reported success, but the policy {word} {member}. Another change may have overwritten it: "
            "look with `deploy/grant list`, and run this again."
        )


def _warn_of_public(policy: Any, values: Mapping[str, str], entry: EntryPoint) -> None:  # noqa: ANN401 - JSON
    for member in sorted(iam_policies.PUBLIC & set(iam_policies.members(policy, ROLE))):
        sys.stderr.write(
            f"deploy/grant: {member} may call {values[entry.deployed_as]}, which is everyone on the internet. "
            f"Remove it: deploy/grant unbind --entry-point={entry.name} --member={member}\n"
        )


def _compare(values: Mapping[str, str], entry: EntryPoint, member: str, *, bound: bool) -> None:
    if entry is ENRICH:
        return
    named = expected(values, entry)
    if bound and not MEMBER.takes(member):
        sys.stderr.write(
            "deploy/grant: LOOKUP_INVOKERS of the contract takes no such member, so deploy/verify reports it: "
            f"{member}\n"
        )
    elif bound and member not in named:
        line = ",".join([*named, member])
        sys.stderr.write(
            "deploy/grant: the contract does not name this member, so deploy/verify reports it. Write into it:\n"
            f"  LOOKUP_INVOKERS={line}\n"
        )
    if not bound and member in named:
        line = ",".join(other for other in named if other != member)
        sys.stderr.write(
            "deploy/grant: the contract still names this member, so the next deploy/deploy grants it again. "
            "Write into it:\n"
            f"  LOOKUP_INVOKERS={line}\n"
        )
