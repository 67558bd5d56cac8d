"""Failures on the way to an answer, as this package's errors: one wording for both transports."""

import ssl

from meshpass._call.request import Phase
from meshpass._call.service import Service
from meshpass._errors import (
    BadResponse,
    GatewayTLSError,
    GatewayUnreachable,
    MeshError,
    MeshTimeout,
    UpstreamUnavailable,
)
from meshpass._reasons import innermost, reason

_MAYBE_DONE = "The service may be slow or overloaded, and may still have done the work."
_SPENT: dict[Phase, tuple[str, str]] = {
    "token": ("before there was a token", "Its source is slow: give the first call of a process more time."),
    "connect": ("before there was a connection; nothing was sent", "Check the VPC route and the firewall."),
    "read": ("before the answer began", _MAYBE_DONE),
    "head": ("before the answer's head was complete", _MAYBE_DONE),
    "body": ("before the answer was complete", _MAYBE_DONE),
}


def unreachable(service: Service, why: str, *, reset: bool = False) -> GatewayUnreachable:
    """No connection could be made.

    Args:
        service: What was called.
        why: In a few words.
        reset: Whether the other side ended it, as a gateway ends TLS for a host that it does not serve.
    """
    hint = "Check its address, the VPC route to it and the firewall."
    if reset and service.origin.scheme == "https":
        hint = (
            f"Check that it serves the host {service.name} (GKE_GATEWAY_HOST): it resets TLS for any other. "
            "Then check its address."
        )
    return GatewayUnreachable(
        f"T{service.peer[1:]} cannot be reached: {why}.", service=service.name, hint=hint
    )


def timed_out(service: Service, limit_s: float, phase: Phase) -> MeshTimeout:
    """The time given for the call, or for one attempt, was used up."""
    spent, hint = _SPENT[phase]
    return MeshTimeout(
        f"{service.where} gave no complete answer within {limit_s:g} s: the time ran out {spent}.",
        code="timeout_body" if phase == "head" else f"timeout_{phase}",
        service=service.name,
        hint=hint,
    )


def no_time(service: Service) -> MeshTimeout:
    """The deadline was over before the call began."""
    return MeshTimeout(
        f"The deadline for {service.where} was over before anything was sent.",
        code="deadline",
        service=service.name,
        hint="What was done before this call took all the time.",
    )


def too_large(service: Service) -> BadResponse:
    """The body has more bytes than allowed, as sent or as decoded."""
    return BadResponse(
        f"The answer of {service.where} is larger than {service.max_response_bytes} bytes.",
        service=service.name,
        hint="Ask for less at a time, or raise max_response_bytes.",
    )


def not_decodable(service: Service, why: str) -> BadResponse:
    """The body is not what its content-encoding says."""
    return BadResponse(
        f"The answer of {service.where} cannot be decoded: {why}.",
        service=service.name,
        hint="Compare its content-encoding with its body.",
    )


def connection_lost(service: Service, why: str) -> UpstreamUnavailable:
    """The connection broke, or spoke no HTTP, after it was made."""
    return UpstreamUnavailable(
        f"The connection to {service.where} broke before the answer was complete: {why}.",
        code="connection_lost",
        service=service.name,
        hint="It is not known whether the service did the work." + _perhaps_tls(service),
    )


def _perhaps_tls(service: Service) -> str:
    if service.origin.scheme == "https":
        return ""
    return " If this port speaks TLS, the gateway's URL must begin with https://."


def is_lost(error: MeshError | None) -> bool:
    """Tell whether this is a connection that broke after it was made."""
    return error is not None and error.code == "connection_lost"


def tls_failed(service: Service, why: ssl.SSLError) -> GatewayTLSError:
    """The TLS handshake failed."""
    trusted = f"the CAs in {service.ca_file}" if service.ca_file else "the system's CAs"
    if isinstance(why, ssl.SSLCertVerificationError):
        return GatewayTLSError(
            f"The certificate of {service.peer} is not trusted: {why.verify_message}.",
            service=service.name,
            hint=f"It was checked against {trusted} and the name {service.name}: name the CA that signed it"
            " (GKE_GATEWAY_CA_FILE), or call the service by a name in the certificate.",
        )
    return GatewayTLSError(
        f"TLS with {service.peer} failed: {why.reason or 'no reason given'}.",
        service=service.name,
        hint="Check that this port speaks TLS for this host, and which client certificates it demands.",
    )


def from_connect(service: Service, exc: BaseException) -> MeshError:
    """Turn a failure to connect into the error it means."""
    tls = innermost(exc, ssl.SSLError)
    if tls:
        return tls_failed(service, tls)
    cause = innermost(exc, OSError)
    return unreachable(service, reason(exc), reset=isinstance(cause, ConnectionResetError))


def from_exchange(service: Service, exc: BaseException) -> MeshError:
    """Turn a failure after connecting into the error it means."""
    # With TLS 1.3 a refused client certificate shows only on the first read.
    tls = innermost(exc, ssl.SSLError)
    if tls is not None and not isinstance(tls, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return tls_failed(service, tls)
    return connection_lost(service, "the peer closed it" if tls else reason(exc))
