"""The access log of a proxy, in Istio's default text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.attachment import Attachment
    from meshlab.istio.read.telemetry import Telemetry

__all__ = ["access_log"]

# Istio's default text format (pilot/pkg/model/telemetry_logging.go#EnvoyTextLogFormat).
_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" '
    "%UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)


def access_log(policies: Iterable[Telemetry], *, root_namespace: str) -> list[Json]:
    """The access loggers of a workload: the narrowest Telemetry that says something about logs decides."""
    logs = False
    for policy in sorted(policies, key=lambda policy: _breadth(policy.attachment, root_namespace)):
        logs = logs if policy.logs is None else policy.logs
    if not logs:
        return []
    sink = {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": "/dev/stdout",
        "logFormat": {"textFormatSource": {"inlineString": _FORMAT}},
    }
    return [{"name": "envoy.access_loggers.file", "typedConfig": sink}]


def _breadth(attachment: Attachment, root_namespace: str) -> int:
    if attachment.selector:
        return 2
    return 0 if attachment.namespace == root_namespace else 1
