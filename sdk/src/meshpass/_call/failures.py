"""Errors for failures of connections and responses, with the same text for both clients."""

import ssl
from collections.abc import Sequence

from meshpass._call.request import Phase
from meshpass._call.service import Service
from meshpass._errors import (
    BadResponse,
    ClientClosed,
    GatewayTLSError,
    GatewayUnreachable,
    MeshError,
    MeshTimeout,
    UpstreamUnavailable,
)
from meshpass._reasons import innermost, reason

# How OpenSSL names the alerts of RFC 8446, section 6.2, that a peer sends about our certificate.
_CERTIFICATE_ALERTS = (
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_ACCESS_DENIED",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_",
)
# The peer closed the connection: with TLS's own notice, or without it.
_CLOSED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL: of any certificate of the chain.
_OUT_OF_DATE = (9, 10)
_MAYBE_DONE = "The service may be slow or overloaded, and may still have done the work."
_SPENT: dict[Phase, tuple[str, str]] = {
    "token": (
        "before there was a token",
        "The token source is slow: give the first call of a process more time.",
    ),
    "connect": ("before there was a connection; nothing was sent", "Check the VPC route and the firewall."),
    "send": (
        "while the request was being sent",
        "The service may be slow to read it, and may have begun the work.",
    ),
    "read": ("before the response began", _MAYBE_DONE),
    "head": ("before the response's head was complete", _MAYBE_DONE),
    "body": ("before the response was complete", _MAYBE_DONE),
}


def unreachable(service: Service, why: str, *, reset: bool = False) -> GatewayUnreachable:
    """Return the error of a connection that could not be made.

    Args:
        service: What was called.
        why: The reason, in a few words.
        reset: Whether the peer closed it. A gateway closes TLS for a host that it does not serve.
    """
    hint = "Check its address, the VPC route to it and the firewall."
    if reset and service.origin.scheme == "https":
        hint = (
            f"Check that it serves the host {service.name}{service.setting('GKE_GATEWAY_HOST')}: it resets TLS for any "
            "other. Then check its address."
        )
    return GatewayUnreachable(
        f"T{service.peer[1:]} cannot be reached: {why}.", service=service.name, hint=hint
    )


def timed_out(service: Service, limit_s: float, phase: Phase) -> MeshTimeout:
    """Return the error of a time limit that was reached: the call's, or that of one attempt."""
    spent, hint = _SPENT[phase]
    return MeshTimeout(
        f"{service.where} gave no complete response within {limit_s:g} s: the time ran out {spent}.",
        code="timeout_body" if phase == "head" else f"timeout_{phase}",
        service=service.name,
        hint=hint,
    )


def no_time(service: Service) -> MeshTimeout:
    """Return the error of a deadline that had passed before the call began."""
    return MeshTimeout(
        f"The deadline for {service.where} was over before anything was sent.",
        code="deadline",
        service=service.name,
        hint="What was done before this call took all the time.",
    )


def closed(service: Service) -> ClientClosed:
    """Return the error of a call by a client that was closed."""
    return ClientClosed(
        f"The client of {service.name} is closed: nothing was sent.",
        service=service.name,
        hint="Close a client after its last call; one client serves a whole process.",
    )


def too_large(service: Service, limit_bytes: int) -> BadResponse:
    """Return the error of a body that has more bytes than allowed, before or after decoding."""
    return BadResponse(
        f"The response of {service.where} is larger than {limit_bytes} bytes.",
        code="response_too_large",
        service=service.name,
        hint="Ask for less at a time, or raise max_response_bytes.",
    )


def not_decodable(service: Service, why: str) -> BadResponse:
    """Return the error of a body that is not what its content-encoding says."""
    return BadResponse(
        f"The response of {service.where} cannot be decoded: {why}.",
        code="not_decodable",
        service=service.name,
        hint="Compare its content-encoding with its body.",
    )


def connection_lost(service: Service, why: str) -> UpstreamUnavailable:
    """Return the error of a connection that broke after it was made, or whose response is not valid."""
    return UpstreamUnavailable(
        f"The connection to {service.where} broke before the response was complete: {why}.",
        code="connection_lost",
        service=service.name,
        hint="It is not known whether the service did the work." + _perhaps_tls(service),
    )


