"""What both clients know of the service they call: its origin, address, trusted CAs and time limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshpass._address import Address, Origin, is_ip, parse_address, parse_origin, plaintext_problem
from meshpass._errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_CONNECT_TIMEOUT_S = 3.0
# More than one instance of a function handles at once; idle ones go well before a load balancer's 10 minutes.
MAX_CONNECTIONS = 100
KEEPALIVE_S = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """One service behind a gateway.

    Args:
        origin: The virtual origin, which every request's URL carries.
        address: What is dialled; the origin's own host and port when nothing is pinned.
        ca_file: PEM bundle of trusted CAs; the system's when None.
        timeout_s: Limit for one call from connecting to the answer's last byte, in seconds.
        connect_timeout_s: Limit for connecting alone, in seconds.
    """

    origin: Origin
    address: Address
    ca_file: Path | None
    timeout_s: float
    connect_timeout_s: float

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

    def ssl_context(self) -> "ssl.SSLContext | None":
        """Return a context that trusts this service's CAs; None for plaintext.

        Raises:
            ConfigurationError: the CA file cannot be read or holds no certificate.
        """
        if self.origin.scheme == "http":
            return None
        import ssl

        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as exc:  # ssl.SSLError is one
            why = "it holds no PEM certificate" if isinstance(exc, ssl.SSLError) else exc.strerror
            raise ConfigurationError(f"The CA file {self.ca_file} cannot be used: {why}.") from exc


def make_service(
    base_url: str, address: str | None, ca_file: Path | str | None, timeout_s: float, connect_timeout_s: float
) -> Service:
    """Check a client's arguments and build its service.

    Raises:
        ConfigurationError: one or more are wrong; it lists all of them.
    """
    problems = [
        f"{name} is {value}; it must be a number of seconds above 0."
        for name, value in (("timeout_s", timeout_s), ("connect_timeout_s", connect_timeout_s))
        if not value > 0
    ]
    if ca_file is not None and not Path(ca_file).is_file():
        problems.append(f"ca_file names {ca_file}, which is not a file.")
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
    if problems or origin is None:
        raise ConfigurationError(problems)
    return Service(
        origin,
        pinned or Address(origin.host, origin.port),
        Path(ca_file) if ca_file is not None else None,
        timeout_s,
        connect_timeout_s,
    )
