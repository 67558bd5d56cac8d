"""State that the readers of one case file share: named callers and tokens, problems, names of the mesh."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from meshlab.bench.case import Mention
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor, Problems
from meshlab.bench.case_file.problems import near_miss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Context", "Fields", "Lost", "lookup", "mapping", "use"]

Fields = dict[str, Cursor]
"""The words of a mapping, each with its place; words that were inherited keep the place where they stand."""

Lost = Callable[[Fields, Fields], Collection[str]]
"""From inherited and own words: the inherited ones that lose their meaning, because an own word chooses otherwise."""


def _keep_all(_inherited: Fields, _own: Fields) -> tuple[()]:
    return ()


@dataclass
class Context:
    """The state of reading one file.

    Attributes:
        problems: What is wrong so far.
        callers: The file's named callers, as written.
        tokens: The file's named tokens, as written.
        authorities: The names of certificate authorities that may be used.
        mentions: Names that must exist in the mesh.
    """

    problems: Problems = field(default_factory=Problems)
    callers: Mapping[str, Cursor] = field(default_factory=dict)
    tokens: Mapping[str, Cursor] = field(default_factory=dict)
    authorities: frozenset[str] = frozenset(format_words.AUTHORITIES)
    mentions: dict[Mention, None] = field(default_factory=dict)

    def mention(self, kind: str, name: str, where: Cursor) -> None:
        """Note that a name must exist in the mesh."""
        match kind:
            case (
                "gateway" | "workload" | "proxy" | "app" | "answerer" | "issuer" | "authority" | "authorizer"
            ):
                self.mentions[Mention(kind, name, where.place)] = None
            case _:
                raise ValueError(kind)


def use(
    context: Context,
    where: Cursor,
    named: Mapping[str, Cursor],
    known: Sequence[str],
    what: str,
    lost: Lost = _keep_all,
    above: tuple[str, ...] = (),
) -> Fields:
    """Return the words of a caller or token, those of the named one that it uses included.

    A word that stands in the mapping itself replaces the inherited one; claims are joined claim by claim.

    Args:
        context: The state of reading.
        where: The mapping.
        named: The callers or tokens that the file names.
        known: The words that the mapping may hold.
        what: `caller` or `token`.
        lost: Says which inherited words do not go with the own ones.
        above: The names that led here.

    Raises:
        ReadError: It is no mapping, or uses what is not there.
    """
    own = where.fields(context.problems, known, f"a {what}")
    base_at = own.pop("use", None)
    if base_at is None:
        return own
    base = base_at.word()
    if base in above:
        raise base_at.error(f"{' uses '.join((*above, base))}: a {what} cannot use itself", "meaning")
    inherited = use(context, lookup(base_at, named, what), named, known, what, lost, (*above, base))
    dropped = lost(inherited, own)
    inherited = {word: value for word, value in inherited.items() if word not in dropped}
    joined = {**inherited, **own}
    if "claims" in inherited and "claims" in own:
        joined["claims"] = _join(inherited["claims"], own["claims"])
    return joined


def lookup(where: Cursor, named: Mapping[str, Cursor], what: str) -> Cursor:
    """Return the caller or token of the name that stands there.

    Raises:
        ReadError: The file declares none of that name.
    """
    name = where.word()
    if name not in named:
        hint = near_miss(name, named) or f"; declare it under `{what}s:`"
        raise where.error(f"no {what} is named {name!r}{hint}", "meaning")
    return mapping(named[name])


def mapping(where: Cursor) -> Cursor:
    """Return the place itself, which must hold a mapping: a name does not stand for another name.

    Raises:
        ReadError: It holds something else.
    """
    where.entries()
    return where


def _join(base: Cursor, own: Cursor) -> Cursor:
    if not isinstance(base.node, yaml.MappingNode) or not isinstance(own.node, yaml.MappingNode):
        return own
    replaced = {key.value for key, _ in own.node.value}
    kept = [(key, value) for key, value in base.node.value if key.value not in replaced]
    node = yaml.MappingNode(own.node.tag, [*kept, *own.node.value], own.node.start_mark, own.node.end_mark)
    return Cursor(node, own.file, own.path)
