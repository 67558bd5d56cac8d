"""Teams as they are described: typed, and checked one by one and against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from meshgen.egress.hosts import host_problem
from meshgen.egress.paths import path_problem
from meshgen.sources import DescriptionError, is_reserved, read_descriptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from meshgen.sources import Description

__all__ = ["Access", "Requests", "Team", "read_teams"]

TlsMode = Literal["originate", "passthrough"]

APPLICATION_PORT = 80
"""Where applications send plain HTTP that the gateway originates TLS for."""

_DEFAULT_PORT = 443
# Istio's own ports in a pod: the sidecar never treats them as traffic of the application.
_ISTIO_PORTS = range(15000, 15091)
# What stands beside a team's files in generated directories.
_TAKEN_NAMES = ("administrators", "kustomization")


@dataclass(frozen=True)
class Requests:
    """Requests that are allowed: any of the methods on any of the paths.

    Attributes:
        methods: HTTP methods.
        paths: Path patterns as an AuthorizationPolicy takes them.
    """

    methods: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Access:
    """One host that a team may reach.

    Attributes:
        host: Its DNS name.
        tls: Who speaks TLS to it: the gateway (`originate`) or the application (`passthrough`).
        port: Its TLS port.
        service_accounts: Who of the namespace may reach it; empty for all.
        requests: Which requests; empty with `passthrough`.
    """

    host: str
    tls: TlsMode
    port: int
    service_accounts: tuple[str, ...]
    requests: tuple[Requests, ...]

    @property
    def application_port(self) -> int:
        """The port that applications connect to."""
        return APPLICATION_PORT if self.tls == "originate" else self.port


@dataclass(frozen=True)
class Team:
    """What a team may reach.

    Attributes:
        name: The name of its file.
        namespace: Its namespace.
        google_apis: Whether it reaches Google's APIs and the metadata server.
        hosts: Hosts that it reaches through the gateway.
    """

    name: str
    namespace: str
    google_apis: bool
    hosts: tuple[Access, ...]

    def access(self, host: str) -> Access | None:
        """Return its access to a host."""
        return next((access for access in self.hosts if access.host == host), None)


def read_teams(files: Sequence[Path], schema: Path) -> list[Team]:
    """Read the teams of a mesh.

    Args:
        files: Their descriptions.
        schema: The JSON schema of a description.

    Raises:
        DescriptionError: With all problems of all descriptions.
    """
    descriptions = read_descriptions(files, schema)
    problems = [problem for found in descriptions for problem in _problems(found)]
    problems += _disagreements(descriptions)
    if problems:
        raise DescriptionError(problems)
    return [_team(description) for description in descriptions]


def _team(description: Description) -> Team:
    value = description.value
    return Team(
        name=description.name,
        namespace=value["namespace"],
        google_apis=value.get("googleApis", False),
        hosts=tuple(_access(entry) for entry in value["hosts"]),
    )


def _access(entry: dict[str, Any]) -> Access:
    return Access(
        host=entry["host"],
        tls=entry["tls"],
        port=entry.get("port", _DEFAULT_PORT),
        service_accounts=tuple(entry.get("serviceAccounts", ())),
        requests=tuple(
            Requests(tuple(allowed["methods"]), tuple(allowed["paths"])) for allowed in entry.get("allow", ())
        ),
    )


def _problems(description: Description) -> Iterator[str]:
    """Yield what is wrong with one team."""
    namespace = description.value["namespace"]
    if is_reserved(namespace):
        yield description.problem(f"namespace: {namespace} is no team's namespace.", "namespace")
    if namespace in _TAKEN_NAMES:
        yield description.problem(
            f"namespace: {namespace} is the name of another generated file; take another.", "namespace"
        )
    seen: dict[str, int] = {}
    for index, entry in enumerate(description.value["hosts"]):
        yield from _host_problems(description, index, entry)
        first = seen.setdefault(entry["host"], index)
        if first != index:
            other = description.value["hosts"][first]
            both = " with both modes of tls" if other["tls"] != entry["tls"] else ""
            text = f"{entry['host']} stands here twice{both} (first as hosts.{first}): write it once."
            yield description.problem(f"hosts.{index}.host: {text}", "hosts", index, "host")


def _host_problems(description: Description, index: int, entry: dict[str, Any]) -> Iterator[str]:
    def problem(text: str, *keys: str | int) -> str:
        place = ".".join(map(str, ("hosts", index, *keys)))
        return description.problem(f"{place}: {text}", "hosts", index, *keys)

    if wrong := host_problem(entry["host"]):
        yield problem(wrong, "host")
    port = entry.get("port", _DEFAULT_PORT)
    if port == APPLICATION_PORT:
        yield problem("port 80 is plain HTTP, and nothing leaves the mesh in plaintext.", "port")
    if port in _ISTIO_PORTS:
        yield problem(f"port {port} is one of Istio's own (15000 to 15090).", "port")
    if entry["tls"] == "passthrough" and "allow" in entry:
        yield problem(
            "the gateway does not read what passes through, so it cannot check requests; remove it.", "allow"
        )
    if entry["tls"] == "originate" and "allow" not in entry:
        yield problem("tls: originate needs `allow`: which methods and paths.", "tls")
    for number, allowed in enumerate(entry.get("allow", ())):
        for position, path in enumerate(allowed["paths"]):
            if wrong := path_problem(path):
                yield problem(wrong, "allow", number, "paths", position)


def _disagreements(descriptions: Sequence[Description]) -> Iterator[str]:
    """Yield where two teams cannot both be right."""
    namespaces: dict[str, Description] = {}
    hosts: dict[str, tuple[Description, int]] = {}
    inside = {description.value["namespace"] for description in descriptions}
    for description in descriptions:
        namespace = description.value["namespace"]
        first = namespaces.setdefault(namespace, description)
        if first is not description:
            text = f"namespace: {namespace} is described in {first.file} already."
            yield description.problem(text, "namespace")
        for index, entry in enumerate(description.value["hosts"]):
            if entry["host"].rpartition(".")[2] in inside:
                text = f"{entry['host']} is the name of a service in a team's namespace, not a host on the internet."
                yield description.problem(f"hosts.{index}.host: {text}", "hosts", index, "host")
            other, number = hosts.setdefault(entry["host"], (description, index))
            if other is not description:
                yield from _host_disagreements(description, index, other, other.value["hosts"][number])


def _host_disagreements(
    description: Description, index: int, other: Description, entry: dict[str, Any]
) -> Iterator[str]:
    """Yield in what a host differs between two teams: the gateway has one way to each host."""
    mine = description.value["hosts"][index]
    for key, default in (("tls", None), ("port", _DEFAULT_PORT)):
        here, there = mine.get(key, default), entry.get(key, default)
        if here != there:
            text = f"{key} of {mine['host']} is {here} here and {there} in {other.file}; it has one for all teams."
            yield description.problem(f"hosts.{index}.{key}: {text}", "hosts", index, key)
