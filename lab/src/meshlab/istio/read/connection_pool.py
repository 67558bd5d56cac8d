"""`connectionPool`, of a DestinationRule and of a Sidecar: which HTTP connections speak. The rest of it are limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.outbound_fields import LIMITS
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields

__all__ = ["ConnectionPool", "read_connection_pool"]

_HTTP = dict.fromkeys(
    (
        "http1MaxPendingRequests", "http2KeepAlive", "http2MaxRequests", "idleTimeout", "maxConcurrentStreams",
        "maxRequestsPerConnection", "maxRetries",
    ),
    LIMITS,
)  # fmt: skip
_TCP = dict.fromkeys(
    ("connectTimeout", "idleTimeout", "maxConnectionDuration", "maxConnections", "tcpKeepalive"),
    LIMITS,
)
_UPGRADES = {"DEFAULT": None, "UPGRADE": True, "DO_NOT_UPGRADE": False}


@dataclass(frozen=True)
class ConnectionPool:
    """What of a connection pool decides a request.

    Attributes:
        h2_upgrade: Whether HTTP/1.1 is upgraded to HTTP/2; `None` where the mesh's setting counts.
        use_client_protocol: Whether connections speak the HTTP that the client speaks.
    """

    h2_upgrade: bool | None = None
    use_client_protocol: bool = False


def read_connection_pool(fields: Fields, name: str = "connectionPool") -> ConnectionPool | None:
    """Read a connection pool; `None` where it is absent.

    Args:
        fields: What holds it.
        name: The field.

    Raises:
        ManifestError: An unknown field or value.
    """
    pool = fields.mapping(name, ("http", "tcp"))
    http = pool.mapping("http", ("h2UpgradePolicy", "useClientProtocol"), passed_over=_HTTP)
    pool.mapping("tcp", (), passed_over=_TCP)
    upgrade = http.choice("h2UpgradePolicy", tuple(_UPGRADES), "DEFAULT")
    found = ConnectionPool(_UPGRADES[upgrade], http.boolean("useClientProtocol"))
    return found if name in fields else None
