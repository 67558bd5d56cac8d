"""The IAM matrix of a plan: who has which role on what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.infra.terraform.evaluate import Reference, kind_of

if TYPE_CHECKING:
    from tests.infra.terraform.evaluate import Plan

__all__ = ["Grant", "grants", "table"]


class Grant(NamedTuple):
    """One role of one member on one object."""

    member: str
    role: str
    on: str


_AGENTS = {
    "gcp-sa-pubsub": "Pub/Sub's service agent",
    "serverless-robot-prod": "Cloud Run's service agent",
    "dataflow-service-producer-prod": "Dataflow's service agent",
    "gcp-sa-certificatemanager": "Certificate Manager's service agent",
}

# What a resource of a grant is on: its words, and the arguments that name the object.
_OBJECTS: dict[str, tuple[str, str]] = {
    "google_project_iam_member": ("the project", ""),
    "google_bigquery_table_iam_member": ("table", "table_id"),
    "google_bigquery_dataset_iam_member": ("dataset", "dataset_id"),
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_secret_manager_secret_iam_member": ("secret", "secret_id"),
    "google_kms_crypto_key_iam_member": ("key", "crypto_key_id"),
    "google_cloud_run_v2_service_iam_member": ("Cloud Run service", "name"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_compute_subnetwork_iam_member": ("subnet", "subnetwork"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
}


def grants(plan: Plan) -> set[Grant]:
    """Return every grant of a plan.

    Raises:
        KeyError: A resource sets a policy and is not known here.
    """
    found = set()
    for address, arguments in plan.resources.items():
        kind = kind_of(address)
        if "_iam_" not in kind:
            continue
        words, argument = _OBJECTS[kind]
        on = f"{words} `{_name(arguments[argument])}`" if argument else words
        found.add(Grant(_member(plan, arguments["member"]), arguments["role"], on))
    return found


def table(rows: dict[Grant, str]) -> str:
    """Return grants as a table of Markdown, with the condition under which each is made."""
    lines = ["| Who | Role | On | When |", "| --- | --- | --- | --- |"]
    lines += [f"| {row.member} | `{row.role}` | {row.on} | {rows[row]} |" for row in sorted(rows)]
    return "\n".join(lines) + "\n"


def _member(plan: Plan, member: Any) -> str:  # noqa: ANN401
    text = member.address if isinstance(member, Reference) else str(member)
    for agent, words in _AGENTS.items():
        if agent in text:
            return words
    if text.endswith(".writer_identity"):
        return "the writer of the log sink"
    return f"`{_name(member)}`"


def _name(value: Any) -> str:  # noqa: ANN401
    """Return what names an object: the name that the contract gives it, or that of its resource here."""
    if not isinstance(value, Reference):
        return str(value)
    found = re.search(r"\b(\w+)\.(\w+)(?:\[(?:\d+|\"([^\"]*)\")\])?\.\w+}?$", value.address)
    assert found, value.address
    return f"{found[2]} {found[3]}" if found[3] else found[2]
