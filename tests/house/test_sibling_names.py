"""No two names of one place that differ by an s or an underscore alone, and no common module name in many folders."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tests.house.source_texts import ROOT, tracked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A module name that says the same in every package.
COMMON = {
    "arguments": "the command line arguments of its package",
    "__init__": "Python's",
    "__main__": "Python's",
    "cli": "the command line of its package",
    "command": "the command line of its package",
    "conftest": "pytest's",
    "errors": "the errors of its package",
    "main": "the entry point that a platform asks for",
    "report": "what its package prints",
    "schema": "the schema of what its package reads or writes",
    "settings": "the settings of its package",
}
MOST_FOLDERS = 3

# Module names in more folders than that, with the reason why each is right where it is.
MANY = {
    "as_json": "one name for the JSON form of a command's result, beside as_text",
    "environment": "the environment variables of a deployment, of a driver and of the function",
    "run": "the steps of a command, beside its report",
    "fields": "fields of a message or a document, read with their types",
    "http1": "HTTP/1.1 of the bench: its client, its server, and the reader that both use",
    "http2": "HTTP/2 of the bench: its client and its server",
    "mesh": "the mesh as a service to call, as a model, and as the subject of a benchmark",
    "server": "the server of a driver, an emulator, the bench or a benchmark",
    "messages": "messages of Pub/Sub in two drivers, and of the Storage Write API in its sink",
    "service": "the service of a benchmark, of Cloud Run and of the SDK",
    "suite": "the comparisons of a benchmark",
    "plan": "what a call, a message and a deployment do, decided without I/O",
}


def _key(name: str) -> str:
    return name.replace("_", "").lower().removesuffix("s")


def alike(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return the pairs of names that differ by an s or an underscore alone. A class is not a function."""
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        by_key[_key(name)].append(name)
    for same in by_key.values():
        for index, first in enumerate(same):
            for second in same[index + 1 :]:
                if first.islower() == second.islower():
                    yield first, second


def _modules() -> list[PurePosixPath]:
    return [
        PurePosixPath(path)
        for path in tracked()
        if path.endswith(".py") and not path.startswith(("tests/", "beam/tests/"))
    ]


def _public_functions(path: PurePosixPath) -> list[str]:
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    return [
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_"
    ]


def test_names_that_differ_by_an_s_or_an_underscore_are_found() -> None:
    assert list(alike(["request", "requests", "_request", "reply"])) == [
        ("_request", "request"),
        ("_request", "requests"),
        ("request", "requests"),
    ]
    assert list(alike(["Rule", "rule", "rules"])) == [("rule", "rules")]


def test_modules_of_a_package_have_names_of_their_own() -> None:
    by_folder: dict[PurePosixPath, list[str]] = defaultdict(list)
    for path in _modules():
        if path.stem != "__init__":
            by_folder[path.parent].append(path.stem)

    found = [f"{folder}: {pair}" for folder, stems in by_folder.items() for pair in alike(stems)]

    assert not found, "\n".join(found)


def test_public_names_of_a_module_differ_by_more_than_an_s() -> None:
    found = [f"{path}: {pair}" for path in _modules() for pair in alike(_public_functions(path))]

    assert not found, "\n".join(found)


def test_a_module_name_stands_in_few_folders() -> None:
    folders: dict[str, list[str]] = defaultdict(list)
    for path in _modules():
        folders[path.stem].append(str(path.parent))
    many = {name: where for name, where in folders.items() if len(where) >= MOST_FOLDERS}

    assert {name: where for name, where in many.items() if name not in COMMON | MANY} == {}
