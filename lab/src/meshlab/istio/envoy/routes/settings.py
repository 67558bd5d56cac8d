"""Settings that routes depend on beside the VirtualServices: proxy, visible services, mesh settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.istio.read.virtual_service import Retries
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.mesh_config import MeshSettings
    from meshlab.istio.read.virtual_service import Destination

__all__ = ["ClusterName", "ProxyView", "RouteSettings", "RoutedPort", "RoutedService"]


@dataclass(frozen=True)
class ProxyView:
    """The workload of a proxy, as conditions of rules see it."""

    labels: Mapping[str, str]
    namespace: str

    @property
    def dns_domain(self) -> str:
        """The domain in which it may leave out the end of a name."""
        return f"{self.namespace}.svc.cluster.local"


@dataclass(frozen=True)
class RoutedPort:
    """A port of a service; `is_http` also where Istio detects the protocol."""

    number: int
    is_http: bool = True


@dataclass(frozen=True)
class RoutedService:
    """A service, as far as routes depend on it.

    Attributes:
        hostname: Its full name.
        namespace: The namespace of the object that declares it.
        ports: Its ports.
        addresses: Its virtual addresses, without 0.0.0.0.
        aliases: Full names of ExternalName services that stand for it.
        is_headless: Whether it is a headless Service of Kubernetes, whose pods have names below its own.
        external_name: For an ExternalName service, the name that it stands for.
    """

    hostname: str
    namespace: str
    ports: tuple[RoutedPort, ...]
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    is_headless: bool = False
    external_name: str = ""

    def port(self, number: int) -> RoutedPort | None:
        """Return the port of that number."""
        return next((port for port in self.ports if port.number == number), None)


def _no_hash(_: Destination) -> Json | None:
    return None


@dataclass(frozen=True)
class RouteSettings:
    """Settings of the mesh, the listener and the destinations' policies.

    Attributes:
        is_tls: Whether the listener terminates TLS; a redirection leaves out the default port of its scheme.
        default_retries: `defaultHttpRetryPolicy` of the mesh, for rules without `retries`.
        hash_policy: The hash policy of a destination whose load balancer is a consistent hash, in Envoy's words.
        append_forwarded_host: Whether a rewritten authority is kept in `x-forwarded-host` (`proxyHeaders`).
        count_attempts: Whether requests carry `x-envoy-attempt-count`.
    """

    is_tls: bool = False
    default_retries: Retries | None = None
    hash_policy: Callable[[Destination], Json | None] = field(default=_no_hash)
    append_forwarded_host: bool = False
    count_attempts: bool = True

    @classmethod
    def of_mesh(cls, mesh: MeshSettings) -> RouteSettings:
        """Return the settings that a mesh gives to all its routes."""
        policy = mesh.default_http_retry_policy
        if policy is None:
            return cls()
        retries = Retries(
            attempts=policy.attempts,
            per_try_timeout_s=policy.per_try_timeout_s,
            retry_on=policy.retry_on,
            backoff_s=policy.backoff_s,
            ignore_previous_hosts=policy.ignore_previous_hosts,
            remote_localities=policy.retry_remote_localities,
        )
        return cls(default_retries=retries)


ClusterName = Callable[["Destination"], str]
"""Names the cluster of a destination."""
