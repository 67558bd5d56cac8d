"""The two inputs of a comparison: files, directories, kustomizations, standard input, or git revisions of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.bench.settings_file import read_settings_file
from meshlab.diff.compared_input import NOTHING, ComparedInput, InputPlace
from meshlab.diff.revision import read_revision
from meshlab.errors import LabError
from meshlab.inputs import read_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

__all__ = ["places", "read_both"]

_RANGE = re.compile(r"(?P<old>[^:]*?)(?P<dots>\.{2,3})(?P<new>[^:]*)")
_HEAD = "HEAD"


def places(old: str, new: str) -> tuple[InputPlace, InputPlace]:
    """Return where two inputs are, as the arguments of the command say.

    `REVISION.. PATH`, `OLD..NEW PATH` and `OLD...NEW PATH` name one path at two revisions, as for `git diff`; without a
    second revision the new one is the working tree, and with three dots the old one is where the two parted.
    `REVISION:PATH` names a path from the root of the repository. What exists as a path is one.

    Args:
        old: The first argument.
        new: The second.

    Raises:
        LabError: A revision is empty or begins with `-`.
    """
    if not Path(old).exists() and (found := _range(old)):
        first, dots, second = found
        to = InputPlace(new, second) if second else InputPlace(new, may_lack=True)
        if dots == "...":
            return InputPlace(new, first, base_of=second or _HEAD), to
        return InputPlace(new, first), to
    return _place(old), _place(new)


def read_both(
    old: InputPlace,
    new: InputPlace,
    *,
    namespace: str = "default",
    mesh_config: Path | None = None,
    stdin: TextIO | None = None,
) -> tuple[ComparedInput, ComparedInput]:
    """Read both inputs.

    Args:
        old: Where the first is.
        new: Where the second is.
        namespace: The namespace of objects that name none and need one.
        mesh_config: A file with a MeshConfig. Beside a revision it is read at that revision, if the repository has it.
        stdin: Standard input.

    Raises:
        LabError: An input cannot be read, or neither side has one.
        ManifestError: A kustomization cannot be built, or the MeshConfig's file holds what is not known.
    """
    if old.path == new.path == "-":
        raise LabError("standard input can be one of the two inputs, not both")
    read = [_read(place, namespace, mesh_config, stdin) for place in (old, new)]
    if all(given.lacks_path for given in read):
        raise LabError(_missing_on_both_sides(old, new, read))
    if not any(given.inputs.manifests or given.inputs.unreadable for given in read):
        raise LabError(f"{old} and {new}: neither holds a Kubernetes object")
    return read[0], read[1]


def _missing_on_both_sides(old: InputPlace, new: InputPlace, read: Sequence[ComparedInput]) -> str:
    """Return what to say where neither side has its path."""
    if old.from_root or new.from_root:
        missing = f"{read[0].name} and {read[1].name}: neither is there"
    else:
        sides = [_side(place, given) for place, given in zip((old, new), read, strict=True)]
        missing = f"{new.path}: neither {sides[0]} nor {sides[1]} has this path"
    return (
        f"{missing}. Check its spelling: REVISION:PATH counts from the root of the repository, "
        "any other path from the current directory"
    )


def _side(place: InputPlace, given: ComparedInput) -> str:
    return given.name.partition(":")[0] if place.revision else "the working tree"


def _range(text: str) -> tuple[str, str, str] | None:
    found = _RANGE.fullmatch(text)
    # `../x`, `./x` and `x/..` are paths: no revision begins with a dot or a slash, or ends with a slash.
    if (
        found is None
        or found["new"].startswith("/")
        or found["old"].startswith((".", "/"))
        or found["old"].endswith("/")
    ):
        return None
    for revision in (found["old"], found["new"]):
        _refuse_option(revision)
    return found["old"] or _HEAD, found["dots"], found["new"]


def _place(text: str) -> InputPlace:
    revision, colon, path = text.partition(":")
    if text == "-" or not colon or Path(text).exists():
        return InputPlace(text)
    _refuse_option(revision)
    if not revision:
        raise LabError(f"{text}: write a revision before the colon, such as HEAD{text}")
    if path.startswith("./"):
        return InputPlace(path, revision)
    return InputPlace(path or ".", revision, from_root=True)


def _refuse_option(revision: str) -> None:
    if revision.startswith("-"):
        raise LabError(f"{revision!r} is no revision: the name of a revision does not begin with -")


def _read(place: InputPlace, namespace: str, mesh_config: Path | None, stdin: TextIO | None) -> ComparedInput:
    if place.revision:
        return read_revision(place, namespace=namespace, mesh_config=mesh_config)
    settings = read_settings_file(mesh_config) if mesh_config else None
    if place.may_lack and not Path(place.path).exists():
        return ComparedInput(
            place.path,
            NOTHING,
            settings,
            (f"{place.path} is not there any more: that side is empty.",),
            lacks_path=True,
        )
    if place.path != "-" and not Path(place.path).exists():
        raise LabError(
            f"{place.path}: there is no such file or directory. "
            f"A git revision is written as `{place.path}..` before a path, or as `{place.path}:PATH`"
        )
    return ComparedInput(place.path, read_inputs([place.path], namespace=namespace, stdin=stdin), settings)
