"""ProxyConfig: settings of proxies, in the MeshConfig, in the annotation of a pod, or as an object of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read import mesh_config_fields as names
from meshlab.istio.read.fields import Fields, spec_of
from meshlab.istio.read.virtual_service.protobuf_values import integer
from meshlab.manifest import parse_yaml
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.read.fields import Where
    from meshlab.manifest import Manifest

__all__ = [
    "PROXY_CONFIG",
    "ForwardedCertificate",
    "GatewayTopology",
    "proxy_config_of",
    "read_proxy_config",
    "read_proxy_config_object",
]

PROXY_CONFIG = "proxy.istio.io/config"
"""The annotation of a pod whose text is a ProxyConfig."""

ForwardedCertificate = Literal[
    "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"
]
_FORWARDED = (
    "UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY",
)  # fmt: skip


@dataclass(frozen=True)
class GatewayTopology:
    """What stands in front of a gateway.

    Attributes:
        trusted_proxies: How many addresses at the end of X-Forwarded-For a gateway trusts; `None` where nothing is
            written.
        forwarded_certificate: How X-Forwarded-Client-Cert is handled; `None` where nothing is written.
    """

    trusted_proxies: int | None = None
    forwarded_certificate: ForwardedCertificate | None = None

    def over(self, wider: GatewayTopology) -> GatewayTopology:
        """Return these settings, with those of a wider scope where nothing is written."""
        return GatewayTopology(
            wider.trusted_proxies if self.trusted_proxies is None else self.trusted_proxies,
            self.forwarded_certificate or wider.forwarded_certificate,
        )


def proxy_config_of(text: str, where: Where) -> GatewayTopology:
    """Read the text of the annotation `proxy.istio.io/config`.

    Raises:
        ManifestError: It is no mapping, or holds a setting that is not known or not built.
    """
    documents = parse_yaml(text, f"{where.manifest}: {PROXY_CONFIG}")
    return read_proxy_config(documents[0] if documents else None, where)


def read_proxy_config(value: object, where: Where) -> GatewayTopology:
    """Read a ProxyConfig; what cannot change the outcome of a request is passed over.

    Raises:
        ManifestError: A setting that is not known or not built.
    """
    known = ("gatewayTopology", "interceptionMode", "proxyMetadata")
    proxy = Fields(value, where, known, names.PROXY_REFUSED, names.PROXY_PASSED_OVER)
    # TPROXY differs from REDIRECT only in the address that the application sees.
    proxy.choice("interceptionMode", ("REDIRECT", "TPROXY"), "REDIRECT")
    # Values are not looked at: istioctl turns numbers and booleans into strings.
    _check_environment(proxy.string_keys("proxyMetadata"), proxy.where.key("proxyMetadata"))
    return _topology(proxy)


def read_proxy_config_object(manifest: Manifest) -> None:
    """Check that a ProxyConfig changes nothing that decides a request.

    Such an object holds less than a `defaultConfig` (`pilot/pkg/model/proxy_config.go#toMeshConfigProxyConfig`).

    Raises:
        ManifestError: A setting that is not known or not built.
    """
    passed_over = {name: names.PROXY_PASSED_OVER[name] for name in ("concurrency", "image")}
    spec = spec_of(manifest, ("selector", "environmentVariables"), passed_over=passed_over)
    spec.mapping("selector", ("matchLabels",)).string_map("matchLabels")
    _check_environment(spec.string_map("environmentVariables"), spec.where.key("environmentVariables"))


def _check_environment(names_found: Iterable[str], where: Where) -> None:
    """Check that none of some environment variables may change a proxy."""
    for name in names_found:
        if name not in names.PROXY_METADATA_PASSED_OVER:
            raise where.key(name).error("the lab does not know what this changes in a proxy; remove it.")


def _topology(proxy: Fields) -> GatewayTopology:
    known = ("numTrustedProxies", "forwardClientCertDetails")
    topology = proxy.mapping("gatewayTopology", known, names.TOPOLOGY_REFUSED)
    trusted = integer(topology, "numTrustedProxies")
    forwarded = topology.choice("forwardClientCertDetails", _FORWARDED, "UNDEFINED")
    return GatewayTopology(
        trusted, None if forwarded == "UNDEFINED" else cast("ForwardedCertificate", forwarded)
    )
