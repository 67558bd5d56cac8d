"""The values that are tried on a way, dimension by dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery import request_texts
from meshlab.battery.entrances import UNSENDABLE
from meshlab.battery.request_values import ADDRESS, CHANGED, METHOD, NAME, PATH, PEER, TOKEN, Name, Text
from meshlab.battery.tried_tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.battery.clauses import Atom, Stage
    from meshlab.battery.entrances import Entrance
    from meshlab.battery.request_values import Peer, Value
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["atoms_of", "usual_host", "values_of"]


def values_of(
    entrance: Entrance,
    atoms: Mapping[str, Sequence[Atom]],
    stages: Sequence[Stage],
    usual: str,
    peers: tuple[Peer, ...],
    unread: dict[str, None],
) -> dict[str, tuple[Value, ...]]:
    """Return the values that are tried at an entrance, by dimension; the first one of each is the usual one.

    Args:
        entrance: The entrance.
        atoms: The conditions on the way, by dimension.
        stages: The first proxy, in each mesh that has it.
        usual: The host of a request that asks for nothing else.
        peers: Who connects.
        unread: Receives what is not asked about.
    """
    every = [each for first in stages for each in first.walk()]
    others = entrance.kind != "client"
    values: dict[str, tuple[Value, ...]] = {PEER: peers}
    atoms = {
        dimension: _first(entrance, dimension, found, stages, unread) for dimension, found in atoms.items()
    }
    named = atoms.get(NAME, ())
    if entrance.speaks == "tcp":
        if entrance.tls or named:
            values[NAME] = request_texts.names(usual, named, entrance.port, sni=entrance.tls, others=others)
    else:
        rules: list[JwtRule] = []
        for stage in every:
            rules += [rule for rule in stage.token_rules if rule not in rules]
        values[TOKEN] = tokens((clause.token for stage in every for clause in stage.clauses), rules)
        # A client with mTLS of the mesh names a server, too; a sidecar does not look at it, a gateway does.
        sni = entrance.tls or (entrance.kind == "pod" and any(stage.routes for stage in every))
        values[NAME] = request_texts.names(usual, named, entrance.port, sni=sni, others=others)
        if entrance.kind == "client" and not any(
            atom.dimension == NAME
            for stage in every
            if stage.swept
            for clause in stage.clauses
            for atom in clause.atoms
        ):
            # What a Host of another name does is asked past the sidecar.
            values[NAME] = (Name(usual),)
        values[METHOD] = request_texts.methods(atoms.get(METHOD, ()))
        if any(atom.word.upper() == "CONNECT" for atom in atoms.get(METHOD, ())):
            unread["the method CONNECT"] = None
        values[PATH] = request_texts.paths(atoms.get(PATH, ()), _spelt(every, entrance))
        for dimension, found in atoms.items():
            kind, colon, name = dimension.partition(":")
            if not colon:
                continue
            if kind == "header" and name in UNSENDABLE:
                unread[f"the header {name}, which belongs to the connection"] = None
                continue
            values[dimension] = request_texts.texts(found, "websocket" if name == "upgrade" else "x")
        changed = dict.fromkeys(
            name
            for stage in every
            for clause, _ in stage.routes
            for name in clause.headers
            if name not in (*UNSENDABLE, "authorization", "upgrade")
        )
        if changed:
            values[CHANGED] = (Text(""), Text(",".join(sorted(changed))))
    if atoms.get(ADDRESS) and entrance.kind != "client":
        values[ADDRESS] = request_texts.addresses(atoms[ADDRESS])
    elif atoms.get(ADDRESS):
        unread[f"other addresses of the pod of {entrance.ref}"] = None
    return values


def atoms_of(stages: Sequence[Stage]) -> dict[str, list[Atom]]:
    """Return the conditions of some stages and of all behind them, by dimension, each once."""
    found: dict[str, dict[Atom, None]] = {}
    for stage in (each for first in stages for each in first.walk()):
        for clause in stage.clauses:
            for atom in clause.atoms:
                found.setdefault(atom.dimension, {})[atom] = None
        for atom in stage.watched:
            found.setdefault(atom.dimension, {})[atom] = None
    return {dimension: list(atoms) for dimension, atoms in found.items()}


def usual_host(atoms: Mapping[str, Sequence[Atom]]) -> str:
    """Return the first host that a condition names; empty for none."""
    for atom in atoms.get(NAME, ()):
        for member in atom.pattern.members("any") if atom.pattern is not None else ():
            if request_texts.is_host(member) and ":" not in member:
                return member
    return ""


def _first(
    entrance: Entrance,
    dimension: str,
    found: Sequence[Atom],
    stages: Sequence[Stage],
    unread: dict[str, None],
) -> Sequence[Atom]:
    """Return conditions; of very many, those that only one of the meshes has come first, and the cut is named."""
    if len(found) <= request_texts.MOST_NAMED:
        return found
    unread[f"{len(found) - request_texts.MOST_NAMED} more values of the {dimension} at {entrance.ref}"] = None
    shared = set.intersection(*(set(atoms_of([stage]).get(dimension, ())) for stage in stages))
    return sorted(found, key=lambda atom: atom in shared)


def _spelt(stages: Sequence[Stage], entrance: Entrance) -> list[Atom]:
    """Return the conditions on paths whose texts are sent in unusual spellings: of policies, else of routes."""
    if entrance.kind == "client":
        return []
    first = [clause for stage in stages if stage.swept for clause in (*(stage.allow or ()), *stage.deny)]
    routes = [clause for stage in stages if stage.swept for clause, _ in stage.routes]
    for clauses in (first, routes):
        found = {
            atom: None
            for clause in clauses
            for requirement in clause.requirements
            if requirement.dimension == PATH
            for atom in requirement.atoms
        }
        if found:
            return list(found)
    return []
