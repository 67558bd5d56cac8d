"""Where istiod fetches the keys of callers' issuers: at Google's APIs, or in ranges that an environment names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshcontract.ranges import range_problem

from meshgen.contract import REFERENCE
from meshgen.sources import DescriptionError, read_loosely

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from meshgen.sources import Description

__all__ = ["KeyServer", "key_server_problems", "read_key_servers"]

_CALLERS = "infra/mesh/callers"
_GOOGLE_APIS = ".googleapis.com"
_HTTPS = "https://"
_TLS_PORT = 443
_WIDEST = 24


@dataclass(frozen=True)
class KeyServer:
    """Where one caller's keys are fetched.

    Attributes:
        caller: The caller's file, as a path from the project's top directory.
        host: The host of its jwksUri, in lower case.
        port: The port of its jwksUri.
    """

    caller: str
    host: str
    port: int

    @property
    def is_google(self) -> bool:
        """Whether it is one of Google's APIs, whose addresses answer on 443 alone."""
        return self.host.endswith(_GOOGLE_APIS) and self.port == _TLS_PORT


def read_key_servers(root: Path, contract: Mapping[str, str]) -> list[KeyServer]:
    """Read where callers' keys are fetched, in the order of the callers' names.

    Files that are wrong in another way are left out: `meshgen.ingress` reports them, and then nothing is written.

    Args:
        root: The project's top directory.
        contract: The values of `infra/contract.env`.

    Raises:
        DescriptionError: A jwksUri names no host.
    """
    servers, problems = [], []
    for caller in read_loosely(sorted((root / _CALLERS).glob("*.yaml"))):
        if not (address := _jwks_uri(caller, contract)):
            continue
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host:
            servers.append(KeyServer(f"{_CALLERS}/{caller.file.name}", host, port or _TLS_PORT))
        else:
            problem = f"keys.jwksUri: {address} is no address of a server; write https://HOST/PATH."
            problems.append(caller.problem(problem, "keys", "jwksUri"))
    if problems:
        raise DescriptionError(problems)
    return servers


def key_server_problems(environment: Description, servers: Iterable[KeyServer]) -> Iterator[str]:
    """Yield where an environment names no range for a caller's keys, one that no caller needs, or too wide a one.

    Args:
        environment: Its description, which its schema allows.
        servers: Where callers' keys are fetched.
    """
    control_plane = environment.value["controlPlane"]
    if control_plane["mode"] == "managed":
        return
    elsewhere: dict[str, KeyServer] = {}
    for server in servers:
        if not server.is_google:
            elsewhere.setdefault(server.host, server)
    ranges = control_plane.get("jwksRanges", {})
    for host, server in elsewhere.items():
        if host not in ranges:
            problem = (
                f"controlPlane: istiod cannot fetch the keys of {server.caller} from {host}:{server.port}. "
                f"Name the addresses of that host, as jwksRanges: {{{host}: [RANGE]}}, or write jwks in the "
                "caller's file."
            )
            yield environment.problem(problem, "controlPlane")
    for host, texts in ranges.items():
        place = ("controlPlane", "jwksRanges", host)
        if host not in elsewhere:
            problem = f"no caller's keys need a range for {host} (googleApis opens Google's APIs); remove it."
            yield environment.problem(f"{'.'.join(place)}: {problem}", *place)
        for number, text in enumerate(texts):
            if problem := range_problem(text, _WIDEST, "the addresses of this host"):
                yield environment.problem(f"{'.'.join(place)}.{number}: {problem}", *place, number)


def _jwks_uri(caller: Description, contract: Mapping[str, str]) -> str:
    """Return a caller's jwksUri with values in place of references; empty without one."""
    keys = caller.value.get("keys")
    address = keys.get("jwksUri") if isinstance(keys, dict) else None
    if not isinstance(address, str):
        return ""
    address = REFERENCE.sub(lambda match: contract.get(match[1], match[0]), address)
    return address if address.startswith(_HTTPS) else ""
