"""Imports inside meshlab point one way, and the bench knows nothing of this project's lab."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import meshlab

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(meshlab.__file__).parent
LAYERS = (
    (
        "meshlab.yaml_reader",
        "meshlab.manifest",
        "meshlab.errors",
        "meshlab.env_file",
        "meshlab.named_files",
        "meshlab.quick_dataclass",
        "meshlab.visible_text",
    ),
    ("meshlab.kustomize",),
    ("meshlab.inputs",),
    ("meshlab.istio.read",),
    ("meshlab.istio.model",),
    ("meshlab.istio.envoy",),
    ("meshlab.processes", "meshlab.certificates"),
    ("meshlab.bench",),
    ("meshlab.lint",),
    ("meshlab.battery",),
    ("meshlab.diff",),
    ("meshlab.reach", "meshlab.mutate"),
    ("meshlab.explain",),
    ("meshlab.html_report",),
    ("meshlab.pytest_plugin",),
    ("meshlab.cloud",),
    ("meshlab.lab",),
    ("meshlab.demo",),
    ("meshlab.cli",),
)
"""The packages from the lowest to the highest; each may import its own layer and those below."""

PACKAGES_OF_THE_EXTRA = ("meshlab.cloud", "meshlab.lab", "meshlab.demo")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def layer(module: str) -> int | None:
    for number, names in enumerate(LAYERS):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return number
    return None


def test_imports_point_one_way() -> None:
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in SOURCE.rglob("*.py")
        for name in imported(path)
        if (own := layer(module_of(path))) is not None and (other := layer(name)) is not None and other > own
    ]
    assert wrong == []


def test_the_bench_knows_nothing_of_the_lab() -> None:
    extra = [layer(name) for name in PACKAGES_OF_THE_EXTRA]
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in SOURCE.rglob("*.py")
        if layer(module_of(path)) not in (*extra, layer("meshlab.cli"))
        for name in imported(path)
        if layer(name) in extra
    ]
    assert wrong == []


def test_no_module_of_the_bench_names_this_project() -> None:
    words = ("user-profile", "user_profile", "contract.env", "infra/", "GKE_", "JWT_ISSUER")
    found = [
        f"{path.relative_to(SOURCE)}: {word}"
        for path in SOURCE.rglob("*.py")
        if not module_of(path).startswith((*PACKAGES_OF_THE_EXTRA, "meshlab.cli._lab"))
        for word in words
        if word in path.read_text()
    ]
    assert found == []
