"""Response that a client got, and the reason where a connection ended without one."""

from __future__ import annotations

import math
import ssl

from meshlab.bench.wire.socket_reader import StreamError
from meshlab.quick_dataclass import dataclass

__all__ = ["Reply", "describe_end"]


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        client_address: The client's own end of the connection, `127.0.0.1:PORT`; empty where it never connected.
        status: The HTTP status; `None` without an HTTP response.
        headers: The response headers in order.
        body: The response body, or the bytes that came back over TCP.
        certificate: URI and DNS names of the certificate that the other end showed.
        failure: How the connection ended without an answer, in words; empty with one.
        began: When the client began to connect, in seconds since the epoch.
        ended: When the answer was there, or it was clear that none comes. The client closed its connection after that.
    """

    client_address: str = ""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    certificate: tuple[str, ...] = ()
    failure: str = ""
    began: float = 0.0
    ended: float = math.inf

    @property
    def answered(self) -> bool:
        """Whether an answer came back: an HTTP response, or at least one byte."""
        return self.status is not None or bool(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


def describe_end(error: Exception) -> str:
    """Return in words how a connection ended."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client did not trust the server's certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return "the connection was closed within TLS"
    if isinstance(error, ssl.SSLError):
        return _describe_tls(error)
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused: nothing listens there"
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    if isinstance(error, BrokenPipeError):
        return "the connection was closed while the request was sent"
    if isinstance(error, TimeoutError):
        return str(error) if "within" in str(error) else "no answer in time"
    if isinstance(error, StreamError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _describe_tls(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason, such as `TLSV13_ALERT_CERTIFICATE_REQUIRED` or `WRONG_VERSION_NUMBER`."""
    reason = error.reason or "unknown reason"
    _, alert, name = reason.partition("ALERT_")
    if alert:
        return f"TLS alert of the other end: {name.replace('_', ' ').lower()}"
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return "the other end does not speak TLS"
    return f"TLS failed: {reason.replace('_', ' ').lower()}"
