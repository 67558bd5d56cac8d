"""Origin of a service, and address of its gateway.

The URL of every request has the service's virtual name. So the Host header, SNI, the certificate check and the
connection pool use the name without further code. Only the connection itself uses the address.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
# Addresses to which a token may be sent without TLS: RFC 1918, RFC 4193, RFC 6598, link-local and loopback.
_PRIVATE = tuple(
    ip_network(block)
    for block in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)


@dataclass(frozen=True, slots=True)
class Address:
    """The address to connect to: an IP address or a DNS name, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return _with_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Origin:
    """The only origin to which a client sends requests and tokens."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """The origin as a URL without a path, and without the scheme's default port."""
        return _url(self.scheme, self.host, self.port)


def parse_origin(url: str) -> Origin:
    """Read `scheme://host[:port]`.

    Raises:
        ValueError: it is anything else; the message completes the sentence "NAME ...".
    """
    if any(ord(c) <= 0x20 or ord(c) >= 0x7F for c in url):
        raise ValueError("has spaces, control or non-ASCII characters in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL with a valid host and port") from None
    if parts.netloc.endswith(":"):
        raise ValueError("ends in a colon without a port")
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("must start with https:// or http:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if parts.path not in ("", "/") or parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError("must end after the host and port: a path belongs into each call")
    return Origin(
        parts.scheme, _checked_host(parts.hostname), _checked_port(port, _DEFAULT_PORTS[parts.scheme])
    )


def parse_address(text: str, default_port: int) -> Address:
    """Read `host[:port]`, where host is an IP address (IPv6 in brackets) or a DNS name.

    Raises:
        ValueError: it is anything else; the message completes the sentence "NAME ...".
    """
    if "/" in text or "@" in text:
        raise ValueError("must be an address with an optional port, such as 10.128.0.5 or 10.128.0.5:443")
    # An IPv6 address without brackets is accepted: it cannot have a port, so it is not ambiguous.
    bare = _ip_or_none(text)
    origin = parse_origin(f"http://{_bracketed(str(bare)) if bare else text}")
    explicit = bare is None and re.search(r":\d+\Z", text) is not None
    return Address(origin.host, origin.port if explicit else default_port)


def plaintext_problem(origin: Origin, address: Address | None) -> str | None:
    """Return why a token must not be sent in plaintext to this address; None where it may."""
    if origin.scheme == "https":
        return None
    dialled = address.host if address is not None else origin.host
    ip = _ip_or_none(dialled)
    if dialled == "localhost" or (ip is not None and any(ip in block for block in _PRIVATE)):
        return None
    where = (
        f"{dialled} is not a private address"
        if ip is not None
        else f"{dialled} is a name, which may lead anywhere"
    )
    return f"is http://, which would send the caller's token unencrypted, and {where}; use https://"


def is_ip(host: str) -> bool:
    """Report whether this host is an IP address."""
    return _ip_or_none(host) is not None


def _ip_or_none(text: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip


def _checked_host(host: str) -> str:
    host = host.lower()
    if _ip_or_none(host) is not None:
        return host
    if host.endswith("."):
        raise ValueError("must not end its host with a dot: Envoy does not route such a Host")
    if not _HOST_NAME.fullmatch(host) or re.fullmatch(r"[0-9.]+|0x[0-9a-f]+", host):
        raise ValueError("does not hold a valid host name or IP address")
    return host


def _checked_port(port: int | None, default: int) -> int:
    if port == 0:
        raise ValueError("has the port 0, which cannot be dialled")
    return default if port is None else port


# Every call needs it several times, and a program has few origins.
@lru_cache(maxsize=256)
def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{_bracketed(host) if port == _DEFAULT_PORTS[scheme] else _with_port(host, port)}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _with_port(host: str, port: int) -> str:
    return f"{_bracketed(host)}:{port}"
