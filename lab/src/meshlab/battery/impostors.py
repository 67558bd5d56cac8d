"""Servers outside that show a wrong certificate: whether proxies check it is seen at them alone.

Each is a battery of its own, because a host has one certificate in a run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.battery import Battery
from meshlab.bench.authorities import INTERNET
from meshlab.bench.case import AppSpec, Certificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.battery.battery import Question
    from meshlab.istio import Mesh

__all__ = ["impostors"]

_CHECKED = ("SIMPLE", "MUTUAL")
_MOST_FOR_A_HOST = 3
_OTHER_NAME = "impostor.example"


def impostors(meshes: Sequence[Mesh], battery: Battery) -> tuple[Battery, ...]:
    """Return two batteries for the hosts that proxies speak TLS to: with another authority, and with another name.

    Args:
        meshes: The meshes of the battery.
        battery: Its requests to these hosts are sent again. Its last authority is one that no client trusts.
    """
    hosts = {host for mesh in meshes for host in _checked_hosts(mesh)}
    asked: dict[str, list[Question]] = {}
    for question in battery.questions:
        if question.target in hosts and len(asked.setdefault(question.target, [])) < _MOST_FOR_A_HOST:
            asked[question.target].append(question)
    names = {name for found in asked.values() for each in found for name in (each.target, *each.answerers)}
    known = sorted(names.intersection(*(_names(mesh) for mesh in meshes)))
    if not known or not battery.setup.authorities:
        return ()
    questions = tuple(question for found in asked.values() for question in found)
    shown = (
        Certificate(battery.setup.authorities[-1], dns=tuple(known)),
        Certificate(INTERNET, dns=(_OTHER_NAME,)),
    )
    return tuple(
        Battery(
            questions,
            replace(battery.setup, apps=tuple(AppSpec(name, certificate=certificate) for name in known)),
        )
        for certificate in shown
    )


def _checked_hosts(mesh: Mesh) -> Iterator[str]:
    """Yield the hosts that a DestinationRule has TLS for."""
    for rule in mesh.destination_rules:
        for policy in (rule.policy, *(subset.policy for subset in rule.subsets)):
            levels = (policy, *policy.ports.values()) if policy is not None else ()
            if any(level.tls is not None and level.tls.mode in _CHECKED for level in levels):
                yield rule.host


def _names(mesh: Mesh) -> set[str]:
    """Return the names that a server of a run can be put behind."""
    found = {host for entry in mesh.service_entries for host in entry.hosts}
    return found | {
        each.address for entry in mesh.service_entries for each in entry.endpoints if each.address
    }
