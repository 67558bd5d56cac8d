"""The parts of the enrichment, and which of them may import which."""

import ast
from collections import defaultdict
from pathlib import Path

ENRICHMENT = Path(__file__).parents[2] / "function" / "enrichment"

FOUNDATION = {
    "__init__",
    "backoff",
    "closing",
    "deadline",
    "documents",
    "errors",
    "expressions",
    "large_blocks",
    "message_classes",
    "settings",
    "telemetry",
}
PARTS = {"event", "lookup", "row", "sink", "dead_letter"}
OUTSIDE = {"functions_framework", "starlette", "uvicorn", "google", "grpc", "apache_beam", "cloudevents"}


def _imports(file: Path) -> tuple[set[str], set[str]]:
    """The parts of the enrichment that a module imports, and the packages of others."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if node.module == "enrichment":
                names = [f"enrichment.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "enrichment":
                ours.add(rest.partition(".")[0])
            else:
                others.add(package)
    return {
        name for name in ours if (ENRICHMENT / name).is_dir() or (ENRICHMENT / f"{name}.py").exists()
    }, others


def _by_part() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    ours: dict[str, set[str]] = defaultdict(set)
    others: dict[str, set[str]] = defaultdict(set)
    for file in ENRICHMENT.rglob("*.py"):
        part = file.relative_to(ENRICHMENT).with_suffix("").parts[0]
        found, foreign = _imports(file)
        ours[part] |= found - {part}
        others[part] |= foreign
    return ours, others


def test_the_core_knows_its_parts_and_no_driver() -> None:
    ours, _ = _by_part()
    assert ours["core"] <= PARTS | FOUNDATION
    for part in PARTS | FOUNDATION:
        assert not ours[part] & {"core", "drivers", "commands", "redrive", "assembly"}, part


def test_the_core_and_its_parts_know_no_framework_and_no_client() -> None:
    _, others = _by_part()
    for part in {"core", "event", "lookup", "row", "dead_letter", "documents", "settings"}:
        assert not others[part] & OUTSIDE, part


def test_drivers_know_the_core_and_neither_commands_nor_redrive() -> None:
    ours, _ = _by_part()
    assert "core" in ours["drivers"]
    assert not ours["drivers"] & {"commands", "redrive"}


def test_the_drivers_do_not_know_each_other() -> None:
    drivers = ENRICHMENT / "drivers"
    shared = {
        "http_connection": {"http_exchange"},
        "serve": {"event_loop", "http_connection", "http_lookup", "push"},
    }
    for file in drivers.rglob("*.py"):
        driver = file.relative_to(drivers).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("enrichment.drivers."):
                other = (node.module or "").split(".")[2]
                assert other == driver or other in shared.get(driver, ()), file
