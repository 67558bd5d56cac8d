"""Grants on services, topics, subscription, table and secrets: none too many, none missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...cloud import fields, iam_policies, questions
from ...deploy.entry_points import ENRICH, LOOKUP
from .. import table_commands
from ..deployment import finding
from . import secrets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ...cloud.iam_policies import Grant
    from ..deployment import Deployment
    from ..finding import Finding

INVOKER = "roles/run.invoker"
INVOKING = (INVOKER, "roles/run.servicesInvoker")
# Roles that hold the permission, the narrowest first. The first is granted.
_PUBLISHING = ("roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin")
_SUBSCRIBING = ("roles/pubsub.subscriber", "roles/pubsub.editor", "roles/pubsub.admin")
_WRITING = ("roles/bigquery.dataEditor", "roles/bigquery.dataOwner", "roles/bigquery.admin")
READING = ("roles/secretmanager.secretAccessor", "roles/secretmanager.admin")


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about grants on single resources, and about public ones anywhere."""
    yield from _public(deployment)
    for entry in deployment.entries:
        yield from _invokers(deployment, entry.name)
    yield from _publishers(deployment)
    yield from _writer(deployment)
    yield from _secret_readers(deployment)
    yield from _lookup(deployment)


def invokers(deployment: Deployment, entry: str) -> list[str]:
    """Return the members that the contract lets call an entry point."""
    values = deployment.values
    if entry == ENRICH.name:
        return [deployment.account("TRIGGER_SERVICE_ACCOUNT")]
    return [member for member in values["LOOKUP_INVOKERS"].split(",") if member]


def removal(deployment: Deployment, policy: str, grant: Grant) -> tuple[str, ...]:
    """Return the command that removes a grant.

    Args:
        deployment: The deployment.
        policy: The question whose policy has the grant.
        grant: The grant; all grants of that role to that member are removed, whatever their conditions.
    """
    # Without it gcloud refuses as soon as any grant of the policy has a condition.
    every = () if _without_conditions(policy) else ("--all",)
    return _policy_command(
        deployment, policy, "remove", f"--member={grant.member}", f"--role={grant.role}", *every
    )


def addition(deployment: Deployment, policy: str, member: str, role: str) -> tuple[str, ...]:
    """Return the command that adds a grant without a condition."""
    # The commands for topics, subscriptions and tables know no conditions.
    plain = () if _without_conditions(policy) else ("--condition=None",)
    return _policy_command(deployment, policy, "add", f"--member={member}", f"--role={role}", *plain)


def _without_conditions(policy: str) -> bool:
    return policy.startswith(("topic-policy-", "subscription-policy", "table-policy"))


def _policy_command(deployment: Deployment, policy: str, verb: str, *options: str) -> tuple[str, ...]:
    words = f"{verb}-iam-policy-binding"
    if policy == "table-policy":
        # bq stops reading options at the first word that is none.
        return ("bq", words, "--table", *options, questions.table(deployment.values))
    return ("gcloud", *_policy_resource(deployment, policy, words), *options)


def _policy_resource(deployment: Deployment, policy: str, words: str) -> tuple[str, ...]:
    values, project = deployment.values, deployment.project_flag()
    if policy == "project-policy":
        return ("projects", words, values["GOOGLE_CLOUD_PROJECT"])
    if policy.startswith("service-policy-"):
        entry = ENRICH if policy.endswith(ENRICH.name) else LOOKUP
        return ("run", "services", words, values[entry.deployed_as], project, deployment.region_flag())
    if policy.startswith("topic-policy-"):
        topic = questions.topic(values, questions.TOPICS[policy.removeprefix("topic-policy-")])
        return ("pubsub", "topics", words, topic, project)
    if policy == "subscription-policy":
        return ("pubsub", "subscriptions", words, questions.subscription(values, deployment.answers), project)
    if policy.startswith("secret-policy-"):
        name = policy.removeprefix("secret-policy-")
        secret_id = questions.secret(values, questions.SECRETS[name])[2]
        return secrets.command(deployment, name, words, secret_id)[1:]
    account = values[questions.ACCOUNTS[policy.removeprefix("account-policy-")]]
    owner = f"--project={account.partition('@')[2].partition('.')[0]}"
    return ("iam", "service-accounts", words, account, owner)


