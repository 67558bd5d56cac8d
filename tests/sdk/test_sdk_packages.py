"""The packages of the SDK, and which of them may import which."""

import ast
from collections import defaultdict
from pathlib import Path

import meshpass

_ROOT = Path(meshpass.__file__).parent
_PACKAGES = ("_adapters", "_call", "_http", "_tokens", "keys", "cli", "testing")
# What each may import besides the modules that lie beside `_errors`; `clients` are the modules that join the packages.
_ALLOWED = {
    "shared": set(),
    "_call": {"shared"},
    "_http": {"shared", "_call"},
    "_tokens": {"shared"},
    "clients": {"shared", "_call", "_http", "_tokens"},
    "_adapters": {"shared", "_call", "_http", "_tokens", "clients"},
    "keys": {"shared", "_tokens", "clients"},
    "cli": {"shared", "_call", "_http", "_tokens", "clients", "keys"},
    "testing": {"shared", "_call", "_tokens", "clients"},
}
# The package itself names the modules of its public names, and loads none of them.
_ALLOWED["public"] = {*_ALLOWED}
_SHARED = {"_address", "_deadline", "_errors", "_frames", "_install", "_reasons", "_token", "_values"}


def _package_of(module: str) -> str:
    first = module.removeprefix("meshpass").removeprefix(".").partition(".")[0]
    if first in _PACKAGES:
        return first
    if first == "__init__":
        return "public"
    return "shared" if first in _SHARED else "clients"


def _imports() -> dict[str, dict[str, set[str]]]:
    """Return for each module the `meshpass` modules that it imports anywhere, for type checkers too."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in _ROOT.rglob("*.py"):
        module = ".".join(["meshpass", *file.relative_to(_ROOT).with_suffix("").parts])
        for node in ast.walk(ast.parse(file.read_text())):
            names = [f"{node.module}"] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.startswith("meshpass."):
                    found[module][_package_of(name)].add(name)
    return found


def test_packages_import_in_one_direction() -> None:
    imports = _imports()

    forbidden = [
        f"{module} imports {', '.join(sorted(names))}"
        for module, packages in imports.items()
        for package, names in packages.items()
        if package != _package_of(module) and package not in _ALLOWED[_package_of(module)]
    ]

    assert len(imports) > 40
    assert forbidden == []


def test_no_two_modules_of_the_sdk_differ_only_by_an_underscore_or_an_s() -> None:
    names = defaultdict(list)
    for file in _ROOT.rglob("*.py"):
        if file.stem not in ("__init__", "__main__"):
            names[file.stem.strip("_").rstrip("s")].append(file.relative_to(_ROOT).as_posix())

    assert [files for files in names.values() if len(files) > 1] == []
