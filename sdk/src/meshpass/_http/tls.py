"""TLS contexts that follow their files, and what a certificate says of its names."""

import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, cast

from meshpass._call.failures import is_certificate_refused, tls_failed
from meshpass._call.service import Service
from meshpass._errors import ConfigurationError, MeshError, UpstreamUnavailable
from meshpass._http.client_certificate import ClientCertificate, file_state

if TYPE_CHECKING:
    from meshpass._call.request import Attempt
    from meshpass._http.dialing import AddressInfo

_LOOK_S = 1.0
_ALERT_WAIT_S = 0.5
_MOST_NAMES = 5
_MOST_CHARS = 100


class TLSContext:
    """The TLS context of one service, built again when the files that it was read from have changed.

    cert-manager and SPIRE replace certificates while a program runs. The files are looked at for each new connection,
    and connections that are open go on. While the new files cannot be used, as when they are half written, the context
    before them is used, and they are tried again for the next connection.

    Args:
        service: Which CAs to trust, and which certificate to show.
        context: A context to use whatever the service says.

    Raises:
        ConfigurationError: the files cannot be used at the start.
    """

    def __init__(self, service: Service, context: ssl.SSLContext | None = None) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._context = context
        self._state: tuple[object, ...] = ()
        self._follows_files = (
            context is None
            and service.origin.scheme == "https"
            and (service.ca_file is not None or service.client_cert is not None)
        )
        if context is None and service.origin.scheme == "https":
            self._build(self._certificate())

    @property
    def may_block(self) -> bool:
        """Whether `current` may take longer than a look at files: it reads them, or calls the caller's function."""
        return self._follows_files and (
            callable(self._service.client_cert) or self._has_changed(self._certificate())
        )

    def current(self) -> ssl.SSLContext | None:
        """Return the context for a new connection; None for plaintext."""
        if not self._follows_files:
            return self._context
        with self._lock:
            try:
                certificate = self._certificate()
                if self._has_changed(certificate):
                    self._build(certificate)
            except ConfigurationError as exc:
                import logging

                # One event for each new connection until the files are good again.
                fields = {"service": self._service.name, "problem": exc.problems[0]}
                logging.getLogger("meshpass").warning(
                    "tls_files_unusable service=%s problem=%s",
                    *fields.values(),
                    extra={"event": "meshpass.tls_files_unusable", "meshpass": fields},
                )
            return self._context

    def _certificate(self) -> ClientCertificate | None:
        given = self._service.client_cert
        return None if given is None else ClientCertificate(given)

    def _has_changed(self, certificate: ClientCertificate | None) -> bool:
        return self._state_of(certificate) != self._state

    def _build(self, certificate: ClientCertificate | None) -> None:
        # Taken first: a file that changes while it is read is read again for the next connection.
        state = self._state_of(certificate)
        self._context = build_context(self._service, certificate)
        self._state = state

    def _state_of(self, certificate: ClientCertificate | None) -> tuple[object, ...]:
        ca_file = self._service.ca_file
        return (
            None if ca_file is None else file_state(ca_file),
            *(() if certificate is None else certificate.state()),
        )


def build_context(service: Service, certificate: ClientCertificate | None) -> ssl.SSLContext:
    """Return a context that trusts a service's CAs and shows this certificate.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    try:
        context = ssl.create_default_context(cafile=service.ca_file)
    except OSError as exc:  # ssl.SSLError is one
        why = "it holds no PEM certificate" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise ConfigurationError(f"The CA file {service.ca_file} cannot be used: {why}.") from exc
    # RFC 9110, section 4.3.4: only subjectAltName counts. OpenSSL would take the subject's common name without one.
    context.hostname_checks_common_name = False
    # RFC 9112, section 9.8: a body that ends with the connection is whole only after TLS's own notice of its end.
    # Python asks OpenSSL to treat both ends as the same.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if certificate is not None:
        certificate.load_into(context)
    return context


def certificate_names(service: Service, address: "AddressInfo", give_up_at: float) -> tuple[str, ...]:
    """Return names in the peer's certificate, for the message that the right one is missing; empty if not to be had.

    OpenSSL does not show the certificate of a handshake that failed. So this makes a second one, which trusts the same
    CAs and leaves only the name unchecked. It shows no client certificate, sends nothing, and takes a second at most.

    Args:
        service: What was called.
        address: What was dialled.
        give_up_at: When the time for connecting is up, in seconds of `time.monotonic()`.
    """
    give_up_at = min(give_up_at, time.monotonic() + _LOOK_S)
    try:
        context = build_context(service, None)
        context.check_hostname = False
        with socket.socket(address[0], socket.SOCK_STREAM) as stream:
            stream.settimeout(max(0.0, give_up_at - time.monotonic()))
            stream.connect(address[1])
            stream.settimeout(max(0.0, give_up_at - time.monotonic()))
            with context.wrap_socket(stream, server_hostname=service.origin.host) as secure:
                certificate = secure.getpeercert() or {}
    except (OSError, ValueError, ConfigurationError):
        return ()
    found: list[str] = []
    for kind, name in cast("tuple[tuple[str, object], ...]", certificate.get("subjectAltName", ())):
        if kind in ("DNS", "IP Address"):
            found.append("".join(c for c in str(name) if "!" <= c <= "~")[:_MOST_CHARS])
    more = [f"{len(found) - _MOST_NAMES} more"] if len(found) > _MOST_NAMES else []
    return (*found[:_MOST_NAMES], *more)


def may_hide_refusal(attempt: "Attempt", outcome: object) -> bool:
    """Report whether a new TLS connection was lost in the way in which a refused client certificate may show.

    With TLS 1.3 a server refuses a certificate after the client's handshake is over (RFC 8446, section 4.4.2.4), and
    closes the connection. A request that is sent at that moment meets the reset, and the alert may be lost with it.
    """
    return (
        isinstance(outcome, UpstreamUnavailable)
        and not attempt.reused
        and attempt.phase in ("connect", "send", "read")
    )


def find_refusal(service: Service, context: ssl.SSLContext, until: float) -> MeshError | None:
    """Return the error of a client certificate that the peer does not accept; None where there is no such alert.

    This makes a connection of its own, checked as any other, and sends nothing over it. It takes two seconds at most.

    Args:
        service: What was called.
        context: The TLS context of the connection that was lost.
        until: When to give up, in seconds of `time.monotonic()`.
    """
    left_s = until - time.monotonic()
    if left_s <= 0:
        return None
    refused: ssl.SSLError | None = None
    try:
        with socket.create_connection(
            (service.address.host, service.address.port), min(_LOOK_S, left_s)
        ) as stream:
            stream.settimeout(min(_ALERT_WAIT_S, left_s))
            with context.wrap_socket(stream, server_hostname=service.origin.host) as secure:
                secure.recv(1)
    except OSError as exc:
        refused = exc if isinstance(exc, ssl.SSLError) and is_certificate_refused(exc) else None
    try:
        return None if refused is None else tls_failed(service, refused)
    finally:
        del refused  # its traceback holds this frame: only the garbage collector would free both
