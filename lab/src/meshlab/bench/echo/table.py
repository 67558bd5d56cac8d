"""Table of the echo server: which port answers for which application, and how."""

from __future__ import annotations

import json
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Any

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshlab.bench.case import AuthorizerRule

__all__ = ["EchoPort", "EchoTable", "ServerCertificate", "StaticResponse"]


@dataclass(frozen=True)
class StaticResponse:
    """A response that does not depend on the request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True)
class ServerCertificate:
    """A certificate that does not follow the name asked for.

    Attributes:
        authority: Directory with `ca.pem` and `ca-key.pem` of the authority that signs it.
        uris: Its URI names.
        dns: Its DNS names. Without any name it gets the one asked for.
    """

    authority: str
    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()


@dataclass(frozen=True)
class EchoPort:
    """One port of the echo server.

    Attributes:
        port: Where it listens on 127.0.0.1.
        app: `NAMESPACE/NAME` of the workload or the name of the external host; empty where the port serves every
            external host, whose name is then the one that the client asked for.
        version: The workload's version label.
        response: A static response; `None` for the echo.
        rules: The script of an external authorizer; `None` for an application.
        certificate: What it shows to TLS clients; `None` for a certificate with the name asked for.
        hosts: Static responses of single hosts, or of all hosts of a wildcard, on a port that serves many.
    """

    port: int
    app: str
    version: str = ""
    response: StaticResponse | None = None
    rules: tuple[AuthorizerRule, ...] | None = None
    certificate: ServerCertificate | None = None
    hosts: Mapping[str, StaticResponse] = field(default_factory=dict)

    def response_for(self, host: str) -> StaticResponse | None:
        """Return the static response to a request for a host; `None` for the echo. A name goes before a wildcard."""
        name = host.lower().rpartition(":")[0] or host.lower()
        if name in self.hosts:
            return self.hosts[name]
        wild = [each for each in self.hosts if each.startswith("*") and name.endswith(each[1:])]
        return self.hosts[max(wild, key=len)] if wild else self.response


@dataclass(frozen=True)
class EchoTable:
    """Everything that the echo server is started with.

    Attributes:
        ports: Its ports.
        record: File that gets one JSON line per request or TCP connection.
        authority: Directory with `ca.pem` and `ca-key.pem`, which sign a server certificate for each name that a
            client asks for.
        trusted: PEM file with the authorities whose client certificates are taken.
    """

    ports: tuple[EchoPort, ...]
    record: str
    authority: str
    trusted: str

    def write(self, path: Path) -> None:
        """Write the table as JSON."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> EchoTable:
        """Read what `write` wrote."""
        document = json.loads(path.read_text())
        ports = tuple(_port(entry) for entry in document.pop("ports"))
        return cls(ports, **document)


def _port(entry: dict[str, Any]) -> EchoPort:
    response, rules, shown = entry.pop("response"), entry.pop("rules"), entry.pop("certificate")
    hosts = {host: StaticResponse(**each) for host, each in entry.pop("hosts").items()}
    return EchoPort(
        **entry,
        hosts=hosts,
        response=None if response is None else StaticResponse(**response),
        rules=None if rules is None else _rules(rules),
        certificate=None if shown is None else _certificate(**shown),
    )


def _rules(entries: list[dict[str, Any]]) -> tuple[AuthorizerRule, ...]:
    # A third of the start of a server, and most servers have none.
    from meshlab.bench.case import AuthorizerRule

    return tuple(AuthorizerRule(**rule) for rule in entries)


def _certificate(authority: str, uris: list[str], dns: list[str]) -> ServerCertificate:
    return ServerCertificate(authority, tuple(uris), tuple(dns))
