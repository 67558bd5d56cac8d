"""Steps between this machine and a service in the mesh, in the order in which a call takes them.

Each step is a small function: it returns what it found, or raises `Broken`, `Skipped` or the package's own error.
The gateway's filters decide in the order token, policy, route: a missing route shows only to a caller that passes the
other two.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from meshpass._address import is_ip
from meshpass._errors import (
    BadResponse,
    GatewayTLSError,
    GatewayUnreachable,
    MeshError,
    MeshTimeout,
    NoRoute,
    NotAllowed,
    RequestRefused,
    TokenRefused,
    UpstreamUnavailable,
)
from meshpass._tokens.key_sources import KeyFile
from meshpass.cli._exit import Exit, exit_code
from meshpass.cli._options import ca_name
from meshpass.cli._output import claims_of
from meshpass.cli._probe import Broken, Finding, Probe, Skipped

# Envoy accepts a token whose times are wrong by this much (jwt_authn's clock_skew_seconds).
_ENVOY_SKEW_S = 60
# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED, _HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH.
_OUT_OF_DATE = (9, 10)
_WRONG_NAME = (62, 64)
# A certificate may hold hundreds of names.
_SHOWN_NAMES = 10


def diagnose(probe: Probe) -> list[Finding]:
    """Run the steps up to the first broken one."""
    findings: list[Finding] = []
    for name, code, step in STEPS:
        if any(finding.state == "broken" for finding in findings):
            findings.append(Finding(name, "not tried", code))
            continue
        try:
            findings.append(Finding(name, "good", code, step(probe)))
        except Skipped as reason:
            findings.append(Finding(name, "skipped", code, str(reason)))
        except Broken as verdict:
            findings.append(
                Finding(name, "broken", verdict.code or code, verdict.says, verdict.words, verdict.fix)
            )
        except MeshError as error:
            findings.append(
                Finding(name, "broken", exit_code(error), str(error.args[0]), error.detail or "", error.hint)
            )
    return findings


def settings(probe: Probe) -> str:
    """Check that all settings are there and well-formed."""
    found = probe.settings
    return f"{found.base_url} at {found.address}, {ca_name(found) if probe.origin.scheme == 'https' else 'no TLS'}"


def source(probe: Probe) -> str:
    """Name the source of tokens that was chosen, and why."""
    if probe.given.google:
        found = probe.source.origin()  # type: ignore[attr-defined]
        return f"Google ID token ({found.kind}: {found.detail}), because {found.why}"
    key = probe.settings.key
    variable = "SIGNING_KEY_FILE" if isinstance(key, KeyFile) else "SIGNING_KEY_SECRET_ID"
    return f"signed here with the key in {key}, because {variable} names it"


def token(probe: Probe) -> str:
    """Check that the source gives a token."""
    made = probe.source.token()
    probe.claims = claims_of(made)
    lifetime = f"good for another {made.expires_at - time.time():.0f} s"
    if not probe.given.google:
        return lifetime
    account = f"{probe.claims.get('email', 'an account')}, whose unique id is {probe.claims.get('sub', 'not known')}"
    return f"of {account}, for the audience {probe.settings.audience}; {lifetime}"


def address(probe: Probe) -> str:
    """Check that the gateway's name resolves."""
    host = probe.address.host
    if is_ip(host):
        return f"{host} needs no DNS"
    try:
        found = socket.getaddrinfo(host, probe.address.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise Broken(
            f"The gateway's name {host} does not resolve.",
            words=str(exc.strerror or exc),
            fix="Check GKE_GATEWAY_URL, and whether this network uses the private DNS zone that has the name.",
        ) from exc
    return f"{host} is {', '.join(sorted({str(entry[4][0]) for entry in found}))}"


def connection(probe: Probe) -> str:
    """Check that the gateway's port accepts connections."""
    started = time.monotonic()
    try:
        probe.connected().close()
    except TimeoutError as exc:
        raise Broken(
            f"No connection to {probe.address} within {probe.timeout_s:g} s.",
            words="timed out",
            fix="Nothing answers: check the address, the route into the VPC (connector or direct egress), the firewall"
            " and the load balancer's source ranges.",
        ) from exc
    except OSError as exc:
        raise Broken(
            f"No connection to {probe.address}.",
            words=str(exc.strerror or exc),
            fix="The host is there and the port is closed: check the port in GKE_GATEWAY_URL, and whether the gateway's"
            " pods are ready."
            if isinstance(exc, ConnectionRefusedError)
            else "Check the address, the route into the VPC and the firewall.",
        ) from exc
    return f"connected to {probe.address} in {(time.monotonic() - started) * 1000:.0f} ms"


def tls(probe: Probe) -> str:
    """Check that the gateway speaks TLS for this host."""
    _needs_tls(probe)
    # Distinguishes a failing handshake from an untrusted certificate; nothing is sent on this connection.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host = probe.origin.host
    try:
        with probe.secured(context) as secured:
            probe.names = _names(secured.getpeercert(binary_form=True))
            return f"{secured.version()} with SNI {host}"
    except ssl.SSLError as exc:
        if exc.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
            raise Broken(
                f"{probe.address} does not speak TLS.",
                words=exc.reason,
                fix="It looks like a plain HTTP port: name the TLS port in GKE_GATEWAY_URL, or write http:// if the"
                " gateway's server is plain HTTP.",
            ) from exc
        raise _no_handshake(probe, str(exc.reason or "closed during the handshake")) from exc
    except OSError as exc:
        raise _no_handshake(probe, exc.strerror or type(exc).__name__) from exc


def certificate(probe: Probe) -> str:
    """Check that the certificate is from a trusted authority, for this name, and in date."""
    _needs_tls(probe)
    try:
        context = ssl.create_default_context(cafile=probe.settings.ca_file)
    except OSError as exc:
        raise Broken(
            f"{ca_name(probe.settings)} cannot be loaded.".capitalize(),
            words=exc.strerror or "no PEM certificate in it",
            fix="GKE_GATEWAY_CA_FILE must be a PEM bundle that this process may read.",
        ) from exc
    try:
        with probe.secured(context) as secured:
            return _described(secured.getpeercert() or {})
    except ssl.SSLCertVerificationError as exc:
        raise _untrusted(probe, exc) from exc
    except OSError as exc:
        raise _no_handshake(probe, exc.strerror or type(exc).__name__) from exc


def http_response(probe: Probe) -> str:
    """Check that the gateway speaks HTTP. The token is not sent, because the port may be of another kind."""
    scheme, host = probe.origin.scheme, probe.origin.host
    context = ssl.create_default_context(cafile=probe.settings.ca_file) if scheme == "https" else None
    connection = http.client.HTTPConnection(host, probe.origin.port, timeout=probe.timeout_s)
    try:
        connection.sock = probe.secured(context) if context else probe.connected()
        connection.request("GET", "/", headers={"Host": probe.origin.url.partition("://")[2]})
        response = connection.getresponse()
        date = response.getheader("date")
        if date:
            probe.skew_s = time.time() - parsedate_to_datetime(date).timestamp()
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise Broken(
            f"{probe.address} gave no HTTP response.",
            words=str(getattr(exc, "strerror", None) or type(exc).__name__),
            fix="Check that this port is the gateway's HTTP port"
            + (", and whether it speaks TLS (https:// in GKE_GATEWAY_URL)." if scheme == "http" else "."),
        ) from exc
    finally:
        connection.close()
    clock = f"; this clock is {probe.skew_s:+.0f} s off" if abs(probe.skew_s) > _ENVOY_SKEW_S else ""
    return f"answers {response.status} to a call without a token, as {response.getheader('server', 'no name')}{clock}"


def exchange(probe: Probe) -> str:
    """Check that one real call gets a response that the later steps can judge."""
    outcome = probe.outcome
    judged = (TokenRefused, NotAllowed, NoRoute, UpstreamUnavailable, MeshTimeout)
    too_early = (GatewayUnreachable, GatewayTLSError, BadResponse)
    if isinstance(outcome, MeshError) and (
        not isinstance(outcome, judged) or isinstance(outcome, too_early) or outcome.code == "connection_lost"
    ):
        raise outcome
    return "one GET with the token was answered"


def token_accepted(probe: Probe) -> str:
    """Check that gateway and workload accept the token."""
    outcome = probe.outcome
    if isinstance(outcome, TokenRefused):
        clock = (
            f" This machine's clock is {probe.skew_s:+.0f} s off the gateway's."
            if abs(probe.skew_s) > _ENVOY_SKEW_S
            else ""
        )
        raise Broken(
            f"The {outcome.answered_by} does not accept the token ({outcome.status}).",
            words=outcome.detail or "",
            fix=outcome.hint + clock,
        )
    return "the token is accepted"


def policy(probe: Probe) -> str:
    """Check that a policy allows this caller this call."""
    outcome = probe.outcome
    if isinstance(outcome, NotAllowed):
        _needs_path(probe, "the mesh does not allow GET /")
        raise Broken(
            f"The {outcome.answered_by} does not allow this call ({outcome.status}).",
            words=outcome.detail or "",
            fix=f"{outcome.hint} The Host sent was {probe.origin.host}, the principal"
            f" {probe.claims.get('iss')}/{probe.claims.get('sub')}.",
        )
    return "allowed"


def route(probe: Probe) -> str:
    """Check that there is a route for this host and path."""
    outcome = probe.outcome
    if isinstance(outcome, NoRoute):
        _needs_path(probe, "the mesh has no route for /")
        raise outcome
    _needs_path(probe, "") if isinstance(outcome, NotAllowed) else None
    return f"{probe.origin.host} is routed"


def service(probe: Probe) -> str:
    """Check that the service itself answers."""
    outcome = probe.outcome
    if isinstance(outcome, RequestRefused):
        _needs_path(probe, "")
    if isinstance(outcome, MeshError):
        raise outcome
    return f"answered {outcome.status_code}"


STEPS: Sequence[tuple[str, Exit, Callable[[Probe], str]]] = (
    ("settings", Exit.SETTINGS, settings),
    ("source", Exit.TOKEN_SOURCE, source),
    ("token", Exit.TOKEN_SOURCE, token),
    ("address", Exit.ADDRESS, address),
    ("connection", Exit.CONNECT, connection),
    ("tls", Exit.TLS, tls),
    ("certificate", Exit.CERTIFICATE, certificate),
    ("http", Exit.HTTP, http_response),
    ("call", Exit.HTTP, exchange),
    ("jwt", Exit.TOKEN_REFUSED, token_accepted),
    ("policy", Exit.POLICY, policy),
    ("route", Exit.ROUTE, route),
    ("service", Exit.UPSTREAM, service),
)


def _needs_tls(probe: Probe) -> None:
    if probe.origin.scheme == "http":
        raise Skipped("http:// has none")


def _needs_path(probe: Probe, found: str) -> None:
    if probe.path is None:
        raise Skipped(f"{found + ': ' if found else ''}give PATH, a call that this caller may make")


def _no_handshake(probe: Probe, words: str) -> Broken:
    return Broken(
        f"{probe.address} broke off the TLS handshake.",
        words=words,
        fix=f"A gateway does so where no server of it has {probe.origin.host} among its hosts, or where it demands a"
        " client certificate: compare GKE_GATEWAY_HOST with the Gateway's servers.",
        code=Exit.TLS,
    )


def _untrusted(probe: Probe, exc: ssl.SSLCertVerificationError) -> Broken:
    if exc.verify_code in _WRONG_NAME:
        names = f" It is for {', '.join(probe.names)}." if probe.names else " It names no host at all."
        says = f"The certificate is not for {probe.origin.host}.{names}"
        fix = "Call the service by a name in the certificate (GKE_GATEWAY_HOST), or have one issued for this name."
    elif exc.verify_code in _OUT_OF_DATE:
        says = "The certificate is out of date."
        fix = "Have it renewed, or check this machine's clock."
    else:
        says = "The certificate is from an authority that is not trusted here."
        fix = f"It was checked against {ca_name(probe.settings)}: name the CA that signed it in GKE_GATEWAY_CA_FILE."
    return Broken(says, words=exc.verify_message, fix=fix)


def _names(certificate: bytes | None) -> tuple[str, ...]:
    """Return the host names and addresses of a certificate that may be untrusted, in DER."""
    if certificate is None:
        return ()
    from cryptography import x509

    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)[:_SHOWN_NAMES]


def _described(peer: dict[str, Any]) -> str:
    names = [value for kind, value in peer.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    return f"for {', '.join(names)}, until {peer.get('notAfter', 'an unknown time')}"
