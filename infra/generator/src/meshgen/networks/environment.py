"""One environment: the network below the mesh, and who administers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meshgen.contract_file import contract_values
from meshgen.ingress.model import GATEWAY
from meshgen.namespaces import namespace_owners, service_namespaces, team_descriptions
from meshgen.networks.checks import environment_problems
from meshgen.networks.key_servers import key_server_problems, read_key_servers
from meshgen.sources import DescriptionError, read_descriptions, strange_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from meshgen.sources import Description

__all__ = ["ROOT_NAMESPACE", "Environment", "Team", "read_environments", "read_teams"]

ROOT_NAMESPACE = "istio-system"

_TLS_PORT = 443
"""The port of a host whose description names none."""

DnsMode = Literal["kube-dns", "node-local", "cloud-dns"]


@dataclass(frozen=True)
class Environment:
    """What differs between environments.

    Attributes:
        name: The description's name.
        source: Where it is described, as a path from the project's top directory.
        dns: Where pods send DNS queries.
        dns_service: The address of the kube-dns Service; empty where no policy needs it.
        data_plane: v2 (GKE Dataplane V2) or v1 (Calico).
        google_apis: Which of Google's ranges serves its APIs.
        certificates: Who signs the proxies' certificates.
        api_server: Ranges of the Kubernetes API server; empty where the control plane is managed.
        webhook_calls: How the API server reaches istiod's webhooks; empty where the control plane is managed.
        jwks_ranges: Ranges by host, where istiod fetches callers' keys that are not at Google's APIs.
        namespaces: Namespaces of the mesh beside the teams' and the egress gateway's.
        administrators: The group that administers the network.
        team_group: The group of a team's members, with `{namespace}` in it.
    """

    name: str
    source: str
    dns: DnsMode
    dns_service: str
    data_plane: Literal["v1", "v2"]
    google_apis: Literal["private", "restricted"]
    certificates: Literal["istiod", "google"]
    api_server: tuple[str, ...]
    webhook_calls: Literal["", "direct", "konnectivity"]
    jwks_ranges: Mapping[str, tuple[str, ...]]
    namespaces: tuple[str, ...]
    administrators: str
    team_group: str

    @property
    def managed(self) -> bool:
        """Whether the control plane runs outside of the cluster."""
        return not self.webhook_calls

    @property
    def proxies_need_google(self) -> bool:
        """Whether every proxy calls one of Google's APIs: for its configuration or its certificate."""
        return self.managed or self.certificates == "google"


@dataclass(frozen=True)
class Team:
    """What matters here of a team's file.

    Attributes:
        namespace: The team's namespace.
        google_apis: Whether its workloads call Google's APIs.
        ports: The TLS ports of its hosts, which the gateway connects to.
    """

    namespace: str
    google_apis: bool
    ports: frozenset[int]


def read_environments(root: Path) -> list[Environment]:
    """Read the environments below a project's top directory.

    Raises:
        DescriptionError: With all problems of all files.
        LabError: The contract cannot be read.
    """
    mesh = root / "infra/mesh"
    files = sorted((mesh / "environments").glob("*.yaml"))
    if not files:
        return []
    if strange := strange_files(mesh / "environments", "an environment"):
        raise DescriptionError(strange)
    descriptions = read_descriptions(files, mesh / "schema/environment.json")
    contract = contract_values(root)
    host, servers = contract.get("GOOGLE_APIS_HOST", ""), read_key_servers(root, contract)
    owners, teams = namespace_owners(root), [team.namespace for team in read_teams(root)]
    problems = [problem for found in descriptions for problem in environment_problems(found, teams, owners)]
    problems += [problem for found in descriptions for problem in key_server_problems(found, servers)]
    problems += [problem for found in descriptions if (problem := _other_google_apis(found, host))]
    if problems:
        raise DescriptionError(problems)
    further = (GATEWAY.namespace, *service_namespaces(root))
    return [_environment(found, found.file.relative_to(root).as_posix(), further) for found in descriptions]


def read_teams(root: Path) -> list[Team]:
    """Read the teams below a project's top directory, in the order of their namespaces.

    Files that are wrong are left out: `meshgen.egress` reports them, and then nothing is written.
    """
    found: dict[str, Team] = {}
    for description in team_descriptions(root):
        team = _team(description)
        if team.namespace:
            found.setdefault(team.namespace, team)
    return sorted(found.values(), key=lambda team: team.namespace)


def _team(description: Description) -> Team:
    """Return the fields that matter here; the schema of a team's file is checked where its hosts are read."""
    fields = description.value
    namespace, hosts = fields.get("namespace"), fields.get("hosts")
    found = [
        host.get("port", _TLS_PORT)
        for host in (hosts if isinstance(hosts, list) else ())
        if isinstance(host, dict)
    ]
    return Team(
        namespace if isinstance(namespace, str) else "",
        fields.get("googleApis") is True,
        frozenset(port for port in found if isinstance(port, int)),
    )


def _other_google_apis(description: Description, host: str) -> str:
    """Return what is wrong where NetworkPolicies would open one range of Google's APIs and sidecars use the other."""
    expected = f"{description.value['googleApis']}.googleapis.com"
    if host == expected:
        return ""
    return description.problem(
        f"googleApis: this means {expected}, and GOOGLE_APIS_HOST in infra/contract.env is {host or 'missing'}. "
        "NetworkPolicies and sidecars must use the same one: change either.",
        "googleApis",
    )


def _environment(description: Description, source: str, namespaces: Iterable[str]) -> Environment:
    value = description.value
    control_plane = value["controlPlane"]
    return Environment(
        name=description.name,
        source=source,
        dns=value["dns"]["mode"],
        dns_service=value["dns"].get("serviceAddress", ""),
        data_plane=value["dataPlane"],
        google_apis=value["googleApis"],
        certificates=control_plane.get("certificates", "google"),
        api_server=tuple(control_plane.get("apiServer", ())),
        webhook_calls=control_plane.get("webhookCalls", ""),
        jwks_ranges={host: tuple(found) for host, found in control_plane.get("jwksRanges", {}).items()},
        namespaces=(*namespaces, *value.get("namespaces", ())),
        administrators=value["administrators"],
        team_group=value["teamGroup"],
    )
