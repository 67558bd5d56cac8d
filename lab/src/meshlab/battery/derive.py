"""Derivation of a battery from meshes: the requests that distinguish everything that their manifests say.

Two requests are equivalent where every condition of every policy, route and server on their way treats them alike; one
of them is kept. Of the rest those are sent that decide about something: a request that satisfies each clause, and for
each of its conditions one that misses this condition alone (`choose`).
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from meshlab.battery.battery import Battery, Question
from meshlab.battery.chosen_requests import KnownChoices
from meshlab.battery.clients import declared_clients, with_declared
from meshlab.battery.limits import never_asked
from meshlab.battery.request_ways import Ways
from meshlab.bench.case import Case, CasePlace
from meshlab.bench.protocol import Setup
from meshlab.bench.run_secrets import client_authorities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.battery.chosen_requests import Chosen
    from meshlab.battery.entrances import Entrance
    from meshlab.istio import Mesh
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["LIMIT", "derive"]

LIMIT = 5000
"""How many requests a battery has at most, unless asked otherwise."""

_FILE = "battery"


def derive(
    meshes: Sequence[Mesh],
    *,
    limit: int = LIMIT,
    known: KnownChoices | None = None,
    addresses: Mapping[WorkloadRef, str] = MappingProxyType({}),
) -> Battery:
    """Return the requests that ask for everything that meshes mention.

    The same meshes give the same battery in the same order. Of two meshes, such as one before and one after a change,
    the words of both are asked for at each entrance of either.

    Args:
        meshes: The meshes.
        limit: How many requests there are at most. What is cut is named in `not_covered`.
        known: What was chosen for other meshes that differ little from these.
        addresses: IP addresses of pods that the manifests do not state.
    """
    known = known or KnownChoices()
    if not meshes:
        return Battery()
    declared = declared_clients(meshes)
    meshes = [
        replace(with_declared(mesh, declared), stated_addresses={**mesh.stated_addresses, **addresses})
        for mesh in meshes
    ]
    stranger = _stranger(meshes)
    unread: dict[str, None] = dict.fromkeys(sentence for mesh in meshes for sentence in never_asked(mesh))
    bases: list[tuple[Entrance, Chosen]] = []
    misses: list[tuple[Entrance, Chosen]] = []
    for entrance, way in Ways(meshes, stranger, unread).all():
        for found in known.of(way):
            (bases if found.base else misses).append((entrance, found))
    kept = [*bases, *misses][:limit]
    if len(bases) + len(misses) > limit:
        unread[f"{len(bases) + len(misses) - limit} more requests, beyond the limit of {limit}"] = None
    questions = tuple(_questions(kept))
    setup = Setup(workloads=declared, authorities=(stranger,), addresses=dict(addresses))
    return Battery(questions, setup, tuple(_sentence(each) for each in unread))


def _questions(kept: Sequence[tuple[Entrance, Chosen]]) -> Iterator[Question]:
    names: set[str] = set()
    sent: set[str] = set()
    for entrance, found in kept:
        what = entrance.sender(found.values), entrance.request(found.values), entrance.tokens(found.values)
        if repr(what) in sent:
            continue
        sent.add(repr(what))
        caller, asked = entrance.caller(found.values), entrance.request_class(found.values)
        where = f" to {entrance.ref}" if entrance.kind == "pod" else ""
        name = _unique(f"{caller}{where}: {asked}", names)
        case = Case(
            name,
            what[0],
            what[1],
            None,
            CasePlace(_FILE, len(names)),
            what[2],
        )
        yield Question(case, caller, found.target, asked, alike=entrance.alike, answerers=found.answerers)


def _unique(name: str, names: set[str]) -> str:
    found, number = name, 2
    while found in names:
        found, number = f"{name} ({number})", number + 1
    names.add(found)
    return found


def _stranger(meshes: Sequence[Mesh]) -> str:
    known = {name for mesh in meshes for name in client_authorities(mesh)}
    name = "stranger"
    while name in known:
        name += "-ca"
    return name


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
