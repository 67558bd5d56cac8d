"""The questions about one deployment: each a gcloud or bq command that reads, with JSON output.

Every word of a command is a constant or comes from a checked contract. What an API answered becomes a word only after
``names.checked_name``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .. import RefusalError
from . import fields, names
from .answers import Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..deploy.entry_points import EntryPoint
    from .answers import Answer

TOPICS = {
    "trigger": "TRIGGER_TOPIC",
    "dead-letter": "DEAD_LETTER_TOPIC",
    "undelivered": "UNDELIVERED_TOPIC",
}
"""Keys of the contract that name topics, by the name of the topic in questions."""

ACCOUNTS = {
    "function": "FUNCTION_SERVICE_ACCOUNT",
    "lookup": "LOOKUP_SERVICE_ACCOUNT",
    "trigger": "TRIGGER_SERVICE_ACCOUNT",
    "build": "BUILD_SERVICE_ACCOUNT",
}
"""Keys of the contract that name service accounts, by the name of the account in questions."""

SECRETS = {
    "signing-key": "SIGNING_KEY_SECRET_ID",
    "pseudonym-key": "PSEUDONYM_KEY_SECRET_ID",
    "gateway-ca": "GKE_GATEWAY_CA_SECRET",
}
"""Keys of the contract that name secrets, by the name of the secret in questions."""

VIEW_SUFFIX = "_deduplicated"
"""Ending of the name of the view with one row for each event, the default of `python -m enrichment sql`."""


def topic(values: Mapping[str, str], key: str) -> str:
    """Return the full name of a topic of the contract."""
    name = values[key]
    return (
        name if name.startswith("projects/") else f"projects/{values['GOOGLE_CLOUD_PROJECT']}/topics/{name}"
    )


def secret(values: Mapping[str, str], key: str) -> tuple[str, str, str, str]:
    """Return project, location, name and version of a secret of the contract; the location may be empty.

    Raises:
        RefusalError: the value does not have the form of a secret.
    """
    found = re.fullmatch(
        r"(?:projects/([a-z0-9][a-z0-9.:-]*)/)?(?:locations/([a-z][a-z0-9-]*)/)?(?:secrets/)?"
        r"([A-Za-z0-9_][A-Za-z0-9_-]*)(?:(?::|/versions/)([A-Za-z0-9_-]+))?",
        values[key],
    )
    if not found:
        raise RefusalError(f"{key} does not name a secret: {values[key]!r}. Correct it in the contract.")
    return found[1] or values["GOOGLE_CLOUD_PROJECT"], found[2] or "", found[3], found[4] or "latest"


def table(values: Mapping[str, str], *, view: bool = False) -> str:
    """Return the table, or its view, as bq names it: ``PROJECT:DATASET.TABLE``."""
    project, dataset, name = values["BIGQUERY_TABLE"].split(".")
    return f"{project}:{dataset}.{name}{VIEW_SUFFIX if view else ''}"


def subscription(values: Mapping[str, str], answers: Mapping[str, Answer]) -> str:
    """Return the full name of the function's subscription; "" if Eventarc's trigger does not name one."""
    if values["FUNCTION_TRIGGER"] == "push":
        return f"projects/{values['GOOGLE_CLOUD_PROJECT']}/subscriptions/{values['SUBSCRIPTION_NAME']}"
    trigger = answers.get("trigger")
    found = fields.text(trigger.data if trigger else None, "transport", "pubsub", "subscription")
    return found if names.is_name("subscription", found) else ""


def first(values: Mapping[str, str], entries: Sequence[EntryPoint]) -> list[Question]:
    """Return the questions that need no other answer.

    Args:
        values: A checked contract.
        entries: The entry points that are read.
    """
    events = "enrich" in {entry.name for entry in entries}
    return [
        *_project(values),
        *(question for entry in entries for question in _entry_point(values, entry)),
        *(_topics(values) if events else ()),
        *(_table(values) if events else ()),
        *_secrets(values),
        *(question for name in ACCOUNTS for question in _account(values, name)),
        *_network(values),
        *_alerts(values),
    ]


def second(values: Mapping[str, str], answers: Mapping[str, Answer]) -> list[Question]:
    """Return Eventarc's trigger, if the contract asks for one and the function names it.

    Args:
        values: A checked contract.
        answers: The answers to the first questions.
    """
    if values["FUNCTION_TRIGGER"] != "eventarc":
        return []
    function = answers.get("function-enrich")
    trigger = fields.text(function.data if function else None, "eventTrigger", "trigger")
    if not names.is_name("trigger", trigger):
        return []
    command = _gcloud(values, "eventarc", "triggers", "describe", trigger)
    return [
        Question(
            "trigger",
            command,
            f"the Eventarc trigger {trigger.rpartition('/')[2]}",
            service="eventarc.googleapis.com",
            role="roles/eventarc.viewer",
            absent="trigger-missing",
        )
    ]


def third(values: Mapping[str, str], answers: Mapping[str, Answer]) -> list[Question]:
    """Return the questions about the subscription.

    Args:
        values: A checked contract.
        answers: The answers to the earlier questions.
    """
    name = subscription(values, answers)
    if not name or "function-enrich" not in answers:
        return []
    return _subscription(values, name)


def push_subscription(values: Mapping[str, str]) -> Question:
    """Return the question about the deployment's own push subscription."""
    return _subscription(values, subscription({**values, "FUNCTION_TRIGGER": "push"}, {}))[0]


