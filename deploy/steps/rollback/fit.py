"""Whether an old revision still fits what is around it: its secrets, its subscription, the contract.

A revision keeps its settings for ever. What it reads can have changed since: a key was retired, a deadline shortened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..cloud import fields, questions
from ..cloud.answers import Outcome, Question
from ..deploy.entry_points import ENRICH, environment
from ..verify.checks.environment import PLATFORM, variables
from ..verify.finding import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud.readers import Reader
    from ..deploy.entry_points import EntryPoint

_SECRETS_ANNOTATION = "run.googleapis.com/secrets"
_SECRET = re.compile(
    r"projects/(?P<project>[a-z0-9][a-z0-9.:-]*)/(locations/(?P<location>[a-z][a-z0-9-]*)/)?"
    r"secrets/(?P<name>[A-Za-z0-9_][A-Za-z0-9_-]*)/versions/(?P<version>[A-Za-z0-9_][A-Za-z0-9_-]*)"
)


@dataclass
class Fit:
    """How well a revision fits.

    Attributes:
        obstacles: Why it would fail; a roll-back stops at these.
        differences: What is not as in the contract; a roll-back names these.
    """

    obstacles: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SecretVersion:
    """One version of a secret that a revision reads."""

    project: str
    location: str
    name: str
    version: str

    def question(self) -> Question:
        """Return the question for the state of the version; an alias or ``latest`` is resolved by the API."""
        where = (f"--location={self.location}",) if self.location else ()
        return Question(
            f"secret-version-{self.name}",
            (
                "gcloud",
                "secrets",
                "versions",
                "describe",
                self.version,
                f"--secret={self.name}",
                f"--project={self.project}",
                *where,
                "--format=json",
            ),
            f"the version {self.version} of the secret {self.name}",
            service="secretmanager.googleapis.com",
            role="roles/secretmanager.viewer",
        )


def check(
    values: Mapping[str, str],
    entry: EntryPoint,
    revision: Any,  # noqa: ANN401 - JSON
    reader: Reader,
) -> Fit:
    """Return how well a revision fits.

    Args:
        values: A checked contract.
        entry: The function.
        revision: The answer about the revision.
        reader: Reads secrets and the subscription.
    """
    fit = Fit()
    _environment(values, entry, revision, fit)
    for secret in secret_versions(values, revision, fit):
        _secret(secret, reader, fit)
    if entry is ENRICH:
        _subscription(values, revision, reader, fit)
    account = fields.text(revision, "spec", "serviceAccountName")
    if account != values[entry.account]:
        fit.differences.append(
            f"it runs as {printable(account) or 'the default account'}, not as {values[entry.account]}"
        )
    return fit


def secret_versions(
    values: Mapping[str, str],
    revision: Any,  # noqa: ANN401 - JSON
    fit: Fit,
) -> list[SecretVersion]:
    """Return the secrets that a revision reads by the API or mounts; what cannot be understood is an obstacle."""
    found = []
    for name, value in variables(revision).items():
        if name.endswith("_SECRET_ID"):
            parts = _SECRET.fullmatch(value)
            if parts:
                found.append(
                    SecretVersion(parts["project"], parts["location"] or "", parts["name"], parts["version"])
                )
            else:
                fit.obstacles.append(f"{name} of the revision names no version of a secret")
    aliases = _aliases(fields.text(revision, "metadata", "annotations", _SECRETS_ANNOTATION))
    for volume in fields.items(revision, "spec", "volumes"):
        secret = fields.text(volume, "secret", "secretName")
        for item in fields.items(volume, "secret", "items"):
            full = aliases.get(secret, f"projects/{values['GOOGLE_CLOUD_PROJECT']}/secrets/{secret}")
            parts = _SECRET.fullmatch(f"{full}/versions/{fields.text(item, 'key')}")
            if parts:
                found.append(SecretVersion(parts["project"], "", parts["name"], parts["version"]))
            else:
                fit.obstacles.append("a mounted secret of the revision has no name that can be read")
    return list(dict.fromkeys(found))


def _aliases(annotation: str) -> dict[str, str]:
    """Return full names by alias: Cloud Run writes secrets of other projects as ALIAS:FULL_NAME,..."""
    pairs = (word.partition(":") for word in annotation.split(",") if ":" in word)
    return {alias: name for alias, _, name in pairs}


def _environment(values: Mapping[str, str], entry: EntryPoint, revision: Any, fit: Fit) -> None:  # noqa: ANN401
    expected, found = environment(values, entry), variables(revision)
    for name in sorted({*expected, *found} - PLATFORM):
        if name not in found:
            fit.differences.append(f"{name} is not set; the contract has {expected[name]}")
        elif name not in expected:
            fit.differences.append(f"{name} is set; the contract does not give it")
        elif found[name] != expected[name]:
            fit.differences.append(f"{name} is {printable(found[name])}; the contract has {expected[name]}")


def _secret(secret: SecretVersion, reader: Reader, fit: Fit) -> None:
    question = secret.question()
    answer = reader(question)
    if answer.outcome is Outcome.ABSENT:
        fit.obstacles.append(f"{question.about} does not exist any more")
    elif not answer.ok:
        fit.obstacles.append(f"{question.about} cannot be read: {answer.error}")
    elif (state := fields.text(answer.data, "state").upper()) != "ENABLED":
        fit.obstacles.append(f"{question.about} is {state or 'of unknown state'}")


def _subscription(values: Mapping[str, str], revision: Any, reader: Reader, fit: Fit) -> None:  # noqa: ANN401
    if values["FUNCTION_TRIGGER"] != "push":
        return  # the name of Eventarc's subscription takes two more reads; deploy/verify makes them
    question = questions.push_subscription(values)
    answer = reader(question)
    if not answer.ok:
        fit.obstacles.append(f"{question.about} cannot be read: {answer.error}")
        return
    deadline = fields.text(answer.data, "ackDeadlineSeconds")
    timeout = fields.text(revision, "spec", "timeoutSeconds")
    if deadline.isdecimal() and timeout.isdecimal() and float(timeout) > float(deadline):
        fit.obstacles.append(
            f"its timeout of {timeout} s is longer than the deadline of {deadline} s of {question.about}, so an event "
            "would come again while it is worked on"
        )
