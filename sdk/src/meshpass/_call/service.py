"""What both clients know of the service they call: its origin, address, certificates and limits."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from meshpass._address import Address, Origin, is_ip, parse_address, parse_origin, plaintext_problem
from meshpass._call.retry import RetryPolicy
from meshpass._errors import ConfigurationError

DEADLINE_HEADER = "x-request-timeout-ms"
"""Tells the service how many milliseconds the caller will still wait.

A time span, because two machines' clocks differ. Not one of Envoy's `x-envoy-*`: those an edge takes away, or
takes as an order that overrides the timeout of its route.
"""

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_CONNECT_TIMEOUT_S = 3.0
DEFAULT_MAX_RESPONSE_BYTES = 10 * 1024 * 1024
# More than one instance of a function handles at once; idle ones go well before a load balancer's 10 minutes.
MAX_CONNECTIONS = 100
KEEPALIVE_S = 60.0

Pem = Path | str | bytes
ClientCertFiles = tuple[Pem, Pem] | tuple[Pem, Pem, str]
"""A certificate chain, its key, and the key's password where it has one. A path names a file; bytes are PEM."""

ClientCert = ClientCertFiles | Callable[[], ClientCertFiles]
"""Our certificate, or a function that returns it for each new connection."""


class ClientOptions(TypedDict, total=False):
    """The limits and habits of a client; see `Client` for what each means."""

    client_cert: ClientCert | None
    timeout_s: float
    connect_timeout_s: float
    attempt_timeout_s: float | None
    retry: RetryPolicy
    max_response_bytes: int
    deadline_header: str | None


@dataclass(frozen=True, slots=True)
class Service:
    """One service behind a gateway.

    Args:
        origin: The virtual origin, which every request's URL carries.
        address: What is dialled; the origin's own host and port when nothing is pinned.
        ca_file: PEM bundle of trusted CAs; the system's when None.
        client_cert: Our own certificate chain, its key, and the key's password where it has one; or what returns them.
        timeout_s: Limit for one call, everything included, in seconds.
        connect_timeout_s: Limit for connecting alone, in seconds.
        attempt_timeout_s: Limit for one attempt; the call's own when None.
        retry: How calls are retried.
        max_response_bytes: The largest body, before and after decoding.
        deadline_header: The header with what is left of the call, for the service; none is sent when None.
    """

    origin: Origin
    address: Address
    ca_file: Path | None
    client_cert: ClientCert | None = field(default=None, repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S
    connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S
    attempt_timeout_s: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    deadline_header: str | None = DEADLINE_HEADER

    @property
    def name(self) -> str:
        """The virtual host, as errors name the service."""
        return self.origin.host

    @property
    def pinned(self) -> bool:
        """Whether the origin's name is mapped to an address rather than resolved."""
        return (self.origin.host, self.origin.port) != (self.address.host, self.address.port)

    @property
    def where(self) -> str:
        """The service and the address dialled for it, for messages."""
        return f"{self.name} at {self.address}" if self.pinned else str(self.address)

    @property
    def peer(self) -> str:
        """What sends responses, for messages; it begins with "the"."""
        return f"the gateway of {self.where}"


def make_service(
    base_url: str, address: str | None, ca_file: Path | str | None, options: ClientOptions
) -> Service:
    """Check a client's arguments and build its service.

    Raises:
        ConfigurationError: one or more are wrong; it lists all of them.
    """
    problems = _option_problems(options)
    problems += [
        f"{name} names {path}, which is not a file."
        for name, path in (("ca_file", ca_file), *(("client_cert", part) for part in _files(options)))
        if path is not None and not Path(path).is_file()
    ]
    origin, pinned = None, None
    try:
        origin = parse_origin(base_url)
    except ValueError as exc:
        problems.append(f"base_url {exc}.")
    try:
        pinned = parse_address(address, origin.port if origin else 443) if address is not None else None
    except ValueError as exc:
        problems.append(f"address {exc}.")
    if origin is not None:
        if pinned is not None and is_ip(origin.host):
            problems.append("base_url must hold the virtual host's name when an address is given.")
        plaintext = plaintext_problem(origin, pinned)
        problems += [f"base_url {plaintext}."] if plaintext else []
        if options.get("client_cert") and origin.scheme == "http":
            problems.append("client_cert is of no use with http://.")
    if problems or origin is None:
        raise ConfigurationError(problems)
    return Service(
        origin,
        pinned or Address(origin.host, origin.port),
        Path(ca_file) if ca_file is not None else None,
        **options,
    )


def _option_problems(options: ClientOptions) -> list[str]:
    known = ClientOptions.__annotations__
    problems = [f"{name} is not a client's argument." for name in options if name not in known]
    problems += [
        f"{name} is {value}; it must be a number of seconds above 0."
        for name in ("timeout_s", "connect_timeout_s", "attempt_timeout_s")
        if (value := options.get(name)) is not None and not 0 < value < math.inf  # type: ignore[operator]
    ]
    if not options.get("max_response_bytes", 1) > 0:
        problems.append(f"max_response_bytes is {options['max_response_bytes']}; it must be above 0.")
    return problems


def _files(options: ClientOptions) -> list[Path | str]:
    certificate = options.get("client_cert")
    if certificate is None or callable(certificate):
        return []
    return [part for part in certificate[:2] if not isinstance(part, bytes)]
