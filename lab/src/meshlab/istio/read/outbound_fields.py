"""Reasons for which fields of the outbound kinds are passed over or refused. The readers use these words."""

from __future__ import annotations

__all__ = ["ALIKE", "EJECTS", "FIELDS_REFUSED", "LIMITS", "refused_fields"]

_NETWORKING = "networking.istio.io"
ALIKE = "chooses between servers that are alike to a case"
LIMITS = "limits count under load; a case sends one request at a time"
EJECTS = "ejects servers after several failures; every case starts afresh"
_UNIX = "Unix sockets are not compiled; write an IP address and ports."
_NETWORK = "servers in other networks are reached through gateways, which is not compiled; remove it."
_CAPTURED = "applications that connect to the sidecar itself are not compiled; remove it, so that traffic is captured."

FIELDS_REFUSED: dict[tuple[str, str], dict[str, str]] = {
    (_NETWORKING, "DestinationRule"): {
        "trafficPolicy.tls.caCrl": "revocation lists are not compiled; remove it.",
        "trafficPolicy.proxyProtocol": "the PROXY protocol towards servers is not compiled; remove it.",
        "trafficPolicy.tunnel": "tunnels through a forward proxy are not compiled; remove it.",
    },
    (_NETWORKING, "ServiceEntry"): {"endpoints[].address": _UNIX, "endpoints[].network": _NETWORK},
    (_NETWORKING, "WorkloadEntry"): {"address": _UNIX, "network": _NETWORK},
    (_NETWORKING, "Sidecar"): {
        "egress[].bind": _CAPTURED,
        "egress[].captureMode": _CAPTURED,
        "egress[].port.protocol": _CAPTURED,
    },
}
"""(group, kind) to fields of which some value is not compiled."""


def refused_fields(kind: str) -> dict[str, str]:
    """Return the reasons for a kind by the last part of each field's path."""
    fields = FIELDS_REFUSED[_NETWORKING, kind]
    return {path.rpartition(".")[2]: reason for path, reason in fields.items()}
