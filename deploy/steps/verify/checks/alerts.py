"""The alert policies of deploy/alerts in Cloud Monitoring.

Source: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ... import alerts, relative
from ...cloud import fields, names
from ..deployment import finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..deployment import Deployment
    from ..findings import Finding

_ASSIGNED = frozenset({"name"})
"""Members of a condition that Cloud Monitoring sets itself."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about each policy that the folder has."""
    if not deployment.ok("alerts"):
        return
    for source in sorted(alerts.POLICIES.glob("*.json")):
        wanted = json.loads(alerts.rendered(source.read_text(encoding="utf-8"), deployment.values))
        yield from _policy(deployment, source, wanted)


def _policy(deployment: Deployment, source: Path, wanted: Any) -> Iterator[Finding]:  # noqa: ANN401
    title = fields.text(wanted, "displayName")
    subject = f"the alert policy {title!r}"
    found = [
        item for item in fields.items(deployment.data("alerts")) if fields.text(item, "displayName") == title
    ]
    if not found:
        yield finding(
            "alert-missing", subject, "does not exist", f"as in {relative(source)}", ("deploy/write-alerts",)
        )
        return
    policy = found[0]
    name = fields.text(policy, "name")
    update = ("gcloud", "monitoring", "policies", "update", name, deployment.project_flag())
    known = names.is_name("policy", name)
    if fields.value(policy, "enabled") is False:
        yield finding(
            "alert-disabled", subject, "disabled", "enabled", *([(*update, "--enabled")] if known else [])
        )
    if _conditions(policy) != _conditions(wanted):
        file = f"--policy-from-file=build/alerts/{source.name}"
        commands = [("deploy/write-alerts",), (*update, file)] if known else []
        yield finding("alert-differs", subject, "other conditions", f"as in {relative(source)}", *commands)
    if not fields.strings(policy, "notificationChannels"):
        commands = [(*update, "--add-notification-channels=CHANNEL")] if known else []
        yield finding("alert-silent", subject, "no notification channel", "at least one", *commands)


def _conditions(policy: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return [_wanted(item) for item in fields.items(policy, "conditions")]


def _wanted(data: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(data, dict):
        return {key: _wanted(value) for key, value in data.items() if key not in _ASSIGNED}
    if isinstance(data, list):
        return [_wanted(item) for item in data]
    return data
