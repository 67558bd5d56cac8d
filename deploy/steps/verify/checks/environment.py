"""Environment variables and mounted secrets of the revisions that serve."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...cloud import fields
from ...deploy import entry_points
from ..deployment import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...deploy.entry_points import EntryPoint
    from ..deployment import Deployment
    from ..finding import Finding

# Set by Cloud Functions itself.
# https://cloud.google.com/functions/docs/configuring/env-var#runtime_environment_variables_set_automatically
PLATFORM = frozenset(
    {"LOG_EXECUTION_ID", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "EVENTARC_CLOUD_EVENT_SOURCE"}
)


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the settings that each function was given."""
    for entry in deployment.entries:
        for name in deployment.serving_revisions(entry):
            revision = deployment.revision(entry, name)
            if revision is not None:
                yield from _variables(deployment, entry, name, revision)
        if deployment.ok(f"function-{entry.name}"):
            yield from _secrets(deployment, entry)


def variables(revision: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return the plain environment variables of a revision."""
    listed = fields.items(revision, "spec", "containers", 0, "env")
    return {
        fields.text(item, "name"): fields.text(item, "value") for item in listed if "valueFrom" not in item
    }


def _variables(deployment: Deployment, entry: EntryPoint, name: str, revision: Any) -> Iterator[Finding]:  # noqa: ANN401
    expected = entry_points.environment(deployment.values, entry)
    found = variables(revision)
    redeploy = deployment.redeploy(entry)
    for item in fields.items(revision, "spec", "containers", 0, "env"):
        if "valueFrom" in item:
            variable = f"the revision {name}: {fields.text(item, 'name')}"
            secret = fields.text(item, "valueFrom", "secretKeyRef", "name")
            found_here = f"the secret {secret} as a variable"
            yield finding(
                "secret-in-environment", variable, found_here, "no secret in the environment", redeploy
            )
    for variable in sorted({*expected, *found} - PLATFORM):
        subject = f"the revision {name}: {variable}"
        if variable not in found:
            yield finding("environment-missing", subject, "not set", expected[variable], redeploy)
        elif variable not in expected:
            # Its value could be a secret that was set by hand.
            yield finding("environment-unknown", subject, "set", "not set", redeploy)
        elif found[variable] != expected[variable]:
            yield finding("environment-differs", subject, found[variable], expected[variable], redeploy)


def _secrets(deployment: Deployment, entry: EntryPoint) -> Iterator[Finding]:
    answer = deployment.data(f"function-{entry.name}")
    subject = f"the function {deployment.values[entry.deployed_as]}"
    redeploy = deployment.redeploy(entry)
    for item in fields.items(answer, "serviceConfig", "secretEnvironmentVariables"):
        yield finding(
            "secret-in-environment",
            f"{subject}: {fields.text(item, 'key')}",
            f"the secret {fields.text(item, 'secret')} as a variable",
            "no secret in the environment",
            redeploy,
        )
    expected = _expected_mounts(deployment.expected_flags(entry).get("--set-secrets", ""))
    found = _found_mounts(answer)
    for path in sorted({*expected, *found}):
        if expected.get(path) != found.get(path):
            yield finding(
                "secret-mount-differs",
                f"{subject}: {path}",
                found.get(path, "not mounted"),
                expected.get(path, "not mounted"),
                redeploy,
            )


def _expected_mounts(flag: str) -> dict[str, str]:
    mounts = {}
    for word in filter(None, flag.split(",")):
        path, _, secret = word.partition("=")
        parts = re.fullmatch(r"(?:.*/)?([^/:]+?)(?::|/versions/)([^/:]+)", secret)
        mounts[path] = f"secret {parts[1]}, version {parts[2]}" if parts else secret
    return mounts


def _found_mounts(answer: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    mounts = {}
    for volume in fields.items(answer, "serviceConfig", "secretVolumes"):
        folder = fields.text(volume, "mountPath").rstrip("/")
        secret = fields.text(volume, "secret").rpartition("/")[2]
        for version in fields.items(volume, "versions"):
            path = f"{folder}/{fields.text(version, 'path').lstrip('/')}"
            mounts[path] = f"secret {secret}, version {fields.text(version, 'version')}"
    return mounts
