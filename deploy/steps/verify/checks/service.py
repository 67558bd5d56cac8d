"""The Cloud Run service under a function: who it lets in, which revision serves, and its way into the network.

The service is what callers reach. It can be changed under the function, and the function does not show that.
Source: https://cloud.google.com/run/docs/reference/rest/v1/namespaces.services
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...cloud import fields
from ..deployment import finding
from . import function as function_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...deploy.entry_points import EntryPoint
    from ..deployment import Deployment
    from ..finding import Finding

_RUN = "run.googleapis.com"
_INGRESS = {
    "internal": "ALLOW_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "ALLOW_INTERNAL_AND_GCLB",
    "all": "ALLOW_ALL",
}


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about each service that exists."""
    for entry in deployment.entries:
        if not deployment.ok(f"service-{entry.name}"):
            continue
        subject = f"the Cloud Run service {deployment.values[entry.deployed_as]}"
        yield from _admission(deployment, entry, subject)
        yield from _revisions(deployment, entry, subject)
        yield from _account(deployment, entry)
        yield from _egress(deployment, entry)


def _admission(deployment: Deployment, entry: EntryPoint, subject: str) -> Iterator[Finding]:
    annotations = fields.table(deployment.data(f"service-{entry.name}"), "metadata", "annotations")
    name = deployment.values[entry.deployed_as]
    where = (deployment.project_flag(), deployment.region_flag())
    update = ("gcloud", "run", "services", "update", name, *where)
    flags = deployment.expected_flags(entry)
    # The status names what is in force; the other is what was asked for. Without either, all may come.
    written = annotations.get(f"{_RUN}/ingress-status") or annotations.get(f"{_RUN}/ingress") or "all"
    expected = function_checks.INGRESS[flags["--ingress-settings"]]
    ingress = next(word for word, meaning in _INGRESS.items() if meaning == expected)
    yield from function_checks.ingress(
        subject, _INGRESS.get(written, written), expected, (*update, f"--ingress={ingress}")
    )
    # Some versions of gcloud that deploy have this option and --scaling in the beta track alone.
    if fields.flag(annotations, f"{_RUN}/default-url-disabled"):
        found, expected = "its run.app address is turned off", "its run.app address answers"
        yield finding(
            "ingress-differs", subject, found, expected, ("gcloud", "beta", *update[1:], "--default-url")
        )
    yield from _scaling(deployment, annotations, subject, update)
    if fields.flag(annotations, f"{_RUN}/invoker-iam-disabled"):
        yield finding(
            "invoker-check-off",
            subject,
            f"the annotation {_RUN}/invoker-iam-disabled is true",
            "Cloud Run checks roles/run.invoker",
            (*update, "--invoker-iam-check"),
        )


def _scaling(
    deployment: Deployment, annotations: dict[str, str], subject: str, update: tuple[str, ...]
) -> Iterator[Finding]:
    """Yield findings about the service's own scaling, which holds for every revision and makes no new one.

    Source: https://cloud.google.com/run/docs/configuring/services/manual-scaling
    """
    if annotations.get(f"{_RUN}/scalingMode", "automatic").lower() != "automatic":
        count = annotations.get(f"{_RUN}/manualInstanceCount") or "an unknown number of"
        yield finding(
            "sizes-differ",
            f"{subject}: scaling",
            f"by hand, {count} instances",
            "automatic",
            ("gcloud", "beta", *update[1:], "--scaling=auto"),
        )
    least = annotations.get(f"{_RUN}/minScale", "")
    if least not in {"", "0", deployment.values["FUNCTION_MIN_INSTANCES"]}:
        expected = deployment.values["FUNCTION_MIN_INSTANCES"]
        yield finding(
            "sizes-differ", f"{subject}: minimum instances", least, expected, (*update, "--min=default")
        )
    most = annotations.get(f"{_RUN}/maxScale", "")
    # Cloud Run writes a limit of its own, which is above the contract's.
    limit = deployment.values["FUNCTION_MAX_INSTANCES"]
    if most and not (most.isdecimal() and (len(most), most) >= (len(limit), limit)):
        yield finding(
            "sizes-differ", f"{subject}: maximum instances", most, limit, (*update, "--max=default")
        )


