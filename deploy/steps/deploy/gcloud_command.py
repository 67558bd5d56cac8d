"""Arguments of gcloud that create or update a function: one list for all flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..package.runtime import RUNTIME
from . import subscription
from .entry_points import LOOKUP, secrets_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .entry_points import EntryPoint


def command(
    values: Mapping[str, str], entry: EntryPoint, *, source: str, env_file: str, labels: Mapping[str, str]
) -> list[str]:
    """Return the arguments of gcloud that create or update the function.

    Args:
        values: a checked contract.
        entry: the function.
        source: the packaged folder.
        env_file: the file that holds ``environment_yaml``.
        labels: labels to set; other labels on the function stay.

    Returns:
        The arguments after the word ``gcloud``.
    """
    project = values["GOOGLE_CLOUD_PROJECT"]
    repository = (
        f"projects/{project}/locations/{values['REGION']}/repositories/{values['ARTIFACT_REPOSITORY']}"
    )
    return [
        "functions",
        "deploy",
        values[entry.deployed_as],
        f"--project={project}",
        f"--region={values['REGION']}",
        "--gen2",
        f"--runtime={RUNTIME}",
        f"--source={source}",
        f"--entry-point={entry.name}",
        *_trigger(values, entry),
        f"--service-account={values[entry.account]}",
        f"--build-service-account=projects/{project}/serviceAccounts/{values['BUILD_SERVICE_ACCOUNT']}",
        # Otherwise the image goes to a repository that Google makes, without cleanup and scanning of ours.
        f"--docker-repository={repository}",
        *_egress(values),
        f"--memory={values['FUNCTION_MEMORY']}",
        f"--cpu={values['FUNCTION_CPU']}",
        f"--concurrency={values['FUNCTION_CONCURRENCY']}",
        f"--min-instances={values['FUNCTION_MIN_INSTANCES']}",
        f"--max-instances={values['FUNCTION_MAX_INSTANCES']}",
        f"--timeout={values['FUNCTION_TIMEOUT_S']}s",
        f"--env-vars-file={env_file}",
        *_secrets(values, entry),
        f"--update-labels={','.join(f'{name}={value}' for name, value in labels.items())}",
        # A roll-back pins traffic to an old revision. The next deployment must move it to the new one.
        "--serve-all-traffic-latest-revision",
        # No questions: a pipeline cannot answer them, and some of gcloud's questions grant roles.
        "--quiet",
    ]


def _trigger(values: Mapping[str, str], entry: EntryPoint) -> list[str]:
    if entry is LOOKUP:
        return ["--trigger-http", f"--ingress-settings={values['LOOKUP_INGRESS']}"]
    if subscription.uses_push(values):
        # Pushes of a subscription in the same project count as internal.
        return ["--trigger-http", "--ingress-settings=internal-only"]
    return [
        f"--trigger-topic={values['TRIGGER_TOPIC'].rpartition('/')[2]}",
        # Without it a failed event is dropped: for functions, retrying is off by default.
        "--retry",
        f"--trigger-service-account={values['TRIGGER_SERVICE_ACCOUNT']}",
        "--ingress-settings=internal-only",
    ]


def _egress(values: Mapping[str, str]) -> list[str]:
    if values["FUNCTION_EGRESS"] == "connector":
        return [f"--vpc-connector={values['VPC_CONNECTOR']}", "--egress-settings=private-ranges-only"]
    return [
        f"--network={values['VPC_NETWORK']}",
        f"--subnet={values['VPC_SUBNET']}",
        "--direct-vpc-egress=private-ranges-only",
    ]


def _secrets(values: Mapping[str, str], entry: EntryPoint) -> list[str]:
    mounts = []
    if values["GKE_GATEWAY_CA_FILE"]:
        secret = values["GKE_GATEWAY_CA_SECRET"]
        versioned = secret if ":" in secret or "/versions/" in secret else f"{secret}:latest"
        mounts.append(f"{values['GKE_GATEWAY_CA_FILE']}={versioned}")
    mounts += [
        f"{values[f'{name}_FILE']}={values[f'{name}_SECRET_ID']}"
        for name in secrets_of(values, entry)
        if values[f"{name}_FILE"]
    ]
    return [f"--set-secrets={','.join(mounts)}"] if mounts else ["--clear-secrets"]
