"""PeerAuthentication: whether a sidecar's port takes mTLS, plaintext or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.attachment import Attachment, read_attachment
from meshlab.istio.read.fields import spec_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Manifest

__all__ = ["Mode", "PeerAuthentication", "read_peer_authentication"]

Mode = Literal["STRICT", "PERMISSIVE", "DISABLE"]
_MODES = ("UNSET", "STRICT", "PERMISSIVE", "DISABLE")


@dataclass(frozen=True)
class PeerAuthentication:
    """A PeerAuthentication as read; `None` stands for UNSET, which inherits."""

    attachment: Attachment
    mode: Mode | None
    port_modes: Mapping[int, Mode | None]


def read_peer_authentication(manifest: Manifest) -> PeerAuthentication:
    """Read and check a PeerAuthentication.

    Raises:
        ManifestError: An unknown field or mode, or modes for ports without a selector.
    """
    spec = spec_of(manifest, ("selector", "mtls", "portLevelMtls"))
    attachment = read_attachment(spec)
    written = spec.string_keys("portLevelMtls")
    ports = spec.mapping("portLevelMtls", written)
    if written and not attachment.selector:
        raise ports.where.error("needs a selector; Istio ignores port settings for a whole namespace.")
    for port in written:
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ports.where.key(port).error("expected the pod's own port number (a Service's targetPort).")
    return PeerAuthentication(
        attachment=attachment,
        mode=_mode(spec.mapping("mtls", ("mode",))),
        port_modes={int(port): _mode(ports.mapping(port, ("mode",))) for port in written},
    )


def _mode(mtls: Fields) -> Mode | None:
    mode = mtls.choice("mode", _MODES, "UNSET")
    return None if mode == "UNSET" else cast("Mode", mode)