def _subscription(values: Mapping[str, str], name: str) -> list[Question]:
    about = f"the subscription {name.rpartition('/')[2]}"
    return [
        Question(
            "subscription",
            _gcloud(values, "pubsub", "subscriptions", "describe", name),
            about,
            role="roles/pubsub.viewer",
            absent="subscription-missing",
            service="pubsub.googleapis.com",
        ),
        Question(
            "subscription-policy",
            _gcloud(values, "pubsub", "subscriptions", "get-iam-policy", name),
            f"the policy of {about}",
            role="roles/iam.securityReviewer",
            parent="subscription",
            service="pubsub.googleapis.com",
        ),
    ]


def _gcloud(values: Mapping[str, str], *words: str, project: str = "") -> tuple[str, ...]:
    return ("gcloud", *words, f"--project={project or values['GOOGLE_CLOUD_PROJECT']}", "--format=json")


def _project(values: Mapping[str, str]) -> Iterator[Question]:
    project = values["GOOGLE_CLOUD_PROJECT"]
    service = "cloudresourcemanager.googleapis.com"
    yield Question(
        "project",
        ("gcloud", "projects", "describe", project, "--format=json"),
        f"the project {project}",
        service=service,
        role="roles/browser",
    )
    yield Question(
        "project-policy",
        ("gcloud", "projects", "get-iam-policy", project, "--format=json"),
        f"the policy of the project {project}",
        service=service,
        role="roles/iam.securityReviewer",
        parent="project",
    )


def _entry_point(values: Mapping[str, str], entry: EntryPoint) -> Iterator[Question]:
    name = values[entry.deployed_as]
    region = f"--region={values['REGION']}"
    function = f"function-{entry.name}"
    yield Question(
        function,
        _gcloud(values, "functions", "describe", name, region, "--v2"),
        f"the function {name}",
        service="cloudfunctions.googleapis.com",
        role="roles/cloudfunctions.viewer",
        absent="function-missing",
    )
    yield Question(
        f"service-{entry.name}",
        _gcloud(values, "run", "services", "describe", name, region),
        f"the Cloud Run service {name}",
        role="roles/run.viewer",
        absent="service-missing",
        service="run.googleapis.com",
        parent=function,
    )
    yield Question(
        f"revisions-{entry.name}",
        _gcloud(values, "run", "revisions", "list", f"--service={name}", region),
        f"the revisions of {name}",
        shape=list,
        role="roles/run.viewer",
        service="run.googleapis.com",
        parent=function,
    )
    yield Question(
        f"service-policy-{entry.name}",
        _gcloud(values, "run", "services", "get-iam-policy", name, region),
        f"the policy of the Cloud Run service {name}",
        role="roles/iam.securityReviewer",
        service="run.googleapis.com",
        parent=f"service-{entry.name}",
    )


