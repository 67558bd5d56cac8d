"""The function as the Cloud Functions API has it.

Source: https://cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...cloud import fields
from ...deploy.entry_points import ENRICH
from ..deployment import finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...deploy.entry_points import EntryPoint
    from ..deployment import Deployment
    from ..finding import Finding

INGRESS = {
    "internal-only": "ALLOW_INTERNAL_ONLY",
    "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB",
    "all": "ALLOW_ALL",
}
WIDTH = ("ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB", "ALLOW_ALL")
"""Values of the ingress setting, from the narrowest to the widest."""

_UNITS = {"k": 1000, "M": 1000**2, "G": 1000**3, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "": 1}


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about each function that exists."""
    for entry in deployment.entries:
        if not deployment.ok(f"function-{entry.name}"):
            continue
        function = deployment.data(f"function-{entry.name}")
        flags = deployment.expected_flags(entry)
        subject = f"the function {deployment.values[entry.deployed_as]}"
        redeploy = deployment.redeploy(entry)
        yield from _state(function, subject, redeploy)
        yield from _build(function, flags, subject, redeploy)
        yield from _runs_as(function, flags, subject, redeploy)
        yield from _ingress(function, flags, subject, redeploy)
        yield from _sizes(function, flags, subject, redeploy)
        yield from _package(deployment, function, subject, redeploy)
        if entry is ENRICH:
            yield from _trigger(deployment, function, subject, entry)


def ingress(kind_subject: str, found: str, expected: str, command: tuple[str, ...]) -> Iterator[Finding]:
    """Yield a finding if an ingress setting is wider or narrower than expected.

    Args:
        kind_subject: What has the setting.
        found: The setting in the words of the Cloud Functions API.
        expected: The setting that the contract gives, in the same words.
        command: What sets it.
    """
    if found == expected:
        return
    narrower = found in WIDTH and expected in WIDTH and WIDTH.index(found) < WIDTH.index(expected)
    kind = "ingress-differs" if narrower else "ingress-open"
    yield finding(kind, kind_subject, f"ingress {found or 'not set'}", f"ingress {expected}", command)


def _state(function: Any, subject: str, redeploy: tuple[str, ...]) -> Iterator[Finding]:  # noqa: ANN401
    state = fields.text(function, "state")
    if state != "ACTIVE":
        messages = [fields.text(item, "message") for item in fields.items(function, "stateMessages")]
        found = f"state {state or 'unknown'}{': ' if messages else ''}{'; '.join(messages)}"
        yield finding("function-not-active", subject, found, "state ACTIVE", redeploy)


def _build(
    function: Any,  # noqa: ANN401
    flags: Mapping[str, str],
    subject: str,
    redeploy: tuple[str, ...],
) -> Iterator[Finding]:
    rows = (
        ("runtime-differs", "runtime", flags.get("--runtime", "")),
        ("entry-point-differs", "entryPoint", flags.get("--entry-point", "")),
    )
    for kind, key, expected in rows:
        found = fields.text(function, "buildConfig", key)
        if found != expected:
            yield finding(kind, subject, found or "not set", expected, redeploy)
    found = fields.text(function, "buildConfig", "serviceAccount")
    expected = flags.get("--build-service-account", "")
    if found.rpartition("/")[2] != expected.rpartition("/")[2]:
        yield finding(
            "build-account-differs",
            subject,
            found.rpartition("/")[2] or "the default account",
            expected.rpartition("/")[2],
            redeploy,
        )


def _runs_as(
    function: Any,  # noqa: ANN401
    flags: Mapping[str, str],
    subject: str,
    redeploy: tuple[str, ...],
) -> Iterator[Finding]:
    found = fields.text(function, "serviceConfig", "serviceAccountEmail")
    if found != flags["--service-account"]:
        yield finding(
            "function-account", subject, found or "the default account", flags["--service-account"], redeploy
        )


def _ingress(
    function: Any,  # noqa: ANN401
    flags: Mapping[str, str],
    subject: str,
    redeploy: tuple[str, ...],
) -> Iterator[Finding]:
    found = fields.text(function, "serviceConfig", "ingressSettings")
    yield from ingress(subject, found, INGRESS[flags["--ingress-settings"]], redeploy)


def _sizes(
    function: Any,  # noqa: ANN401
    flags: Mapping[str, str],
    subject: str,
    redeploy: tuple[str, ...],
) -> Iterator[Finding]:
    for what, key, option in (
        ("memory", "availableMemory", "--memory"),
        ("CPU", "availableCpu", "--cpu"),
        ("concurrency", "maxInstanceRequestConcurrency", "--concurrency"),
        ("minimum instances", "minInstanceCount", "--min-instances"),
        ("maximum instances", "maxInstanceCount", "--max-instances"),
        ("timeout in seconds", "timeoutSeconds", "--timeout"),
    ):
        # A number that is 0 is left out of the JSON.
        found = fields.text(function, "serviceConfig", key) or "0"
        expected = flags.get(option, "").removesuffix("s" if option == "--timeout" else "")
        if _amount(found) != _amount(expected):
            yield finding("sizes-differ", f"{subject}: {what}", found, expected, redeploy)


def _amount(text: str) -> float | str:
    parts = re.fullmatch(r"(\d*\.?\d+)(Ki|Mi|Gi|k|M|G|m|)", text)
    if not parts:
        return text
    return float(parts[1]) / 1000 if parts[2] == "m" else float(parts[1]) * _UNITS[parts[2]]


def _package(
    deployment: Deployment,
    function: Any,  # noqa: ANN401
    subject: str,
    redeploy: tuple[str, ...],
) -> Iterator[Finding]:
    found = fields.text(function, "labels", "package")
    if deployment.package and found != deployment.package:
        yield finding(
            "package-differs",
            subject,
            f"label package={found or 'not set'}",
            f"label package={deployment.package}",
            redeploy,
        )


def _trigger(
    deployment: Deployment,
    function: Any,  # noqa: ANN401
    subject: str,
    entry: EntryPoint,
) -> Iterator[Finding]:
    redeploy = deployment.redeploy(entry)
    by_eventarc = deployment.values["FUNCTION_TRIGGER"] == "eventarc"
    if by_eventarc != bool(fields.value(function, "eventTrigger")):
        found, expected = ("no Eventarc trigger", "an Eventarc trigger")
        if not by_eventarc:
            found, expected = expected, found
        # No single command: a change of the trigger deletes a subscription with the events that wait in it.
        yield finding("trigger-differs", subject, found, expected)
        return
    if not by_eventarc:
        return
    topic = fields.text(function, "eventTrigger", "pubsubTopic").rpartition("/")[2]
    if topic != deployment.values["TRIGGER_TOPIC"].rpartition("/")[2]:
        yield finding("trigger-topic-differs", subject, topic, deployment.values["TRIGGER_TOPIC"], redeploy)
    account = fields.text(function, "eventTrigger", "serviceAccountEmail")
    if account != deployment.values["TRIGGER_SERVICE_ACCOUNT"]:
        yield finding(
            "trigger-account-differs",
            subject,
            account or "the default account",
            deployment.values["TRIGGER_SERVICE_ACCOUNT"],
            redeploy,
        )
    if fields.text(function, "eventTrigger", "retryPolicy") != "RETRY_POLICY_RETRY":
        found = fields.text(function, "eventTrigger", "retryPolicy") or "not set"
        yield finding("retry-off", subject, f"retry policy {found}", "RETRY_POLICY_RETRY", redeploy)
