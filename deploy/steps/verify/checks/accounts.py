"""The deployment's service accounts: what they are, who can act as them, and their roles on the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...cloud import fields, iam_policies, names, questions
from ...deploy.entry_points import ENRICH
from ..deployment import finding
from . import access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..finding import Finding

# Roles with which a member gets tokens of the account. roles/iam.serviceAccountUser is not among them: the one who
# deploys needs it, and it mints no token by itself.
# https://cloud.google.com/iam/docs/service-account-permissions
_ACTING = frozenset(
    {
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.serviceAccountOpenIdTokenCreator",
        "roles/iam.serviceAccountKeyAdmin",
        "roles/iam.workloadIdentityUser",
        "roles/iam.serviceAccountAdmin",
        "roles/owner",
        "roles/editor",
    }
)
# On the whole project they hold for every account. Owners and administrators are not among them: a project has some.
_ACTING_EVERYWHERE = frozenset(
    {
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.serviceAccountOpenIdTokenCreator",
        "roles/iam.serviceAccountKeyAdmin",
        "roles/iam.workloadIdentityUser",
    }
)
_RECEIVER = "roles/eventarc.eventReceiver"
_PROJECT_ROLES = {
    "TRIGGER_SERVICE_ACCOUNT": frozenset({_RECEIVER}),
    "BUILD_SERVICE_ACCOUNT": frozenset(
        {
            "roles/cloudbuild.builds.builder",
            "roles/logging.logWriter",
            "roles/artifactregistry.writer",
            "roles/storage.objectViewer",
        }
    ),
}
"""Roles that an account needs on the whole project, as docs/deploy.md lists them."""

_SUBJECTS = {"function": "FUNCTION_SUBJECT", "lookup": "LOOKUP_SUBJECT"}


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about each account, and about grants on the whole project."""
    for name, key in questions.ACCOUNTS.items():
        if deployment.values[key]:
            yield from _account(deployment, name)
            yield from _keys(deployment, name)
            yield from _impersonation(deployment, name)
    yield from _project(deployment)
    if deployment.values["FUNCTION_TRIGGER"] == "eventarc" and ENRICH in deployment.entries:
        yield from access.needed(
            deployment,
            "event-receiver-missing",
            "project-policy",
            deployment.account("TRIGGER_SERVICE_ACCOUNT"),
            (_RECEIVER,),
            deployment.asked["project"].about,
        )


def _account(deployment: Deployment, name: str) -> Iterator[Finding]:
    email = deployment.values[questions.ACCOUNTS[name]]
    answer = deployment.data(f"account-{name}")
    subject = f"the service account {email}"
    if fields.flag(answer, "disabled"):
        command = ("gcloud", "iam", "service-accounts", "enable", email, _owner(email))
        yield finding("account-disabled", subject, "disabled", "enabled", command)
    # With a signed token no policy of the mesh names the id.
    key = _SUBJECTS.get(name, "") if deployment.values["MESH_AUTH"] == "google-id-token" else ""
    written, found = deployment.values.get(key, ""), fields.text(answer, "uniqueId")
    if written and found and written != found:
        yield finding("account-subject", subject, f"unique id {found}", f"{key}={written}")


def _keys(deployment: Deployment, name: str) -> Iterator[Finding]:
    email = deployment.values[questions.ACCOUNTS[name]]
    for key in fields.items(deployment.data(f"account-keys-{name}")):
        if fields.text(key, "keyType") == "SYSTEM_MANAGED":
            continue
        key_id = fields.text(key, "name").rpartition("/")[2]
        delete = (
            "gcloud",
            "iam",
            "service-accounts",
            "keys",
            "delete",
            key_id,
            f"--iam-account={email}",
            _owner(email),
        )
        yield finding(
            "account-key",
            f"the service account {email}",
            f"key {key_id}, valid until {fields.text(key, 'validBeforeTime') or 'unknown'}",
            "no user-managed key",
            *([delete] if names.is_name("key", key_id) else []),
        )


def _impersonation(deployment: Deployment, name: str) -> Iterator[Finding]:
    email = deployment.values[questions.ACCOUNTS[name]]
    policy = f"account-policy-{name}"
    for grant in iam_policies.grants(deployment.data(policy)):
        # Projects older than April 2021 need this grant for pushes with a token.
        # https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#configure_for_push_authentication
        agent = grant.member == deployment.pubsub_agent and name == "trigger"
        if grant.role in _ACTING and grant.member not in iam_policies.PUBLIC and not agent:
            yield finding(
                "account-impersonation",
                f"the service account {email}",
                f"{grant.member} has {grant.role}",
                "no such grant",
                access.removal(deployment, policy, grant),
            )


def _project(deployment: Deployment) -> Iterator[Finding]:
    own = deployment.own_accounts
    policy = "project-policy"
    secrets = set(questions.secret_names(deployment.values)) - {"gateway-ca"}
    for grant in iam_policies.grants(deployment.data(policy)):
        command = access.removal(deployment, policy, grant)
        subject = deployment.asked["project"].about
        found = f"{grant.member} has {grant.role}"
        if grant.member in own:
            key = own[grant.member]
            if grant.role in iam_policies.BASIC_ROLES:
                yield finding("account-basic-role", subject, found, "no basic role", command)
            elif grant.role not in _PROJECT_ROLES.get(key, frozenset()):
                yield finding("account-project-role", subject, found, "roles on single resources", command)
        elif grant.member in iam_policies.PUBLIC:
            continue  # reported as public access
        elif grant.role in access.INVOKING:
            yield finding("project-invoker", subject, found, f"{grant.role} on single services", command)
        elif grant.role == access.READING[0] and secrets:
            yield finding("extra-secret-reader", subject, found, f"{grant.role} on single secrets", command)
        elif grant.role in _ACTING_EVERYWHERE and grant.member != deployment.pubsub_agent:
            yield finding(
                "account-impersonation", subject, found, f"{grant.role} on single accounts", command
            )


def _owner(email: str) -> str:
    return f"--project={email.partition('@')[2].partition('.')[0]}"