def _revisions(deployment: Deployment, entry: EntryPoint, subject: str) -> Iterator[Finding]:
    service = deployment.data(f"service-{entry.name}")
    created = fields.text(service, "status", "latestCreatedRevisionName")
    ready = fields.text(service, "status", "latestReadyRevisionName")
    redeploy = deployment.redeploy(entry)
    conditions = {fields.text(item, "type"): item for item in fields.items(service, "status", "conditions")}
    state = conditions.get("Ready", {})
    if created != ready or fields.text(state, "status") != "True":
        reason = fields.text(state, "message")
        shown = f"newest revision {created or 'unknown'}, newest ready one {ready or 'none'}"
        yield finding(
            "revision-not-ready",
            subject,
            f"{shown}: {reason}" if reason else shown,
            "the newest revision is ready",
            redeploy,
        )
    traffic = fields.items(service, "status", "traffic")
    latest = [item for item in traffic if fields.flag(item, "latestRevision")]
    if not any(fields.text(item, "percent") == "100" for item in latest):
        targets = [
            f"{fields.text(item, 'percent')} % to {fields.text(item, 'revisionName')}"
            for item in traffic
            if fields.text(item, "percent") not in {"", "0"}
        ]
        name = deployment.values[entry.deployed_as]
        yield finding(
            "traffic-pinned",
            subject,
            ", ".join(targets) or "no traffic",
            "100 % to the newest revision",
            (
                "gcloud",
                "run",
                "services",
                "update-traffic",
                name,
                deployment.project_flag(),
                deployment.region_flag(),
                "--to-latest",
            ),
        )
    for item in traffic:
        if tag := fields.text(item, "tag"):
            name, where = (
                deployment.values[entry.deployed_as],
                (deployment.project_flag(), deployment.region_flag()),
            )
            yield finding(
                "traffic-tagged",
                subject,
                f"tag {tag} of {fields.text(item, 'revisionName') or 'a revision'}",
                "no tag",
                ("gcloud", "run", "services", "update-traffic", name, *where, f"--remove-tags={tag}"),
            )
    made = fields.text(deployment.data(f"function-{entry.name}"), "serviceConfig", "revision")
    if made and made.rpartition("/")[2] != created:
        yield finding(
            "service-changed",
            subject,
            f"newest revision {created}",
            f"the revision of the function's deployment, {made.rpartition('/')[2]}",
            redeploy,
        )


def _account(deployment: Deployment, entry: EntryPoint) -> Iterator[Finding]:
    expected = deployment.values[entry.account]
    for name in deployment.serving_revisions(entry):
        if deployment.ok(f"revisions-{entry.name}") and deployment.revision(entry, name) is None:
            # Its settings are then unknown, and every check of them passes over it.
            question = deployment.asked[f"revisions-{entry.name}"]
            subject = f"the revision {name or 'that serves'}"
            yield finding(
                "answer-not-understood",
                subject,
                "is not listed",
                "every revision that serves",
                question.command,
            )
        found = fields.text(deployment.revision(entry, name), "spec", "serviceAccountName")
        if found and found != expected:
            yield finding(
                "function-account", f"the revision {name}", found, expected, deployment.redeploy(entry)
            )


def _egress(deployment: Deployment, entry: EntryPoint) -> Iterator[Finding]:
    flags = deployment.expected_flags(entry)
    expected = _expected_egress(flags)
    for name in deployment.serving_revisions(entry):
        revision = deployment.revision(entry, name)
        if revision is None:
            continue
        found = _found_egress(fields.table(revision, "metadata", "annotations"))
        if found != expected:
            yield finding(
                "egress-differs",
                f"the revision {name}",
                _shown(found),
                _shown(expected),
                deployment.redeploy(entry),
            )


def _expected_egress(flags: dict[str, str]) -> dict[str, str]:
    if "--vpc-connector" in flags:
        return {"connector": _last(flags["--vpc-connector"]), "egress": flags["--egress-settings"]}
    return {
        "network": _last(flags["--network"]),
        "subnet": _last(flags["--subnet"]),
        "egress": flags["--direct-vpc-egress"],
    }


def _found_egress(annotations: dict[str, str]) -> dict[str, str]:
    found = {"egress": annotations.get(f"{_RUN}/vpc-access-egress", "")}
    if connector := annotations.get(f"{_RUN}/vpc-access-connector"):
        found["connector"] = _last(connector)
    interfaces: Any = None
    try:
        interfaces = json.loads(annotations.get(f"{_RUN}/network-interfaces", "null"))
    except ValueError:
        interfaces = [{"network": "unreadable"}]
    for interface in fields.items(interfaces):
        found["network"] = _last(fields.text(interface, "network"))
        found["subnet"] = _last(fields.text(interface, "subnetwork"))
    return found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _shown(egress: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(egress.items()) if value) or "no network"
