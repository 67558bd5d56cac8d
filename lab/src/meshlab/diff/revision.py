"""Manifests of a git revision, which messages name as `REVISION:path/file.yaml:line`."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from meshlab.bench.settings_file import read_settings_file
from meshlab.diff.checkout import write
from meshlab.diff.compared_input import NOTHING, ComparedInput
from meshlab.diff.repository import LINK, Repository
from meshlab.errors import LabError
from meshlab.inputs import KUSTOMIZATIONS, PassedOver, read_inputs
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.diff.checkout import Written
    from meshlab.diff.compared_input import InputPlace
    from meshlab.diff.repository import Entry
    from meshlab.inputs import Inputs
    from meshlab.istio import MeshSettings
    from meshlab.manifest import Manifest, Problem

__all__ = ["read_revision"]

_SHORT = 12
_SUFFIXES = (".yaml", ".yml", ".json")


def read_revision(
    place: InputPlace, *, namespace: str = "default", mesh_config: Path | None = None
) -> ComparedInput:
    """Read the manifests of a path at a revision.

    Args:
        place: The path and the revision.
        namespace: The namespace of objects that name none and need one.
        mesh_config: A file with a MeshConfig, which is read at the revision if it has it.

    Returns:
        What was read; no manifest where the revision does not have the path, and a note that says so.

    Raises:
        LabError: There is no git, no repository or no such revision; or the path cannot be read.
        ManifestError: A kustomization cannot be built, or the MeshConfig's file holds what is not known.
    """
    repository = Repository.of(Path() if place.from_root else _existing(Path(place.path)))
    path = _from_root(place, repository)
    revision = repository.merge_base(place.revision, place.base_of) if place.base_of else place.revision
    label = revision[:_SHORT] if place.base_of else revision
    entries = repository.entries(repository.tree(revision))
    config = _of_repository(mesh_config, repository) if mesh_config else ""
    with tempfile.TemporaryDirectory(prefix="meshlab-diff-") as name:
        directory = Path(name).resolve()
        written = write(repository, _needed(entries, path, config), directory)
        with _named(directory, label, written):
            settings = _settings(mesh_config, directory / config if config else None)
            target = directory / path
            if not target.exists():
                _refuse_left_out(path, written)
                note = f"{label} does not have {path}: that side is empty."
                return ComparedInput(f"{label}:{path}", NOTHING, settings, (note,), lacks_path=True)
            _refuse_left_out_below(path, target, written)
            inputs = read_inputs([str(target)], namespace=namespace)
            return ComparedInput(f"{label}:{path}", _relabelled(inputs, directory, label), settings)


def _existing(path: Path) -> Path:
    """Return the directory of a path that exists, or the nearest one above it."""
    found = Path(os.path.realpath(path if path.is_dir() else path.parent))
    while not found.is_dir():
        found = found.parent
    return found


def _from_root(place: InputPlace, repository: Repository) -> str:
    """Return a path as the repository names it."""
    if place.from_root:
        path = os.path.normpath(place.path)
    else:
        given = Path(place.path)
        # The last part may be a link, which the repository holds under its own name.
        absolute = (
            Path(os.path.realpath(given))
            if given.name in ("", "..")
            else Path(os.path.realpath(given.parent), given.name)
        )
        path = os.path.relpath(absolute, os.path.realpath(repository.root))
    if path.startswith(("/", "../")) or path == "..":
        raise LabError(f"{place.path}: lies outside of the repository {repository.root}")
    return path


def _of_repository(file: Path, repository: Repository) -> str:
    """Return the path of a file in the repository, empty where it is elsewhere."""
    path = os.path.relpath(os.path.realpath(file), os.path.realpath(repository.root))
    return "" if path.startswith("..") else path


def _needed(entries: Sequence[Entry], path: str, config: str) -> list[Entry]:
    """Return what has to be written so that a path can be read: all of it where a kustomization may refer to it."""
    prefix = "" if path == "." else f"{path}/"
    below = [entry for entry in entries if entry.path == path or entry.path.startswith(prefix)]
    names = {entry.path for entry in below}
    builds = PurePosixPath(path).name in KUSTOMIZATIONS or any(
        f"{prefix}{file}" in names for file in KUSTOMIZATIONS
    )
    has_links = any(entry.mode == LINK for entry in (*below, *_above(entries, path)))
    if builds or has_links:
        return list(entries)
    return [*below, *(entry for entry in entries if entry.path == config and entry.path not in names)]


def _above(entries: Sequence[Entry], path: str) -> Iterator[Entry]:
    parents = set(map(str, PurePosixPath(path).parents))
    return (entry for entry in entries if entry.path in parents)


def _settings(given: Path | None, at_revision: Path | None) -> MeshSettings | None:
    if given is None:
        return None
    if at_revision is None:
        return read_settings_file(given)
    if not at_revision.exists():
        raise LabError(f"{at_revision}: the revision does not have the file of --mesh-config")
    return read_settings_file(at_revision)


def _refuse_left_out(path: str, written: Written) -> None:
    for left_out, reason in written.left_out.items():
        if path == left_out or path.startswith(f"{left_out}/"):
            raise LabError(f"{left_out}: it is {reason}")


def _refuse_left_out_below(path: str, target: Path, written: Written) -> None:
    """Refuse a directory of which a manifest is missing. A kustomization says itself what it misses."""
    if not target.is_dir() or any((target / file).exists() for file in KUSTOMIZATIONS):
        return
    prefix = "" if path == "." else f"{path}/"
    for left_out, reason in written.left_out.items():
        if left_out.startswith(prefix) and left_out.endswith(_SUFFIXES):
            raise LabError(f"{left_out}: it is {reason}")


@contextmanager
def _named(directory: Path, label: str, written: Written) -> Iterator[None]:
    """Let errors name files as the revision does, and say what was left out of it."""
    try:
        yield
    except ManifestError as error:
        problems = [_relabelled_problem(problem, directory, label) for problem in error.problems]
        text = _text(str(error), directory, label)
        raise ManifestError(problems or f"{text}{_missing(text, written)}") from None
    except LabError as error:
        text = _text(str(error), directory, label)
        shown = text if text.startswith(f"{label}:") else f"{label}:{text}"
        raise LabError(f"{shown}{_missing(text, written)}") from None


def _missing(text: str, written: Written) -> str:
    found = [f"{path} is {reason}." for path, reason in written.left_out.items() if path in text]
    return " ".join(["", *found])


def _relabelled(inputs: Inputs, directory: Path, label: str) -> Inputs:
    outside = [manifest for manifest in inputs.manifests if _is_outside(manifest, directory)]
    if outside:
        raise LabError(f"{outside[0]}: lies outside of the repository; a revision holds its own files alone")
    return replace(
        inputs,
        manifests=tuple(
            replace(manifest, source=_text(manifest.source, directory, label))
            for manifest in inputs.manifests
        ),
        passed_over=tuple(
            PassedOver(_text(passed.file, directory, label), passed.reason) for passed in inputs.passed_over
        ),
        unreadable=tuple(_relabelled_problem(problem, directory, label) for problem in inputs.unreadable),
        files=(),
    )


def _is_outside(manifest: Manifest, directory: Path) -> bool:
    source = Path(manifest.source)
    return source.is_absolute() and not source.is_relative_to(directory)


def _relabelled_problem(problem: Problem, directory: Path, label: str) -> Problem:
    text = _text(problem.text, directory, label)
    return replace(problem, source=_text(problem.source, directory, label), text=text)


def _text(text: str, directory: Path, label: str) -> str:
    return text.replace(f"{directory}/", f"{label}:").replace(str(directory), label)
