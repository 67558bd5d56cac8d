"""Generated files: how they look, how they are written, and which of them are out of date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["GeneratedFile", "Object", "kubernetes_object", "objects_file", "stale", "write"]

Object = dict[str, Any]
"""A Kubernetes object."""

_MARK = "# Generated from "
_COMMAND = "make manifests"


@dataclass(frozen=True)
class GeneratedFile:
    """One file that follows from descriptions.

    Attributes:
        path: Where it belongs.
        text: What belongs there.
    """

    path: Path
    text: str


def kubernetes_object(api_version: str, kind: str, namespace: str, name: str, spec: Object) -> Object:
    """Return an object of a namespace with its fields in the usual order."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def objects_file(
    path: Path, source: str, objects: Iterable[object], note: str = "", *, compact: bool = False
) -> GeneratedFile:
    """Return a YAML file of one or more documents that says what it was made from.

    A key that begins with `# ` and has no value becomes a comment above the next key.

    Args:
        path: Where it belongs.
        source: What it was made from, as a path from the project's top directory.
        objects: Its documents, in order.
        note: What else a reader of the file must know.
        compact: Whether mappings and lists of plain values stand on one line.
    """
    head = f"{_MARK}{source} by `{_COMMAND}`: edit that file, not this one.\n"
    head += "".join(f"# {line}\n" for line in note.splitlines())
    documents = [_dump(document, compact=compact) for document in objects]
    return GeneratedFile(path, head + "---\n".join(documents))


def is_generated(path: Path) -> bool:
    """Whether a file says that it was generated."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().startswith(_MARK)


def stale(files: Iterable[GeneratedFile], directories: Iterable[Path]) -> list[Path]:
    """Return the generated files that are missing, differ, or follow from no description any more.

    Args:
        files: What there should be.
        directories: Where to look for files that should be there no more.
    """
    expected = {file.path: file.text for file in files}
    wrong = [path for path, text in expected.items() if _read(path) != text]
    return sorted({*wrong, *_left_over(expected, directories)})


def write(files: Iterable[GeneratedFile], directories: Iterable[Path]) -> list[Path]:
    """Write what `stale` finds, remove what should be there no more, and return the paths of both."""
    expected = {file.path: file.text for file in files}
    changed = [path for path, text in expected.items() if _read(path) != text]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()  # what it points to is another file, and may be outside of the project
        path.write_text(expected[path], encoding="utf-8")
    removed = _left_over(expected, directories)
    for path in removed:
        path.unlink()
    return sorted({*changed, *removed})


def _left_over(expected: Mapping[Path, str], directories: Iterable[Path]) -> list[Path]:
    found = {path for directory in directories for path in directory.rglob("*.yaml")}
    return sorted(path for path in found if path not in expected and is_generated(path))


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() and not path.is_symlink() else None


class _Dumper(yaml.SafeDumper):
    """Block style with indented lists, each object written out where it stands."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:
        return True


# Numbers to YAML 1.2 and texts to PyYAML, which writes them without quotes.
_NUMBER_ELSEWHERE = re.compile(r"0o[0-7]+|[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "'" if _NUMBER_ELSEWHERE.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)

_COMMENT = re.compile(r"^( *)'(# .*)': null$", re.MULTILINE)


_dumped: dict[tuple[str, bool], str] = {}
"""Texts of documents. A program that generates again after an edit writes most documents as before."""

_MAX_DUMPED = 512


def _dump(document: object, *, compact: bool) -> str:
    key = (repr(document), compact)
    if key not in _dumped:
        if len(_dumped) >= _MAX_DUMPED:
            _dumped.clear()
        _dumped[key] = _dump_anew(document, compact=compact)
    return _dumped[key]


def _dump_anew(document: object, *, compact: bool) -> str:
    text = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        width=120,
        allow_unicode=True,
        default_flow_style=None if compact else False,
    )
    return _COMMENT.sub(lambda found: found[1] + found[2].replace("''", "'"), text)