def not_http(service: Service, why: str, hint: str) -> BadResponse:
    """Return the error of a peer that speaks another protocol. The next attempt would fail in the same way."""
    return BadResponse(
        f"T{service.peer[1:]} did not send an HTTP/1.1 response: {why}.",
        code="not_http",
        service=service.name,
        hint=hint,
    )


def _perhaps_tls(service: Service) -> str:
    if service.origin.scheme == "https":
        return ""
    return f" If this port speaks TLS, the {service.kind}'s URL must begin with https://."


def is_lost(error: MeshError | None) -> bool:
    """Report whether this is the error of a connection that broke after it was made."""
    return error is not None and error.code == "connection_lost"


def tls_failed(service: Service, why: ssl.SSLError, names: Sequence[str] = ()) -> GatewayTLSError:
    """Return the error of a TLS handshake that failed.

    Args:
        service: What was called.
        why: What OpenSSL reports.
        names: The names in the peer's certificate, where the wanted one is missing.
    """
    if isinstance(why, ssl.SSLCertVerificationError):
        if is_wrong_name(why):
            valid = f"it is valid for {', '.join(names)}" if names else "it has other names"
            return GatewayTLSError(
                f"The certificate of {service.peer} is not for {service.name}: {valid}.",
                service=service.name,
                hint=f"Call the service by a name in the certificate{service.setting('GKE_GATEWAY_HOST')}, or let the"
                f" {service.kind} serve a certificate with this name in its subjectAltName.",
            )
        if why.verify_code in _OUT_OF_DATE:
            return GatewayTLSError(
                f"The certificate of {service.peer} is not trusted: {why.verify_message}.",
                service=service.name,
                hint="Renew it, or the CA that signed it; where its dates are right, correct this machine's clock.",
            )
        trusted = f"the CAs in {service.ca_file}" if service.ca_file else "the system's CAs"
        return GatewayTLSError(
            f"The certificate of {service.peer} is not trusted: {why.verify_message}.",
            service=service.name,
            hint=f"It was checked against {trusted}: name the CA that signed it (GKE_GATEWAY_CA_FILE)."
            if service.setting("GKE_GATEWAY_CA_FILE")
            else "See what answers in its place: a proxy on the way may show a certificate of its own.",
        )
    if is_certificate_refused(why):
        problem = (
            "did not accept the client certificate" if service.client_cert else "wants a client certificate"
        )
        return GatewayTLSError(
            f"T{service.peer[1:]} {problem}: {why.reason}.",
            service=service.name,
            hint=f"Check client_cert: who issued it, its dates, and what the {service.kind} accepts.",
        )
    return GatewayTLSError(
        f"TLS with {service.peer} failed: {why.reason or 'no reason given'}.",
        service=service.name,
        hint="Check that this port speaks TLS for this host, and which client certificates it demands.",
    )


def is_certificate_refused(why: BaseException) -> bool:
    """Report whether the peer ended TLS with an alert about our certificate, or because there was none."""
    return isinstance(why, ssl.SSLError) and (why.reason or "").startswith(_CERTIFICATE_ALERTS)


def is_wrong_name(why: BaseException) -> bool:
    """Report whether a certificate was refused for its names alone."""
    # X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL.
    return isinstance(why, ssl.SSLCertVerificationError) and why.verify_code in (62, 64)


def from_connect(service: Service, exc: BaseException, names: Sequence[str] = ()) -> MeshError:
    """Return the error for a failure to connect; see `tls_failed` for `names`."""
    tls = innermost(exc, ssl.SSLError)
    if tls is not None and not isinstance(tls, _CLOSED):
        return tls_failed(service, tls, names)
    cause = innermost(exc, OSError)
    closed = tls is not None or isinstance(cause, ConnectionResetError)
    return unreachable(
        service, "the peer closed it during the TLS handshake" if tls else reason(exc), reset=closed
    )


def from_exchange(service: Service, exc: BaseException, phase: Phase = "read") -> MeshError:
    """Return the error for a failure after connecting.

    Args:
        service: What was called.
        exc: The exception.
        phase: The phase of the attempt. A connection that breaks before anything is sent counts as not made.
    """
    # With TLS 1.3 a refused client certificate shows only on the first read (RFC 8446, section 4.4.2.4).
    tls = innermost(exc, ssl.SSLError)
    if tls is not None and not isinstance(tls, _CLOSED):
        return tls_failed(service, tls)
    why = "the peer closed it" if tls else reason(exc)
    return unreachable(service, why) if phase == "connect" else connection_lost(service, why)
