"""Secrets: the versions that the function reads, and their life.

Source: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...cloud import fields, questions
from ..deployment import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..finding import Finding


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about each secret that the contract names."""
    for name in questions.secret_names(deployment.values):
        yield from _life(deployment, name)
        if deployment.ok(f"secret-{name}", f"secret-versions-{name}"):
            yield from _version(deployment, name)


def versions(deployment: Deployment, name: str) -> dict[str, str]:
    """Return the state of each version of a secret by its number."""
    return {
        fields.text(item, "name").rpartition("/")[2]: fields.text(item, "state").upper()
        for item in fields.items(deployment.data(f"secret-versions-{name}"))
    }


def number(deployment: Deployment, name: str) -> str:
    """Return the number of the version that the contract names; "" if there is none.

    Args:
        deployment: The deployment.
        name: The secret, such as ``signing-key``.
    """
    version = questions.secret(deployment.values, questions.SECRETS[name])[3]
    known = versions(deployment, name)
    if version == "latest":
        # The longest number is the highest, and a number of any length can be compared so.
        return max(known, key=lambda text: (text.isdecimal(), len(text), text), default="")
    if version.isdecimal():
        return version if version in known else ""
    return fields.text(deployment.data(f"secret-{name}"), "versionAliases", version)


def command(deployment: Deployment, name: str, *words: str) -> tuple[str, ...]:
    """Return a command of gcloud about a secret.

    Args:
        deployment: The deployment.
        name: The secret, such as ``signing-key``.
        words: The command's words between ``secrets`` and the flags; a secret named in them comes first.
    """
    project, location, _, _ = questions.secret(deployment.values, questions.SECRETS[name])
    where = (f"--location={location}",) if location else ()
    return ("gcloud", "secrets", *words, f"--project={project}", *where)


def _life(deployment: Deployment, name: str) -> Iterator[Finding]:
    secret_id = questions.secret(deployment.values, questions.SECRETS[name])[2]
    expiry = fields.text(deployment.data(f"secret-{name}"), "expireTime")
    if expiry:
        yield finding(
            "secret-expires",
            f"the secret {secret_id}",
            f"expires at {expiry}",
            "never",
            command(deployment, name, "update", secret_id, "--remove-expiration"),
        )


def _version(deployment: Deployment, name: str) -> Iterator[Finding]:
    _, _, secret_id, version = questions.secret(deployment.values, questions.SECRETS[name])
    subject = f"the version {version} of the secret {secret_id}"
    found = number(deployment, name)
    state = versions(deployment, name).get(found, "")
    if not state:
        known = ", ".join(
            [
                *versions(deployment, name),
                *fields.table(deployment.data(f"secret-{name}"), "versionAliases"),
            ]
        )
        yield finding(
            "secret-version-missing", subject, "no such version", f"one of: {known or 'no version at all'}"
        )
    elif state != "ENABLED":
        enable = ("versions", "enable", found, f"--secret={secret_id}")
        yield finding(
            "secret-version-disabled",
            subject,
            f"version {found} is {state}",
            "ENABLED",
            *([command(deployment, name, *enable)] if state == "DISABLED" else []),
        )
