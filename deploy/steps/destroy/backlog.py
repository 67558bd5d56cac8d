"""How many messages wait in a subscription.

gcloud has no command for it. The number is a metric of Cloud Monitoring, which is up to four minutes old.
Source: https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from ..cloud import fields
from ..cloud.readers import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENDPOINT = "https://monitoring.googleapis.com/"
# gcloud's own variable for the endpoint, so that both ask the same server.
_OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING"
_METRIC = "pubsub.googleapis.com/subscription/num_undelivered_messages"
_LOOK_BACK = dt.timedelta(minutes=15)
_TIMEOUT_S = 30.0


def read(
    project: str,
    subscription: str,
    now: dt.datetime,
    fetch: Callable[[str], Any] | None = None,
) -> int | None:
    """Return the newest number of messages that were not acknowledged; None if it is not known.

    A subscription without messages has points with 0. One that is new, or a metric that cannot be read, has none.

    Args:
        project: The project of the subscription.
        subscription: The short name.
        now: The time now.
        fetch: Returns the JSON at a URL; the default asks Cloud Monitoring as the account of gcloud.
    """
    query = {
        "filter": f'metric.type = "{_METRIC}" AND resource.labels.subscription_id = "{subscription}"',
        "interval.startTime": _time(now - _LOOK_BACK),
        "interval.endTime": _time(now),
        "view": "FULL",
    }
    path = f"v3/projects/{project}/timeSeries?{urllib.parse.urlencode(query)}"
    try:
        answer = (fetch or _fetch)(path)
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None
    points = fields.items(answer, "timeSeries", 0, "points")
    newest = max(points, key=lambda point: fields.text(point, "interval", "endTime"), default=None)
    number = fields.text(newest, "value", "int64Value")
    return int(number) if re.fullmatch(r"[0-9]{1,19}", number) else None


def _time(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def endpoint(environment: Mapping[str, str]) -> str:
    """Return the address of Cloud Monitoring; another one is taken over TLS or on this machine alone."""
    written = environment.get(_OVERRIDE, "")
    safe = re.fullmatch(
        r"https://[^/\s@]+/([^\s?#]*)|http://(127\.0\.0\.1|localhost)(:\d+)?/([^\s?#]*)", written
    )
    return written if safe else ENDPOINT


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: the token is for one address."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def _fetch(path: str) -> Any:  # noqa: ANN401 - JSON
    # The token stays in this process: it is in no argument, file or message.
    done = subprocess.run(
        ["gcloud", "auth", "print-access-token"],  # noqa: S607
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **SETTINGS},
    )
    if done.returncode:
        raise OSError("gcloud gave no access token")
    url = endpoint(os.environ) + path
    request = urllib.request.Request(url)  # noqa: S310 - https, or this machine
    request.add_unredirected_header("Authorization", f"Bearer {done.stdout.decode().strip()}")
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        raise OSError(f"Cloud Monitoring answered {error.code}") from None