def _topics(values: Mapping[str, str]) -> Iterator[Question]:
    for name, key in TOPICS.items():
        full = topic(values, key)
        about = f"the topic {full.rpartition('/')[2]}"
        yield Question(
            f"topic-{name}",
            _gcloud(values, "pubsub", "topics", "describe", full),
            about,
            role="roles/pubsub.viewer",
            absent="topic-missing",
            service="pubsub.googleapis.com",
        )
        yield Question(
            f"topic-policy-{name}",
            _gcloud(values, "pubsub", "topics", "get-iam-policy", full),
            f"the policy of {about}",
            role="roles/iam.securityReviewer",
            parent=f"topic-{name}",
            service="pubsub.googleapis.com",
        )
        yield Question(
            f"readers-{name}",
            _gcloud(values, "pubsub", "topics", "list-subscriptions", full),
            f"the subscriptions of {about}",
            shape=list,
            role="roles/pubsub.viewer",
            parent=f"topic-{name}",
            service="pubsub.googleapis.com",
        )
    yield Question(
        "subscriptions",
        _gcloud(values, "pubsub", "subscriptions", "list"),
        "the settings of the project's subscriptions",
        shape=list,
        role="roles/pubsub.viewer",
        parent="project",
        service="pubsub.googleapis.com",
    )


def _bq(values: Mapping[str, str], *words: str) -> tuple[str, ...]:
    project = values["BIGQUERY_TABLE"].partition(".")[0]
    return ("bq", "--headless", "--format=json", f"--project_id={project}", *words)


def _table(values: Mapping[str, str]) -> Iterator[Question]:
    name, view = table(values), table(values, view=True)
    dataset = name.partition(".")[0]
    yield Question(
        "dataset",
        _bq(values, "show", "--dataset", dataset),
        f"the dataset {dataset}",
        role="roles/bigquery.metadataViewer",
        absent="dataset-missing",
        service="bigquery.googleapis.com",
    )
    yield Question(
        "table",
        _bq(values, "show", name),
        f"the table {name}",
        role="roles/bigquery.metadataViewer",
        absent="table-missing",
        parent="dataset",
        service="bigquery.googleapis.com",
    )
    yield Question(
        "table-policy",
        _bq(values, "get-iam-policy", "-t", name),
        f"the policy of the table {name}",
        role="roles/iam.securityReviewer",
        parent="table",
        service="bigquery.googleapis.com",
    )
    yield Question(
        "view",
        _bq(values, "show", view),
        f"the view {view}",
        role="roles/bigquery.metadataViewer",
        absent="view-missing",
        parent="dataset",
        service="bigquery.googleapis.com",
    )


