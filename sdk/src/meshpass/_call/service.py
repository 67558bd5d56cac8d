"""The service that a client calls: its origin, address, certificates and limits, checked."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from meshpass._address import Address, Origin, is_ip, parse_address, parse_origin, plaintext_problem
from meshpass._call.fields import Headers, checked_headers, is_field_name
from meshpass._call.path import base_path_problem
from meshpass._call.retry import RetryPolicy
from meshpass._errors import ConfigurationError, InvalidRequest
from meshpass._values import is_number, is_size, shown

DEADLINE_HEADER = "x-request-timeout-ms"
"""Header that says how many milliseconds the caller will still wait.

A time span, because two machines' clocks differ. Not one of Envoy's `x-envoy-*`: those an edge takes away, or
takes as an order that overrides the timeout of its route.
"""

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_CONNECT_TIMEOUT_S = 3.0
DEFAULT_MAX_RESPONSE_BYTES = 10 * 1024 * 1024
# More than one instance of a function handles at once; idle ones go well before a load balancer's 10 minutes.
MAX_CONNECTIONS = 100
KEEPALIVE_S = 60.0

Hook = Callable[[Any], object]
EventHooks = Mapping[Literal["request", "response"], Sequence[Hook]]
"""Functions for each event: `request` takes an `httpx.Request` and `response` an `httpx.Response`."""

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
    headers: Headers | None
    event_hooks: EventHooks | None


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
        deadline_header: The header that says what is left of the call; none is sent when None.
        headers: Headers of every request, names in lower case.
        event_hooks: Functions that see every request and every response.
        base_path: What every path begins with, without a slash at its end; empty for the root.
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
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    event_hooks: Mapping[str, Sequence[Hook]] = field(default_factory=dict, repr=False)
    base_path: str = ""

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

    @property
    def kind(self) -> str:
        """What the peer is, for advice: `gateway`."""
        return "gateway"

    def setting(self, variable: str) -> str:
        """Return the variable that advice names, with a space before it; empty where the peer has no such variable."""
        return f" ({variable})"


def make_service(
    base_url: str,
    address: str | None,
    ca_file: Path | str | None,
    options: ClientOptions,
    problems: Sequence[str] = (),
) -> Service:
    """Check a client's arguments and build its service.

    Args:
        base_url: The virtual origin, and the path that every call's path is put behind.
        address: What is dialled.
        ca_file: PEM bundle of trusted CAs.
        options: The rest.
        problems: What is wrong already, one sentence each.

    Raises:
        ConfigurationError: one or more are wrong; it lists all of them.
    """
    given = {
        "base_url": (base_url, str, "a str"),
        "address": (address, str | None, "a str"),
        "ca_file": (ca_file, str | Path | None, "a str or a Path"),
    }
    certificate = options.get("client_cert")
    wrong = [
        f"{name} is of type {type(value).__name__}; it must be {form}."
        for name, (value, kind, form) in given.items()
        if not isinstance(value, kind)
    ]
    if certificate is not None and not _is_certificate(certificate):
        wrong.append(
            "client_cert must be a tuple: the certificate chain, its key, and the key's password if any."
        )
    found = [*problems, *_option_problems(options), *wrong]
    if wrong:
        raise ConfigurationError(found)
    url, base_path, path_problem = _split(base_url)
    found += [path_problem] if path_problem else []
    found += [
        f"{name} names {path}, which is not a file."
        for name, path in (("ca_file", ca_file), *(("client_cert", part) for part in _files(options)))
        if path is not None and not _is_file(path)
    ]
    origin, pinned = None, None
    try:
        origin = parse_origin(url)
    except ValueError as exc:
        found.append(f"base_url {exc}.")
    try:
        pinned = parse_address(address, origin.port if origin else 443) if address is not None else None
    except ValueError as exc:
        found.append(f"address {exc}.")
    if origin is not None:
        if pinned is not None and is_ip(origin.host):
            found.append("base_url must hold the virtual host's name when an address is given.")
        plaintext = plaintext_problem(origin, pinned)
        found += [f"base_url {plaintext}."] if plaintext else []
        if certificate is not None and origin.scheme == "http":
            found.append("client_cert is of no use with http://.")
    if found or origin is None:
        raise ConfigurationError(found)
    rest = {name: value for name, value in options.items() if name not in ("headers", "event_hooks")}
    return Service(
        origin,
        pinned or Address(origin.host, origin.port),
        Path(ca_file) if ca_file is not None else None,
        headers=checked_headers(options.get("headers") or {}),
        event_hooks={str(event): tuple(hooks) for event, hooks in (options.get("event_hooks") or {}).items()},
        base_path=base_path,
        **rest,  # type: ignore[arg-type]
    )


def check_keywords(options: ClientOptions) -> None:
    """Check that every option is one that clients have.

    Raises:
        ConfigurationError: one is not; it names the one that was meant.
    """
    known = ClientOptions.__annotations__
    unknown = [name for name in options if name not in known]
    if unknown:
        from difflib import get_close_matches

        close = {name: get_close_matches(name, known, 1) for name in unknown}
        raise ConfigurationError(
            [
                f"{name} is not a client's argument." + (f" Did you mean {found[0]}?" if found else "")
                for name, found in close.items()
            ]
        )


def _split(base_url: str) -> tuple[str, str, str | None]:
    """Return the origin's URL, the base path, and what is wrong with that."""
    scheme, separator, rest = base_url.partition("://")
    authority, slash, path = rest.partition("/")
    if not path or any(mark in authority for mark in "?#"):
        return base_url, "", None
    base_path = slash + path.removesuffix("/")
    problem = base_path_problem(base_path)
    return (
        f"{scheme}{separator}{authority}",
        base_path,
        f"The path of base_url {problem}." if problem else None,
    )