def needed(
    deployment: Deployment, kind: str, policy: str, member: str, roles: Collection[str], subject: str
) -> Iterator[Finding]:
    """Yield a finding if a member lacks a role that it needs.

    A grant on the project counts as well, because it works; it is reported where it is too wide. Where a policy cannot
    be read, nothing is known and that is a finding of its own.

    Args:
        deployment: The deployment.
        kind: The id of the finding.
        policy: The question with the resource's policy.
        member: Who needs the role.
        roles: Roles that hold the permission, the one to grant first.
        subject: What it is about.
    """
    if not member or not deployment.ok(policy):
        return
    everywhere = [deployment.data(policy), deployment.data("project-policy")]
    if any(iam_policies.holds(found, member, roles) for found in everywhere):
        return
    role = next(iter(roles))
    command = addition(deployment, policy, member, role)
    for found in everywhere:
        if condition := iam_policies.holds_conditionally(found, member, roles):
            yield finding(
                "grant-conditional",
                f"{subject}: {member}",
                f"{role} under the condition {condition}",
                f"{role} without a condition",
                command,
            )
            return
    if deployment.ok("project-policy"):
        yield finding(kind, f"{subject}: {member}", f"no {role}", role, command)


def _policies(deployment: Deployment) -> list[str]:
    return [name for name in deployment.asked if name.endswith("policy") or "-policy-" in name]


def _public(deployment: Deployment) -> Iterator[Finding]:
    for policy in _policies(deployment):
        about = deployment.asked[policy].about
        for grant in iam_policies.grants(deployment.data(policy)):
            if grant.member in iam_policies.PUBLIC:
                command = removal(deployment, policy, grant)
                yield finding(
                    "public-access", about, f"{grant.member} has {grant.role}", "no such grant", command
                )
    for entry in fields.items(deployment.data("dataset"), "access"):
        public = {fields.text(entry, "specialGroup"), fields.text(entry, "iamMember")}
        if public & iam_policies.PUBLIC:
            who = min(public & iam_policies.PUBLIC)
            role = fields.text(entry, "role")
            yield finding(
                "public-access",
                deployment.asked["dataset"].about,
                f"{who} has {role}",
                "no such grant",
                *table_commands.revocation(deployment.values, role, f"specialGroup:{who}"),
            )


def _invokers(deployment: Deployment, entry: str) -> Iterator[Finding]:
    policy = f"service-policy-{entry}"
    if not deployment.ok(policy):
        return
    subject = deployment.asked[f"service-{entry}"].about
    wanted = invokers(deployment, entry)
    for grant in iam_policies.grants(deployment.data(policy)):
        if grant.role in INVOKING and grant.member not in {*wanted, *iam_policies.PUBLIC}:
            yield finding(
                "extra-invoker",
                subject,
                f"{grant.member} has {grant.role}",
                "only the members of the contract",
                removal(deployment, policy, grant),
            )
    for member in wanted:
        yield from needed(deployment, "invoker-missing", policy, member, (INVOKER,), subject)


def _publishers(deployment: Deployment) -> Iterator[Finding]:
    agent = deployment.pubsub_agent
    if ENRICH in deployment.entries:
        yield from needed(
            deployment,
            "dead-letter-publisher-missing",
            "topic-policy-dead-letter",
            deployment.account("FUNCTION_SERVICE_ACCOUNT"),
            _PUBLISHING,
            "the dead-letter topic",
        )
    yield from needed(
        deployment,
        "undelivered-publisher-missing",
        "topic-policy-undelivered",
        agent,
        _PUBLISHING,
        "the undelivered topic",
    )
    yield from needed(
        deployment,
        "undelivered-subscriber-missing",
        "subscription-policy",
        agent,
        _SUBSCRIBING,
        "the function's subscription",
    )


