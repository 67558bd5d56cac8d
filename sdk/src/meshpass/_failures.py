"""Failures on the way to an answer, as this package's errors: one wording for both transports."""

import os
import ssl
from typing import TypeVar

from meshpass._errors import GatewayTLSError, GatewayUnreachable, MeshError, MeshTimeout, UpstreamUnavailable
from meshpass._service import Service


def unreachable(service: Service, why: str) -> GatewayUnreachable:
    """No connection could be made."""
    return GatewayUnreachable(
        f"The gateway of {service.where} cannot be reached: {why}.",
        service=service.name,
        hint="Check its address, the VPC route to it and the firewall.",
    )


def timed_out(service: Service, timeout_s: float) -> MeshTimeout:
    """The time given for the call was used up."""
    return MeshTimeout(
        f"{service.where} gave no complete answer within {timeout_s:g} s.",
        service=service.name,
        hint="The service may be slow or overloaded, and may still have done the work.",
    )


def connection_lost(service: Service, why: str) -> UpstreamUnavailable:
    """The connection broke, or spoke no HTTP, after it was made."""
    return UpstreamUnavailable(
        f"The connection to {service.where} broke before the answer was complete: {why}.",
        code="connection_lost",
        service=service.name,
        hint="It is not known whether the service did the work.",
    )


def tls_failed(service: Service, why: ssl.SSLError) -> GatewayTLSError:
    """The TLS handshake failed."""
    trusted = f"the CAs in {service.ca_file}" if service.ca_file else "the system's CAs"
    if isinstance(why, ssl.SSLCertVerificationError):
        return GatewayTLSError(
            f"The certificate of the gateway of {service.where} is not trusted: {why.verify_message}.",
            service=service.name,
            hint=f"It was checked against {trusted} and the name {service.name}: name the CA that signed it"
            " (GKE_GATEWAY_CA_FILE), or call the service by a name in the certificate.",
        )
    return GatewayTLSError(
        f"TLS with the gateway of {service.where} failed: {why.reason or 'no reason given'}.",
        service=service.name,
        hint="Check that this port speaks TLS for this host, and which client certificates it demands.",
    )


def from_connect(service: Service, exc: BaseException) -> MeshError:
    """Turn a failure to connect into the error it means."""
    tls = _innermost(exc, ssl.SSLError)
    return tls_failed(service, tls) if tls else unreachable(service, reason(exc))


def from_exchange(service: Service, exc: BaseException) -> MeshError:
    """Turn a failure after connecting into the error it means."""
    # With TLS 1.3 a refused client certificate shows only on the first read.
    tls = _innermost(exc, ssl.SSLError)
    return tls_failed(service, tls) if tls else connection_lost(service, reason(exc))


def reason(exc: BaseException) -> str:
    """Say in a few words why the operating system or the peer failed, without an engine's request in it."""
    cause = _innermost(exc, OSError)
    if cause is None or cause.errno is None:
        return type(exc).__name__
    # The resolver's error numbers are negative, and only its own text explains them.
    return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)


_Error = TypeVar("_Error", bound=BaseException)


def _innermost(exc: BaseException, kind: type[_Error]) -> _Error | None:
    # Engines wrap the system's error, and some of the wrappers call themselves its kind.
    found = None
    seen: BaseException | None = exc
    while seen is not None:
        found = seen if isinstance(seen, kind) else found
        # httpcore re-raises "from None", which drops the cause but not the context. Any other context may be the
        # caller's own trouble: a call made while handling another error.
        seen = seen.__cause__ or (seen.__context__ if seen.__suppress_context__ else None)
    return found
