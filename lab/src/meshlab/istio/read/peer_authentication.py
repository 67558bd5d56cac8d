"""PeerAuthentication: whether a sidecar's port takes mTLS, plaintext or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.attachment import Attachment, read_attachment
from meshlab.istio.read.fields import Fields, spec_of
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    ports = dict(_ports(spec))
    if ports and not attachment.selector:
        raise spec.where.key("portLevelMtls").error(
            "needs a selector; Istio refuses port settings for a whole namespace."
        )
    return PeerAuthentication(attachment, _mode(spec.mapping("mtls", ("mode",))), ports)


def _ports(spec: Fields) -> Iterator[tuple[int, Mode | None]]:
    where = spec.where.key("portLevelMtls")
    written = spec.raw("portLevelMtls")
    if not isinstance(written, dict | None):
        raise where.error(f"expected a mapping of ports, found {shown_value(written)}.")
    spec.string_keys("portLevelMtls")
    if written == {}:
        raise where.error("is empty, which Istio refuses; name a port, or leave it out.")
    for key, value in (written or {}).items():
        port = str(key)  # a number in YAML, a string in JSON
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise where.key(port).error("expected the pod's own port number (a Service's targetPort).")
        yield int(port), _mode(Fields(value, where.key(port), ("mode",)))


def _mode(mtls: Fields) -> Mode | None:
    mode = mtls.choice("mode", _MODES, "UNSET")
    return None if mode == "UNSET" else cast("Mode", mode)
