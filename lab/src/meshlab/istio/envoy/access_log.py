"""The access log of a proxy, in Istio's default text format.

Follows `pilot/pkg/model/telemetry.go#mergeLogs`. Only logs in files are written; what other providers would receive is
passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.mesh_config import MeshSettings
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
_TO_FILE: Json = {
    "name": "envoy.access_loggers.file",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": "/dev/stdout",
        "logFormat": {"textFormatSource": {"inlineString": _FORMAT}},
    },
}


def access_log(
    telemetries: Iterable[Telemetry],
    workload: Workload,
    side: Literal["CLIENT", "SERVER"],
    settings: MeshSettings,
) -> list[Json]:
    """Return the access loggers of a workload's listeners.

    Args:
        telemetries: What reaches the workload, in Istio's order.
        workload: The workload.
        side: Whose listeners they are: `SERVER` for callers of the workload, `CLIENT` for gateways and what it sends.
        settings: The mesh-wide settings.
    """
    chosen = [found for found in _levels(telemetries, workload, settings) if found.logging]
    states = _providers(chosen, side, settings.default_access_log_providers)
    known = {name: on for name, on in states.items() if name in settings.extension_providers}
    to_file = [
        on for name, on in known.items() if settings.extension_providers[name].kind == "envoyFileAccessLog"
    ]
    if to_file:
        return [_TO_FILE] if any(to_file) else []
    # Without Telemetry the older setting of the MeshConfig counts.
    return [_TO_FILE] if settings.access_log_file and not known else []


def _levels(
    telemetries: Iterable[Telemetry], workload: Workload, settings: MeshSettings
) -> Iterator[Telemetry]:
    """Yield the Telemetries that count, the widest first: of each namespace one, then all with labels."""
    every = list(telemetries)
    own, root = workload.ref.namespace, settings.root_namespace
    for namespace in dict.fromkeys((root, own)):
        wide = (found for found in every if found.attachment.namespace == namespace and not _is_narrow(found))
        yield from list(wide)[:1]
    yield from (found for found in every if found.attachment.namespace == own and _is_narrow(found))


def _is_narrow(telemetry: Telemetry) -> bool:
    return bool(telemetry.attachment.selector or telemetry.attachment.target_refs)


def _providers(
    levels: Sequence[Telemetry], side: Literal["CLIENT", "SERVER"], defaults: tuple[str, ...]
) -> dict[str, bool]:
    """Return for each provider whether it logs."""
    if not levels:
        return dict.fromkeys(defaults, True)
    in_scope = defaults
    for level in levels:
        named = [name for entry in level.logging if _is_for(entry.side, side) for name in entry.providers]
        in_scope = tuple(named) or in_scope
    found: dict[str, bool] = {}
    inherited = defaults
    for level in levels:
        for entry in level.logging:
            inherited = entry.providers or inherited
            if _is_for(entry.side, side):
                found.update((name, not entry.disabled) for name in inherited if name in in_scope)
    return found


def _is_for(written: str, side: str) -> bool:
    return written in ("CLIENT_AND_SERVER", side)
