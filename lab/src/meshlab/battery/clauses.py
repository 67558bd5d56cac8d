"""Conditions of policies and routes as atoms: each says of one value of one dimension whether it meets a condition."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.battery.patterns import Pattern
    from meshlab.battery.request_values import Value
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["Atom", "Clause", "Requirement", "Stage", "TokenDemand", "Way", "comparison"]


@dataclass(frozen=True)
class Atom:
    """One value of one condition, such as the path `/profile/{*}`.

    Attributes:
        dimension: What it looks at.
        name: Two atoms of one dimension with one name decide alike.
        holds: Whether a value meets it.
        pattern: The condition on a text, for those who look for texts that meet it.
        word: What is written in the manifest, for those who look for values.
        reads: Return the text of a value that the pattern decides about, `None` for a value of another kind. `holds`
            decides by this text alone. `None` where more than one text decides.
    """

    dimension: str
    name: str
    holds: Callable[[Value], bool] = field(compare=False, repr=False)
    pattern: Pattern | None = field(default=None, compare=False, repr=False)
    word: str = field(default="", compare=False, repr=False)
    reads: Callable[[Value], str | None] | None = field(default=None, compare=False, repr=False)


def comparison(
    dimension: str, name: str, reads: Callable[[Value], str | None], pattern: Pattern, word: str
) -> Atom:
    """Return the atom that compares a text of a value with a pattern.

    Args:
        dimension: What it looks at.
        name: The name of the atom.
        reads: Return the text of a value, `None` for a value of another kind. A function of a module, and not one that
            is made for each atom: texts are read once for all atoms that have the same one.
        pattern: The condition on the text.
        word: What is written in the manifest.
    """

    def holds(value: Value) -> bool:
        text = reads(value)
        return text is not None and pattern.meets(text)

    return Atom(dimension, name, holds, pattern, word, reads)


@dataclass(frozen=True)
class Requirement:
    """One of some atoms, and none of others.

    Attributes:
        dimension: What they look at.
        any_of: Of these one must hold, where there are any.
        none_of: None of these may hold.
    """

    dimension: str
    any_of: tuple[Atom, ...] = ()
    none_of: tuple[Atom, ...] = ()

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """All atoms."""
        return (*self.any_of, *self.none_of)

    def met_by(self, value: Value) -> bool:
        """Return whether a value meets it."""
        some = not self.any_of or any(atom.holds(value) for atom in self.any_of)
        return some and not any(atom.holds(value) for atom in self.none_of)


@dataclass(frozen=True)
class TokenDemand:
    """The token that a rule asks for, as written.

    Attributes:
        principals: Values of request principals.
        claims: The path of a claim to its values.
        audiences: Values of the audience.
        refused: The path of a claim to values that it must not have, where no value is asked for.
    """

    principals: tuple[str, ...] = ()
    claims: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    audiences: tuple[str, ...] = ()
    refused: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Clause:
    """A conjunction: one source and one operation of a rule with its conditions, or one match of a route.

    Attributes:
        name: What it is, such as `policy shop/cart, rule 0`.
        requirements: What must hold.
        token: The token that it asks for.
        open: Whether the proxy that connects here always is one that it takes.
        headers: For a route, the headers that it changes.
    """

    name: str
    requirements: tuple[Requirement, ...] = ()
    token: TokenDemand = field(default_factory=TokenDemand)
    open: bool = True
    headers: tuple[str, ...] = ()

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """All atoms."""
        return tuple(atom for requirement in self.requirements for atom in requirement.atoms)


@dataclass(frozen=True)
class Stage:
    """One proxy on a way.

    Attributes:
        name: Whose proxy it is, or the host outside.
        target: `NAMESPACE/NAME` of the workload, or the host.
        allow: The clauses of ALLOW rules; `None` where no ALLOW policy applies.
        deny: The clauses of DENY and CUSTOM rules.
        watched: What else distinguishes requests.
        routes: The routes in order, each with where it leads; `None` for an answer of the proxy itself.
        swept: Whether each condition of this proxy is missed once on this way.
        token_rules: The rules that verify tokens here.
        servers: For a host outside, the names of the servers behind it.
    """

    name: str
    target: str
    allow: tuple[Clause, ...] | None = None
    deny: tuple[Clause, ...] = ()
    watched: tuple[Atom, ...] = ()
    routes: tuple[tuple[Clause, Stage | None], ...] = ()
    swept: bool = True
    token_rules: tuple[JwtRule, ...] = ()
    servers: tuple[str, ...] = ()

    def walk(self) -> list[Stage]:
        """Return this stage and all behind it, each once."""
        found: list[Stage] = [self]
        for _, stage in self.routes:
            if stage is not None:
                found += [each for each in stage.walk() if not any(each is known for known in found)]
        return found

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """The clauses of this stage alone."""
        return (*(self.allow or ()), *self.deny, *(clause for clause, _ in self.routes))


def _nothing(_values: dict[str, Value]) -> str:
    return ""


@dataclass(frozen=True)
class Way:
    """An entrance to the mesh with everything behind it, in each of the meshes.

    Attributes:
        key: What it is; ways of several meshes with one key are one.
        stages: The first proxy, in each mesh that has it.
        values: Dimension to the values that are tried. The first one is the usual one.
        absorbed: Return why the first proxy refuses a request whatever else is in it; empty where it does not. It looks
            at the peer and the token alone, and equal ones decide alike.
    """

    key: str
    stages: tuple[Stage, ...]
    values: dict[str, tuple[Value, ...]]
    absorbed: Callable[[dict[str, Value]], str] = field(default=_nothing, repr=False)