def secret_names(values: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that this contract uses, such as ``signing-key``."""
    return [
        name
        for name, key in SECRETS.items()
        if values[key] and not (name == "signing-key" and values["MESH_AUTH"] == "google-id-token")
    ]


def _secrets(values: Mapping[str, str]) -> Iterator[Question]:
    for name in secret_names(values):
        project, location, secret_id, _ = secret(values, SECRETS[name])
        # A full name begins with "projects/" and cannot be read as an option; gcloud takes none of a regional secret.
        full = secret_id if location else f"projects/{project}/secrets/{secret_id}"
        where = (f"--location={location}",) if location else ()
        about = f"the secret {secret_id}"
        for prefix, words, shape, role in (
            ("secret", ("describe", full), dict, "roles/secretmanager.viewer"),
            ("secret-versions", ("versions", "list", full), list, "roles/secretmanager.viewer"),
            ("secret-policy", ("get-iam-policy", full), dict, "roles/iam.securityReviewer"),
        ):
            yield Question(
                f"{prefix}-{name}",
                _gcloud(values, "secrets", *words, *where, project=project),
                about
                if prefix == "secret"
                else f"the {'versions' if shape is list else 'policy'} of {about}",
                shape=shape,
                service="secretmanager.googleapis.com",
                role=role,
                absent="secret-missing" if prefix == "secret" else "",
                parent="" if prefix == "secret" else f"secret-{name}",
            )


def _account(values: Mapping[str, str], name: str) -> Iterator[Question]:
    email = values[ACCOUNTS[name]]
    if not email:
        return
    project = email.partition("@")[2].partition(".")[0]
    about = f"the service account {email}"
    yield Question(
        f"account-{name}",
        _gcloud(values, "iam", "service-accounts", "describe", email, project=project),
        about,
        role="roles/iam.serviceAccountViewer",
        absent="account-missing",
        service="iam.googleapis.com",
    )
    yield Question(
        f"account-keys-{name}",
        _gcloud(
            values,
            "iam",
            "service-accounts",
            "keys",
            "list",
            f"--iam-account={email}",
            "--managed-by=user",
            project=project,
        ),
        f"the keys of {about}",
        shape=list,
        role="roles/iam.serviceAccountViewer",
        parent=f"account-{name}",
        service="iam.googleapis.com",
    )
    yield Question(
        f"account-policy-{name}",
        _gcloud(values, "iam", "service-accounts", "get-iam-policy", email, project=project),
        f"the policy of {about}",
        role="roles/iam.securityReviewer",
        parent=f"account-{name}",
        service="iam.googleapis.com",
    )


def shared_network_project(values: Mapping[str, str], key: str) -> tuple[str, str]:
    """Return the project of a network or subnet, and its short name; a full name can name another project."""
    found = re.fullmatch(r"projects/([^/]+)/.*/([^/]+)", values[key])
    return (found[1], found[2]) if found else (values["GOOGLE_CLOUD_PROJECT"], values[key])


def gateway_address(values: Mapping[str, str]) -> str:
    """Return the reserved address of the gateway; "" if the contract has a host name only."""
    address = values.get("GKE_GATEWAY_ADDRESS", "") or values["GKE_GATEWAY_URL"].partition("://")[2]
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3}){3})(?::\d+)?", address)
    return found[1] if found else ""


def _network(values: Mapping[str, str]) -> Iterator[Question]:
    region = values["REGION"]
    project, subnet = shared_network_project(values, "VPC_SUBNET")
    if address := gateway_address(values):
        yield Question(
            "addresses",
            _gcloud(
                values, "compute", "addresses", "list", f"--regions={region}", f"--filter=address={address}"
            ),
            f"the reserved address {address}",
            shape=list,
            service="compute.googleapis.com",
            role="roles/compute.networkViewer",
        )
    if values["FUNCTION_EGRESS"] == "direct":
        yield Question(
            "subnet",
            _gcloud(
                values,
                "compute",
                "networks",
                "subnets",
                "describe",
                subnet,
                f"--region={region}",
                project=project,
            ),
            f"the subnet {subnet}",
            absent="subnet-missing",
            service="compute.googleapis.com",
            role="roles/compute.networkViewer",
        )
    else:
        connector = values["VPC_CONNECTOR"].rpartition("/")[2]
        yield Question(
            "connector",
            _gcloud(
                values,
                "compute",
                "networks",
                "vpc-access",
                "connectors",
                "describe",
                connector,
                f"--region={region}",
            ),
            f"the connector {connector}",
            service="vpcaccess.googleapis.com",
            role="roles/vpcaccess.viewer",
            absent="connector-missing",
        )


def _alerts(values: Mapping[str, str]) -> Iterator[Question]:
    words = ("monitoring", "policies", "list")
    yield Question(
        "alerts",
        _gcloud(values, *words),
        "the alert policies",
        shape=list,
        service="monitoring.googleapis.com",
        role="roles/monitoring.viewer",
        # The command left the alpha track after version 528.
        alternative=_gcloud(values, "alpha", *words),
    )
