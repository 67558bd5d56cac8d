"""Names that follow from the contract: image, specifications, subnet, secret, the environment of the jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..deploy.entry_points import environment as function_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "meshpass-dataflow"


def image(values: Mapping[str, str], digest: str = "") -> str:
    """Return the name of the image: with the tag of the package that it is made from, or without a tag."""
    where = f"{values['REGION']}-docker.pkg.dev/{values['GOOGLE_CLOUD_PROJECT']}"
    name = f"{where}/{values['ARTIFACT_REPOSITORY']}/{IMAGE}"
    return f"{name}:{digest[:12]}" if digest else name


def specification(values: Mapping[str, str], mode: str, digest: str) -> str:
    """Return where the template's specification of a mode lies. A package of other bytes has another one."""
    return f"gs://{values['DATAFLOW_BUCKET']}/templates/{digest[:12]}/{mode}.json"


def staging(values: Mapping[str, str]) -> tuple[str, str]:
    """Return the flags that say where a job stages its files and keeps temporary ones."""
    bucket = f"gs://{values['DATAFLOW_BUCKET']}"
    return (f"--staging-location={bucket}/staging", f"--temp-location={bucket}/temp")


def journal(values: Mapping[str, str], name: str) -> str:
    """Return where a backfill keeps its checkpoints and its report; the same name resumes it."""
    return f"gs://{values['DATAFLOW_BUCKET']}/backfill/{name}"


def subscription(values: Mapping[str, str]) -> str:
    """Return the full name of the streaming job's subscription."""
    return f"projects/{values['GOOGLE_CLOUD_PROJECT']}/subscriptions/{values['DATAFLOW_SUBSCRIPTION']}"


def processes(values: Mapping[str, str]) -> int:
    """Return the most processes that a job has: Dataflow starts one for each vCPU of a worker.

    They share the rate of a backfill. The launcher cannot know it: it has vCPUs of its own.
    """
    return int(values["DATAFLOW_MAX_WORKERS"]) * int(values["DATAFLOW_MACHINE_TYPE"].rpartition("-")[2])


def subnet(values: Mapping[str, str]) -> tuple[str, str]:
    """Return the project and the name of the subnet that workers take their addresses from."""
    parts = values["VPC_SUBNET"].split("/")
    return (parts[1], parts[-1]) if len(parts) > 1 else (values["GOOGLE_CLOUD_PROJECT"], parts[0])


def subnet_url(values: Mapping[str, str]) -> str:
    """Return the subnet as Dataflow takes it from any project, a Shared VPC's host among them.

    https://cloud.google.com/dataflow/docs/guides/specifying-networks#subnetwork_parameter
    """
    project, name = subnet(values)
    return f"https://www.googleapis.com/compute/v1/projects/{project}/regions/{values['REGION']}/subnetworks/{name}"


def gateway_ca(values: Mapping[str, str]) -> str:
    """Return the full name of the secret's version that holds the gateway's CA; empty without one.

    Each worker reads it when it starts: Dataflow mounts no secret.
    """
    secret = values["GKE_GATEWAY_CA_SECRET"]
    if not secret:
        return ""
    path, version = secret, "latest"
    if "/versions/" in secret:
        path, _, version = secret.partition("/versions/")
    elif ":" in secret:
        path, _, version = secret.rpartition(":")
    if "/" not in path:
        path = f"projects/{values['GOOGLE_CLOUD_PROJECT']}/secrets/{path}"
    return f"{path}/versions/{version}"


def environment(values: Mapping[str, str]) -> str:
    """Return the environment of the enrichment as one JSON object.

    It is the function's own. Keys are named by their secrets, for there is no mount on a worker, and the account of the
    workers reads them. No value is a secret.
    """
    unmounted = {"SIGNING_KEY_FILE": "", "PSEUDONYM_KEY_FILE": "", "GKE_GATEWAY_CA_FILE": ""}
    variables = function_environment({**values, **unmounted})
    variables["FUNCTION_NAME"] = values[
        "FUNCTION_NAME"
    ]  # dead letters name it, and a backfill takes those that do
    return json.dumps(dict(sorted(variables.items())), separators=(",", ":"))
