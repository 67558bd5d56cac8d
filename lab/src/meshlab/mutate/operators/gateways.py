"""Changes of a Gateway: every server, host, port and setting of TLS, and the pods that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import ANOTHER, Change, Edit, gone, removed, replaced
from meshlab.mutate.operators.policy_attachment import labels
from meshlab.mutate.operators.wider import wider_host
from meshlab.mutate.written import at, entries, mapping, several, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Path

__all__ = ["gateway"]

_CLIENT_CERTIFICATES = ("MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")
_CHECKS = (
    "subjectAltNames",
    "caCrl",
    "cipherSuites",
    "verifyCertificateSpki",
    "verifyCertificateHash",
    "maxProtocolVersion",
)
_ONE_VERSION = "every client of the bench speaks TLS 1.3"
_UNSEEN = {
    "maxProtocolVersion": _ONE_VERSION,
    "cipherSuites": _ONE_VERSION,
    "caCrl": "the bench has no revoked certificates",
}
"""Fields that decide about clients that the bench does not have."""
_EVERYTHING = "*/*"
_A_CREDENTIAL = "a-credential"


def gateway(body: Body) -> Iterator[Change]:
    """Yield the changes of a Gateway."""
    yield gone(weakens=False)
    if mapping(body, "spec", "selector"):
        for change in labels(body, ("spec", "selector"), (), narrower_weakens=False, wider_weakens=True):
            if change.words == "every workload":
                # Istio then binds the Gateway to every gateway of the mesh.
                yield removed(change.path, "every gateway", weakens=True)
            else:
                yield change
    for place, server in entries(body, "spec", "servers"):
        if several(body, "spec", "servers"):
            yield removed(place, weakens=False)
        yield from _hosts(body, place)
        yield from _tls(place, server)


def _hosts(body: Body, here: Path) -> Iterator[Change]:
    for place, host in texts_with_paths(body, *here, "hosts"):
        if several(body, *here, "hosts"):
            yield removed(place, f"{host} removed", weakens=False)
        namespace, slash, name = host.rpartition("/")
        if namespace not in ("", "*"):
            yield replaced(place, f"*/{name}", f"{host} from every namespace", weakens=True)
        if wide := wider_host(name):
            yield replaced(place, f"{namespace}{slash}{wide}", f"{host} becomes {wide}", weakens=True)
    hosts = list(values(body, *here, "hosts"))
    if hosts and "*" not in hosts and _EVERYTHING not in hosts:
        yield replaced((*here, "hosts"), [*hosts, _EVERYTHING], "any host", weakens=True)


def _tls(here: Path, server: Mapping[str, Any]) -> Iterator[Change]:
    tls, place = mapping(server, "tls"), (*here, "tls")
    if not tls:
        return
    protocol = text(server, "port", "protocol")
    if protocol.upper() in ("HTTPS", "TLS"):
        plain = "TCP" if protocol.upper() == "TLS" else "HTTP"
        edits = (Edit(place), Edit((*here, "port", "protocol"), plain))
        yield Change(here, "plaintext", edits, weakens=True)
    if tls.get("httpsRedirect") is True:
        yield removed((*place, "httpsRedirect"), weakens=True)
    if "minProtocolVersion" in tls:
        yield removed((*place, "minProtocolVersion"), weakens=True, unseen=_ONE_VERSION)
    yield from _modes(place, tls)
    if name := text(tls, "credentialName"):
        yield replaced((*place, "credentialName"), f"{ANOTHER}-{name}", "another", weakens=False)
    if name := text(tls, "caCertCredentialName"):
        yield replaced((*place, "caCertCredentialName"), f"{ANOTHER}-{name}", "another", weakens=False)
    for name in _CHECKS:
        if name in tls:
            yield removed((*place, name), weakens=True, unseen=_UNSEEN.get(name, ""))
        for at_value, value in texts_with_paths(tls, name):
            if several(tls, name):
                yield removed((*place, *at_value), f"{value} removed", weakens=False)
    if tls.get("insecureSkipVerify") is not True and tls.get("mode") in ("MUTUAL", "OPTIONAL_MUTUAL"):
        yield _unverified(place, tls)


def _modes(place: Path, tls: Mapping[str, Any]) -> Iterator[Change]:
    if tls.get("mode") in _CLIENT_CERTIFICATES:
        # Istio refuses names of clients that are not asked for a certificate.
        edits = [Edit((*place, "mode"), "SIMPLE")]
        edits += [Edit((*place, name)) for name in ("subjectAltNames",) if name in tls]
        if at(tls, "credentialName") is None and at(tls, "serverCertificate") is None:
            edits.append(Edit((*place, "credentialName"), _A_CREDENTIAL))
        yield Change((*place, "mode"), "SIMPLE", tuple(edits), weakens=True)
    if tls.get("mode") == "MUTUAL":
        yield replaced((*place, "mode"), "OPTIONAL_MUTUAL", "optional", weakens=True)


def _unverified(place: Path, tls: Mapping[str, Any]) -> Change:
    edits = [Edit((*place, "insecureSkipVerify"), True)]
    edits += [Edit((*place, name)) for name in ("subjectAltNames",) if name in tls]
    return Change((*place, "insecureSkipVerify"), "set", tuple(edits), weakens=True)
