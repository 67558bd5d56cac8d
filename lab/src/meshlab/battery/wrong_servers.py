"""Servers outside that show a wrong certificate: whether proxies check it is seen at them alone.

Each is a battery of its own, because a host has one certificate in a run.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from meshlab.battery.battery import Battery
from meshlab.battery.limits import WRONG_CERTIFICATES
from meshlab.bench.authorities import INTERNET
from meshlab.bench.case import AppSpec, Certificate
from meshlab.bench.planning.destination import destination_of
from meshlab.errors import LabError
from meshlab.istio import Placement
from meshlab.istio.read.hosts import is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.battery.battery import Question
    from meshlab.istio import Mesh

__all__ = ["impostors", "not_covered_with_impostors"]

_CHECKED = ("SIMPLE", "MUTUAL")
_MOST_FOR_A_PORT = 4
_OTHER_NAME = "impostor.example"
_STRANGER = "of an authority that no client trusts"
_MISNAMED = "for another name"


def impostors(meshes: Sequence[Mesh], battery: Battery) -> tuple[Battery, ...]:
    """Return two batteries for the hosts that proxies speak TLS to: with another authority, and with another name.

    Args:
        meshes: The meshes of the battery.
        battery: Its requests to these hosts are sent again, a few to each of their ports. Only one that a server
            answers shows anything. Its last authority is one that no client trusts.
    """
    hosts = {host for mesh in meshes for host in _checked_hosts(mesh)}
    asked: dict[object, dict[object, Question]] = {}
    for question in battery.questions:
        if not any(is_subset(question.target, host) for host in hosts):
            continue
        # Clients of one port may speak TLS themselves, and on another one the proxy does it for them.
        found = asked.setdefault((question.target, _port(question)), {})
        if len(found) < _MOST_FOR_A_PORT:
            found.setdefault(question.case.sender, question)
    questions = [question for found in asked.values() for question in found.values()]
    names = {name for question in questions for name in (question.target, *question.answerers)}
    known = tuple(sorted(names.intersection(*(_names(mesh) for mesh in meshes))))
    if not known or not battery.setup.authorities:
        return ()
    shown = {
        _STRANGER: Certificate(battery.setup.authorities[-1], dns=known),
        _MISNAMED: Certificate(INTERNET, dns=(_OTHER_NAME,)),
    }
    return tuple(
        Battery(
            tuple(_at_impostor(question, words) for question in questions),
            replace(battery.setup, apps=tuple(AppSpec(name, certificate=certificate) for name in known)),
        )
        for words, certificate in shown.items()
    )


def not_covered_with_impostors(battery: Battery) -> tuple[str, ...]:
    """Return what neither a battery nor its impostors ask, one sentence each."""
    asked = WRONG_CERTIFICATES.casefold()
    return tuple(sentence for sentence in battery.not_covered if asked not in sentence.casefold())


def _at_impostor(question: Question, words: str) -> Question:
    """Return a question that says which certificate the server shows, so that it is not taken for the usual one."""
    where = f"at a server with a certificate {words}"
    case = replace(question.case, name=f"{question.case.name}, {where}")
    return replace(question, case=case, request_class=f"{question.request_class}, {where}")


def _port(question: Question) -> object:
    """Return the port that is asked for, and whether with TLS; `None` where the request does not say it."""
    try:
        to = destination_of(question.case.request)
    except LabError:
        return None
    return to.port, to.tls


def _checked_hosts(mesh: Mesh) -> Iterator[str]:
    """Yield the hosts that a DestinationRule has TLS for."""
    for rule in mesh.destination_rules:
        for policy in (rule.policy, *(subset.policy for subset in rule.subsets)):
            levels = (policy, *policy.ports.values()) if policy is not None else ()
            if any(level.tls is not None and level.tls.mode in _CHECKED for level in levels):
                yield rule.host


def _names(mesh: Mesh) -> set[str]:
    """Return the names that a server of a run can be put behind."""
    ports = count(1)
    return {host for host, _ in Placement.plan(mesh, lambda: next(ports)).external}
