"""Check of a case file against the mesh that it will be run on: every name must exist there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.asked_ports import asked_ports
from meshlab.bench.case_file.format_words import AUTHORITIES
from meshlab.bench.case_file.problems import CaseFileError, CaseProblem, near_miss
from meshlab.bench.close_names import known_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import CaseFile, Mention
    from meshlab.bench.protocol import MeshNames

__all__ = ["check_against"]


def check_against(case_file: CaseFile, names: MeshNames) -> None:
    """Check that the mesh holds every workload, gateway and host that a case file names.

    An issuer may be foreign, but a token without one needs a mesh with exactly one issuer.

    Args:
        case_file: The case file.
        names: The names of the mesh.

    Raises:
        CaseFileError: A name is unknown, or a declared workload is one of the manifests'; holds every problem.
    """
    problems = [*_unknown(case_file, names), *_declared_twice(case_file, names)]
    if problems:
        raise CaseFileError(problems)


def _unknown(case_file: CaseFile, names: MeshNames) -> Iterator[CaseProblem]:
    declared = {str(ref): workload.proxy for ref, workload in case_file.workloads.items()}
    gateways = names.gateways | {name for name, proxy in declared.items() if proxy == "gateway"}
    workloads = names.workloads | (set(declared) - gateways)
    silent = {
        *names.without_ports,
        *(str(ref) for ref, workload in case_file.workloads.items() if not workload.ports),
    } - set(map(str, asked_ports(case_file.cases)))
    can_declare = not case_file.of_options
    for mention in case_file.mentions:
        match mention.kind:
            case "issuer":
                message = _issuer(mention, names)
            case "gateway":
                message = _gateway(mention, gateways, workloads)
            case "workload":
                # A gateway may send, too: requests that its own pod makes.
                message = _workload(mention, workloads | gateways, can_declare)
            case "proxy":
                message = _workload(mention, workloads | gateways, can_declare)
            case "app":
                message = _app(mention, workloads, names, silent)
            case "authorizer":
                message = _authorizer(mention, names.authorizers)
            case "authority":
                message = _authority(mention, names.authorities, case_file.authorities)
            case "answerer":
                # Unless the mesh forbids it, sidecars reach hosts that no ServiceEntry names.
                message = _workload(mention, workloads) if "/" in mention.name else ""
        if message:
            yield CaseProblem(mention.place, message, "mesh")


def _issuer(mention: Mention, names: MeshNames) -> str:
    if mention.name or len(names.issuers) == 1:
        return ""
    if not names.issuers:
        return "the token has no `issuer`, and the manifests have no RequestAuthentication; write `issuer`"
    return f"the token has no `issuer`, and the manifests have several: write one of {_list(names.issuers)}"


def _gateway(
    mention: Mention, gateways: frozenset[str] | set[str], workloads: frozenset[str] | set[str]
) -> str:
    if mention.name in gateways:
        return ""
    if mention.name in workloads:
        return f"{mention.name} is no gateway: no Gateway selects it{_known('gateway', gateways)}"
    return f"no gateway {mention.name}{near_miss(mention.name, gateways) or _known('gateway', gateways)}"


def _workload(mention: Mention, known: frozenset[str] | set[str], can_declare: bool = True) -> str:
    if mention.name in known:
        return ""
    if not can_declare:
        return f"no workload {mention.name}; {known_names(mention.name, known)}"
    hint = near_miss(mention.name, known) or f"{_known('workload', known)}."
    return f"no workload {mention.name}{hint} Declare a workload that the manifests lack under `workloads:`"


def _authority(mention: Mention, of_gateways: frozenset[str], declared: Sequence[str]) -> str:
    if mention.name in of_gateways:
        return ""
    known = of_gateways | {*AUTHORITIES, *declared}
    hint = near_miss(mention.name, known) or f"; there are {_list(known)}."
    return (
        f"no certificate authority is named {mention.name!r}{hint} Declare another one under `authorities:`"
    )


def _app(mention: Mention, workloads: frozenset[str] | set[str], names: MeshNames, silent: set[str]) -> str:
    if mention.name in names.aliases and mention.name not in workloads:
        target = names.aliases[mention.name]
        return (
            f"{mention.name} is an ExternalName Service, which stands for {target}; name what answers there"
        )
    if "/" in mention.name:
        if mention.name not in silent:
            return _workload(mention, workloads)
        missing = f"the workload {mention.name} lists no port, so no application answers there"
        return f"{missing}; list its ports, or write `port` in a case that goes straight to it"
    if _is_host(mention.name, names.hosts):
        return ""
    hint = near_miss(mention.name, names.hosts) or _known("external host", names.hosts)
    return f"no ServiceEntry has the host {mention.name}{hint}"


def _authorizer(mention: Mention, known: frozenset[str]) -> str:
    if mention.name in known:
        return ""
    hint = near_miss(mention.name, known) or _known("external authorizer", known)
    return f"no extension provider of the MeshConfig has an external authorizer named {mention.name!r}{hint}"


def _is_host(name: str, hosts: frozenset[str]) -> bool:
    return name in hosts or any(host.startswith("*.") and name.endswith(host[1:]) for host in hosts)


def _declared_twice(case_file: CaseFile, names: MeshNames) -> Iterator[CaseProblem]:
    for ref, place in case_file.declared_at.items():
        if str(ref) in names.workloads | names.gateways:
            yield CaseProblem(place, f"the manifests have the workload {ref}; remove it here", "mesh")


def _known(what: str, known: frozenset[str] | set[str]) -> str:
    return f"; the mesh has {_list(known)}" if known else f"; the mesh has no {what}"


_SHOWN = 8


def _list(names: frozenset[str] | set[str]) -> str:
    shown = sorted(names)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