def _writer(deployment: Deployment) -> Iterator[Finding]:
    if ENRICH not in deployment.entries:
        return
    email = deployment.values["FUNCTION_SERVICE_ACCOUNT"]
    roles = {"WRITER", "OWNER", *_WRITING}
    for entry in fields.items(deployment.data("dataset"), "access"):
        own = fields.text(entry, "userByEmail") == email and "condition" not in entry
        if own and fields.text(entry, "role") in roles:
            return
    yield from needed(
        deployment,
        "table-writer-missing",
        "table-policy",
        deployment.account("FUNCTION_SERVICE_ACCOUNT"),
        _WRITING,
        f"the table {questions.table(deployment.values)}",
    )


def secret_readers(deployment: Deployment, name: str) -> dict[str, bool]:
    """Return the accounts that may read a secret, and whether each must: the lookup needs no key of pseudonyms."""
    wanted = {deployment.account("FUNCTION_SERVICE_ACCOUNT"): ENRICH in deployment.entries}
    if deployment.values["LOOKUP_SERVICE_ACCOUNT"] and name != "pseudonym-key":
        wanted[deployment.account("LOOKUP_SERVICE_ACCOUNT")] = LOOKUP in deployment.entries
    # Drivers that are not read back read what the function reads. Their grants are no finding.
    for driver in ("PULL_WORKER_SERVICE_ACCOUNT", "DATAFLOW_SERVICE_ACCOUNT"):
        if deployment.values[driver]:
            wanted[deployment.account(driver)] = False
    return wanted


def _secret_readers(deployment: Deployment) -> Iterator[Finding]:
    for name in questions.secret_names(deployment.values):
        policy = f"secret-policy-{name}"
        if not deployment.ok(policy):
            continue
        secret_id = questions.secret(deployment.values, questions.SECRETS[name])[2]
        subject = f"the secret {secret_id}"
        wanted = secret_readers(deployment, name)
        # The CA is no secret in itself: who reads it besides harms nothing.
        for grant in iam_policies.grants(deployment.data(policy)) if name != "gateway-ca" else ():
            if grant.role in READING and grant.member not in {*wanted, *iam_policies.PUBLIC}:
                yield finding(
                    "extra-secret-reader",
                    subject,
                    f"{grant.member} has {grant.role}",
                    "only the accounts of the contract that need it",
                    removal(deployment, policy, grant),
                )
        for member, must in wanted.items():
            if must:
                yield from needed(deployment, "secret-reader-missing", policy, member, READING, subject)


def _lookup(deployment: Deployment) -> Iterator[Finding]:
    if not deployment.values["LOOKUP_SERVICE_ACCOUNT"]:
        return
    member = deployment.account("LOOKUP_SERVICE_ACCOUNT")
    for policy in _policies(deployment):
        if not policy.startswith(("topic-policy-", "table-policy", "subscription-policy")):
            continue
        for grant in iam_policies.grants(deployment.data(policy)):
            if grant.member == member:
                yield finding(
                    "lookup-reaches-data",
                    deployment.asked[policy].about,
                    f"{member} has {grant.role}",
                    "no grant",
                    removal(deployment, policy, grant),
                )
    for entry in fields.items(deployment.data("dataset"), "access"):
        if fields.text(entry, "userByEmail") == deployment.values["LOOKUP_SERVICE_ACCOUNT"]:
            yield finding(
                "lookup-reaches-data",
                deployment.asked["dataset"].about,
                f"{member} has {fields.text(entry, 'role')}",
                "no grant",
                *table_commands.revocation(deployment.values, fields.text(entry, "role"), member),
            )
