"""Changes of a DestinationRule: every setting of TLS, subset and port, and who sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import ANOTHER, Change, Edit, gone, removed, replaced
from meshlab.mutate.operators.export_to import export_to
from meshlab.mutate.operators.policy_attachment import labels
from meshlab.mutate.written import entries, mapping, several, text, texts_with_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Path

__all__ = ["destination_rule"]

_FIELDS = ("sni", "subjectAltNames", "credentialName", "caCertificates", "caCrl")


def destination_rule(body: Body) -> Iterator[Change]:
    """Yield the changes of a DestinationRule."""
    yield gone()
    yield from export_to(body, weakens=False)
    yield from labels(
        body, ("spec", "workloadSelector"), ("matchLabels",), narrower_weakens=True, wider_weakens=False
    )
    yield from _traffic_policy(body, ("spec", "trafficPolicy"))
    for place, subset in entries(body, "spec", "subsets"):
        if several(body, "spec", "subsets"):
            yield removed(place, weakens=False)
        found = mapping(subset, "labels")
        for label in found:
            if len(found) > 1:
                yield removed((*place, "labels", label), weakens=True)
        yield from _traffic_policy(body, (*place, "trafficPolicy"))


def _traffic_policy(body: Body, place: Path) -> Iterator[Change]:
    policy = mapping(body, *place)
    if policy:
        yield removed(place, weakens=True)
    if tls := mapping(policy, "tls"):
        yield from _client_tls((*place, "tls"), tls)
    for here, port in entries(policy, "portLevelSettings"):
        if several(policy, "portLevelSettings"):
            yield removed((*place, *here), weakens=True)
        if tls := mapping(port, "tls"):
            yield from _client_tls((*place, *here, "tls"), tls)


def _client_tls(place: Path, tls: Mapping[str, Any]) -> Iterator[Change]:
    mode = text(tls, "mode")
    if mode != "DISABLE":
        yield replaced(place, {"mode": "DISABLE"}, "DISABLE", weakens=True, about=(*place, "mode"))
    if mode in ("MUTUAL", "ISTIO_MUTUAL"):
        own = ("credentialName", "clientCertificate", "privateKey")
        edits = [Edit((*place, "mode"), "SIMPLE"), *(Edit((*place, name)) for name in own if name in tls)]
        yield Change((*place, "mode"), "SIMPLE", tuple(edits), weakens=True)
    for name in _FIELDS:
        # Istio refuses mutual TLS without a certificate.
        if name in tls and (name != "credentialName" or mode != "MUTUAL"):
            unseen = "the bench has no revoked certificates" if name == "caCrl" else ""
            yield removed((*place, name), weakens=name not in ("sni", "credentialName"), unseen=unseen)
        for here, value in texts_with_paths(tls, name):
            if several(tls, name):
                yield removed((*place, *here), f"{value} removed", weakens=False)
    for name in ("sni", "credentialName"):
        if value := text(tls, name):
            yield replaced((*place, name), f"{ANOTHER}-{value}", "another", weakens=False)
    if mode not in ("ISTIO_MUTUAL", "DISABLE") and tls.get("insecureSkipVerify") is not True:
        yield _unverified(place, tls)


def _unverified(place: Path, tls: Mapping[str, Any]) -> Change:
    edits = [Edit((*place, "insecureSkipVerify"), True)]
    # Istio refuses it beside what says how to verify. With mutual TLS the credential is also the client's own.
    own = () if text(tls, "mode") == "MUTUAL" else ("caCertificates", "credentialName")
    edits += [Edit((*place, name)) for name in ("subjectAltNames", *own) if name in tls]
    return Change((*place, "insecureSkipVerify"), "set", tuple(edits), weakens=True)
