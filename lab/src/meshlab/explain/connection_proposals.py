"""Proposals for a connection that a proxy refuses: mutual TLS, a client certificate, or another server name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.case import Certificate, FromBypass, FromOutside, HttpRequest, TlsRequest
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.run_secrets import client_authorities
from meshlab.bench.verdicts.configured import chains_of
from meshlab.explain.caller_proposals import with_identity
from meshlab.explain.connection_steps import mode_of, mode_place, servers_of
from meshlab.explain.edits import Edit
from meshlab.explain.explanation import ChangePart
from meshlab.explain.manifest_places import safe
from meshlab.explain.proposal import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.read.server_tls import ServerTls

__all__ = ["accepted_connection"]


def accepted_connection(context: HopContext) -> Iterator[Proposal]:
    """Yield what could make a filter chain take a connection, or make TLS with the client succeed."""
    sender = context.case.sender
    if found := with_identity(context):
        yield found
    if context.hop.direction == "gateway":
        if found := _with_certificate(context):
            yield found
        if found := _with_known_name(context):
            yield found
        return
    mode = mode_of(context)
    mutual = isinstance(sender, FromBypass) and sender.mode == "mtls"
    where = mode_place(mode, context.hop.port)
    if context.hop.direction == "inbound" and mode.mode == "STRICT" and where and not mutual:
        yield Proposal((Edit(where, "set", "PERMISSIVE", "so that plaintext is taken, too"),))


def _with_certificate(context: HopContext) -> Proposal | None:
    """Return the request with a client certificate that the gateway's server accepts."""
    sender = context.case.sender
    servers = servers_of(context)
    tls = servers[0].server.tls if servers else None
    if not isinstance(sender, FromOutside) or tls is None or not tls.asks_for_certificate:
        return None
    authority = _authority_of(context, tls)
    if authority is None:
        return None
    uris = tuple(name for name in tls.subject_alt_names if "://" in name)[:1]
    dns = tuple(name for name in tls.subject_alt_names if "://" not in name)[:1] if not uris else ()
    certificate = Certificate(authority, uris, dns)
    if certificate == sender.certificate:
        return None
    names = f" with the name {(*uris, *dns)[0]}" if uris or dns else ""
    text = f"the caller shows a client certificate of the authority {safe(authority)}{names}"
    case = replace(context.case, sender=replace(sender, certificate=certificate))
    return Proposal((), case, (ChangePart("caller", text),))


def _authority_of(context: HopContext, tls: ServerTls) -> str | None:
    """Return the authority that a server checks clients with, as case files name it."""
    known = client_authorities(context.mesh)
    written = (tls.ca_file, tls.ca_credential, *tls.credentials)
    return next((name for name in written if name and name in known), None)


def _with_known_name(context: HopContext) -> Proposal | None:
    """Return the request with a server name that a filter chain of the listener takes."""
    request = context.case.request
    if context.chain is not None or not isinstance(request, HttpRequest | TlsRequest):
        return None
    matches = [chain.get("filterChainMatch") or {} for chain in chains_of(context.listener or {})]
    names = [name for match in matches for name in match.get("serverNames", []) if not name.startswith("*")]
    if not names:
        return None
    own = destination_of(request).host
    name = own if own in names else names[0]
    text = f"the caller asks for the server name {safe(name)}"
    case = replace(context.case, request=replace(request, sni=name))
    return Proposal((), case, (ChangePart("caller", text),))
