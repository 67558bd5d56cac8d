"""The version of HTTP that a cluster speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json

__all__ = ["HttpVersion", "protocol_options"]

HttpVersion = Literal["http1", "http2", "client's"]

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_VERSIONS: dict[HttpVersion, Json] = {
    "http1": {"explicitHttpConfig": {"httpProtocolOptions": {}}},
    "http2": {"explicitHttpConfig": {"http2ProtocolOptions": {}}},
    "client's": {"useDownstreamProtocolConfig": {"httpProtocolOptions": {}, "http2ProtocolOptions": {}}},
}


def protocol_options(
    version: HttpVersion, *, auto_sni: bool = False, auto_san_validation: bool = False
) -> Json:
    """Return the field of a cluster with its HTTP options.

    Args:
        version: What it speaks; `client's` for what the client of the proxy speaks.
        auto_sni: Whether the server name of TLS is the host of the request.
        auto_san_validation: Whether the server's certificate must be good for it.
    """
    options: Json = {"@type": f"type.googleapis.com/{_OPTIONS}", **_VERSIONS[version]}
    if auto_sni or auto_san_validation:
        names = {"autoSni": auto_sni, "autoSanValidation": auto_san_validation}
        options["upstreamHttpProtocolOptions"] = {name: True for name, value in names.items() if value}
    return {"typedExtensionProtocolOptions": {_OPTIONS: options}}
