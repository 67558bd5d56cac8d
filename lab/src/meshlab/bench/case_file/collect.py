"""Case files from files and directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from meshlab.bench.case_file.problems import CaseFileError, CaseProblem
from meshlab.bench.case_file.reader import read_case_file
from meshlab.errors import LabError
from meshlab.named_files import FileReadError, read_text
from meshlab.yaml_reader import StrictLoader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from meshlab.bench.case import CaseFile

__all__ = ["case_paths", "collect"]

_ENDINGS = (".yaml", ".yml")
_MAX_DEPTH = 100


def collect(paths: Sequence[Path], variables: Mapping[str, str] | None = None) -> list[CaseFile]:
    """Read case files, and those below directories.

    In a directory, a file of Kubernetes objects is passed over. Every other YAML file must be a case file, so that a
    misspelt first word does not lose one silently.

    Args:
        paths: The files and directories.
        variables: Values for `${NAME}` in the files.

    Raises:
        CaseFileError: Files are wrong; holds the problems of all of them.
        LabError: A path does not exist, or a directory holds no case file.
    """
    problems: list[CaseProblem] = []
    found: list[CaseFile] = []
    for path in case_paths(paths):
        try:
            found.append(read_case_file(path, variables))
        except CaseFileError as error:
            problems += error.problems
    if problems:
        raise CaseFileError(problems)
    return found


def case_paths(paths: Iterable[Path]) -> list[Path]:
    """Return the case files that these paths name, each once.

    Raises:
        LabError: A path does not exist, or a directory holds no case file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = [file for file in sorted(path.rglob("*")) if file.suffix in _ENDINGS and file.is_file()]
            cases = [file for file in below if not _holds_objects(file)]
            if not cases:
                raise LabError(f"{path}: no case file is in this directory; write one, or run `meshlab init`")
            found.update(dict.fromkeys(cases))
        elif path.exists():
            found[path] = None
        else:
            raise LabError(f"{path}: no such file or directory; name a case file or a directory of them")
    return list(found)


def _holds_objects(file: Path) -> bool:
    """Return whether a file holds only Kubernetes objects: mappings with `apiVersion` and `kind`."""
    try:
        # Events, not nodes: a file from elsewhere may be nested without limit.
        keys = _first_keys(read_text(file))
    except (FileReadError, yaml.YAMLError):
        return False
    return bool(keys) and all({"apiVersion", "kind"} <= found for found in keys)


def _first_keys(text: str) -> list[set[str]]:
    """Return the keys of each document's outermost mapping."""
    documents: list[set[str]] = []
    depth, is_key = 0, False
    for event in yaml.parse(text, Loader=StrictLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents.append(set())
            depth, is_key = 0, False
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                return []  # the reader says so
            is_key = depth == 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            is_key = depth == 1
        elif depth == 1:
            if is_key and isinstance(event, yaml.ScalarEvent):
                documents[-1].add(event.value)
            is_key = not is_key
    return [keys for keys in documents if keys]
