"""Mutants of an object: each condition removed, and each made wider. Pure; nothing is started."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from meshlab.mutate.edits import REMOVED, edited, fits
from meshlab.mutate.operators import OPERATORS
from meshlab.mutate.written import at
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.manifest import Manifest
    from meshlab.mutate.edits import Body, Change, Edit

__all__ = ["Mutant", "mutants_of"]


@dataclass(frozen=True)
class Mutant:
    """One object with one change.

    Attributes:
        manifest: The object as it is written.
        made: The change.
    """

    manifest: Manifest
    made: Change

    def __str__(self) -> str:
        """Return `KIND NAMESPACE/NAME: FIELD: CHANGE`."""
        return f"{self.kind} {self.namespace}/{self.name}: {self.path}: {self.change}"

    @property
    def kind(self) -> str:
        """The kind of the object."""
        return self.manifest.kind

    @property
    def namespace(self) -> str:
        """The namespace of the object."""
        return self.manifest.namespace

    @property
    def name(self) -> str:
        """The name of the object."""
        return self.manifest.name

    @cached_property
    def path(self) -> str:
        """The field, such as `spec.rules.0.from.0.source.principals`; `the object` for the whole of it."""
        return ".".join(map(str, self.made.path)) or "the object"

    @property
    def field(self) -> str:
        """The field as a person writes it, such as `spec.rules[0].from[0].source.principals`."""
        return (
            "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.made.path).lstrip(".")
            or self.path
        )

    @property
    def change(self) -> str:
        """What was done to the field."""
        return self.made.words

    @property
    def weakens(self) -> bool:
        """Whether it may let in what was refused, or leave out a protection."""
        return self.made.weakens

    @property
    def line(self) -> int:
        """The line of the field in the object's file; 0 where it is not known."""
        return self.manifest.line_of(self.made.path)

    @property
    def body(self) -> Body | None:
        """The object with the change; `None` where it is gone."""
        return None if self.made.edits is None else edited(self.manifest.body, self.made.edits)

    @property
    def changed(self) -> Manifest | None:
        """The manifest with the change; `None` where it is gone."""
        body = self.body
        return None if body is None else replace(self.manifest, body=body)


def mutants_of(manifest: Manifest) -> Iterator[Mutant]:
    """Yield the mutants of an object; none for a kind that decides no request."""
    operator = OPERATORS.get((manifest.group, manifest.kind))
    if operator is None:
        return
    for made in operator(dict(manifest.body)):
        if made.edits is None or _counts(manifest.body, made.edits):
            yield Mutant(manifest, made)


def _counts(body: object, edits: tuple[Edit, ...]) -> bool:
    """Return whether edits can be made, and make a difference."""
    fit = all(fits(body, edit) for edit in edits)
    return fit and any(edit.value is REMOVED or at(body, *edit.path) != edit.value for edit in edits)