def _option_problems(options: ClientOptions) -> list[str]:
    problems = [
        f"{name} is {shown(value)}; it must be a number of seconds above 0."
        for name in ("timeout_s", "connect_timeout_s", "attempt_timeout_s")
        if not (name == "attempt_timeout_s" and options.get(name) is None)
        and not _is_time(value := options.get(name, 1))
    ]
    size = options.get("max_response_bytes", 1)
    if not is_size(size):
        problems.append(f"max_response_bytes is {shown(size)}; it must be a whole number above 0.")
    if not isinstance(options.get("retry", RetryPolicy()), RetryPolicy):
        problems.append(f"retry is of type {type(options['retry']).__name__}; it must be a RetryPolicy.")
    header = options.get("deadline_header")
    if header is not None and not is_field_name(header):
        problems.append(
            f"deadline_header is {shown(header)}; it must be the name of a header that may be added."
        )
    problems += _header_problems(options.get("headers"))
    problems += _hook_problems(options.get("event_hooks"))
    return problems


def _header_problems(headers: Headers | None) -> list[str]:
    if headers is None:
        return []
    try:
        checked_headers(headers)
    except InvalidRequest as exc:
        return [f"headers: {exc}"]
    return []


def _hook_problems(event_hooks: object) -> list[str]:
    if event_hooks is None:
        return []
    if not isinstance(event_hooks, Mapping):
        return ['event_hooks must be a mapping, such as {"request": [function], "response": [function]}.']
    return [
        f"event_hooks has {shown(event)}; it must be 'request' or 'response', each with a list of functions."
        for event, hooks in event_hooks.items()
        if event not in ("request", "response")
        or not isinstance(hooks, list | tuple)
        or not all(callable(hook) for hook in hooks)
    ]


def _is_time(value: object) -> bool:
    return is_number(value) and 0 < value < math.inf


def _is_file(path: Path | str) -> bool:
    try:
        return Path(path).is_file()
    except ValueError:  # a NUL in it
        return False


def _files(options: ClientOptions) -> list[Path | str]:
    certificate = options.get("client_cert")
    if certificate is None or callable(certificate):
        return []
    return [part for part in certificate[:2] if not isinstance(part, bytes)]


def _is_certificate(value: object) -> bool:
    return callable(value) or (
        isinstance(value, tuple | list)
        and 2 <= len(value) <= 3
        and all(isinstance(part, str | Path | bytes) for part in value)
    )
