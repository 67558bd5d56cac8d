"""Telemetry: whether a proxy writes access logs, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.fields import Json, spec_of
from meshlab.istio.selection import TARGET_REFS, Attachment, read_attachment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.fields import Fields
    from meshlab.manifest import Manifest

__all__ = ["Telemetry", "access_log", "read_telemetry"]

# Istio's default text format (pilot/pkg/model/telemetry_logging.go#EnvoyTextLogFormat).
_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" '
    "%UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
_REFUSED = {
    "metrics": "the lab's proxies report no Istio metrics; remove it.",
    "tracing": "the lab has no tracing back end; remove it.",
    **TARGET_REFS,
}


@dataclass(frozen=True)
class Telemetry:
    """A Telemetry as read; `logs` is `None` where it says nothing about access logs."""

    attachment: Attachment
    logs: bool | None


def read_telemetry(manifest: Manifest) -> Telemetry:
    """Read and check a Telemetry.

    Raises:
        ManifestError: An unknown field, or a provider other than `envoy`.
    """
    spec = spec_of(manifest, ("selector", "accessLogging"), _REFUSED)
    refused = {
        "filter": "log filters are not supported; remove it.",
        "match": "remove it; both sides are logged.",
    }
    entries = spec.items("accessLogging", ("providers", "disabled"), refused)
    enabled = [_enables(entry) for entry in entries]
    return Telemetry(read_attachment(spec), any(enabled) if enabled else None)


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


def _enables(entry: Fields) -> bool:
    providers = entry.items("providers", ("name",))
    if entry.boolean("disabled"):
        return False
    if not providers:
        problem = (
            "missing; Istio would use the providers of MeshConfig, which the lab does not have. Write envoy."
        )
        raise entry.where.key("providers").error(problem)
    for provider in providers:
        provider.choice("name", ("envoy",), "")
    return True


def _breadth(attachment: Attachment, root_namespace: str) -> int:
    if attachment.selector:
        return 2
    return 0 if attachment.namespace == root_namespace else 1
