"""Virtual hosts for requests to hosts that a sidecar does not know (`outboundTrafficPolicy`).

Follows `pilot/pkg/networking/core/httproute.go#buildCatchAllVirtualHost`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.routes.settings import RouteSettings

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json

__all__ = ["allow_any", "block_all"]

_DEFAULTS = RouteSettings()
_REFUSED_STATUS = 502


def allow_any(cluster: str = "PassthroughCluster", settings: RouteSettings = _DEFAULTS) -> Json:
    """Return the virtual host of mode ALLOW_ANY.

    Args:
        cluster: Where the requests go: the address that the workload called, or the cluster of an `egressProxy`.
        settings: The mesh's settings.
    """
    action: Json = {
        "cluster": cluster,
        "timeout": "0s",
        "maxStreamDuration": {"maxStreamDuration": "0s", "grpcTimeoutHeaderMax": "0s"},
        **({"appendXForwardedHost": True} if settings.append_forwarded_host else {}),
    }
    return _every_host("allow_any", {"route": action}, settings)


def block_all(settings: RouteSettings = _DEFAULTS) -> Json:
    """Return the virtual host of mode REGISTRY_ONLY: every request is answered 502."""
    return _every_host("block_all", {"directResponse": {"status": _REFUSED_STATUS}}, settings)


def _every_host(name: str, action: Json, settings: RouteSettings) -> Json:
    return {
        "name": name,
        "domains": ["*"],
        "routes": [{"name": name, "match": {"prefix": "/"}, **action}],
        **({"includeRequestAttemptCount": True} if settings.count_attempts else {}),
    }
