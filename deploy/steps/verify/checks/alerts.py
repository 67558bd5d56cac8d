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
    from ..finding import Finding


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
    # Two policies can have one name: it is enough that one of them is right.
    yield from min((list(_judged(deployment, source, wanted, policy)) for policy in found), key=len)


def _judged(deployment: Deployment, source: Path, wanted: Any, policy: Any) -> Iterator[Finding]:  # noqa: ANN401
    subject = f"the alert policy {fields.text(wanted, 'displayName')!r}"
    name = fields.text(policy, "name")
    update = ("gcloud", "monitoring", "policies", "update", name, deployment.project_flag())
    known = names.is_name("policy", name)
    if fields.value(policy, "enabled") is False:
        yield finding(
            "alert-disabled", subject, "disabled", "enabled", *([(*update, "--enabled")] if known else [])
        )
    same = all(
        holds(fields.value(policy, key), fields.value(wanted, key)) for key in ("conditions", "combiner")
    )
    if not same:
        file = f"--policy-from-file=build/alerts/{source.name}"
        commands = [("deploy/write-alerts",), (*update, file)] if known else []
        yield finding("alert-differs", subject, "other conditions", f"as in {relative(source)}", *commands)
    if not fields.strings(policy, "notificationChannels"):
        commands = [(*update, "--add-notification-channels=CHANNEL")] if known else []
        yield finding("alert-silent", subject, "no notification channel", "at least one", *commands)


def holds(found: Any, wanted: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether what an API gives back has all that was written.

    It may have more: names that it assigns, defaults. It leaves out a number that is 0 and a text that is empty.
    Source: https://protobuf.dev/programming-guides/json/#field-presence
    """
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        pairs = isinstance(found, list) and len(found) == len(wanted)
        return pairs and all(holds(one, other) for one, other in zip(found, wanted, strict=True))
    if found is None:
        return not wanted
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return fields.text(found) in {str(wanted), str(float(wanted))}
    return bool(found == wanted)
