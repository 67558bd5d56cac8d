"""A story of policy tests: meshes that follow each other step by step, each with the cases that hold after it.

The file names the steps; manifests, MeshConfig and cases are files beside it, which `meshlab test` runs one by one.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass
from meshlab.yaml_reader import YamlError, parse_strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from meshlab.bench.report.run import Run

__all__ = ["Step", "StepRun", "Story", "read_story", "run_story"]

_STORY_WORDS = frozenset({"title", "steps"})
_STEP_WORDS = frozenset({"name", "title", "manifests", "meshConfig", "cases"})
_CASES = "cases.yaml"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: A word or two, for the head of a column.
        title: What the step adds.
        manifests: A directory with a kustomization, or a file or directory of manifests.
        cases: The case file.
        mesh_config: A file with the MeshConfig; `None` for Istio's defaults.
    """

    name: str
    title: str
    manifests: Path
    cases: Path
    mesh_config: Path | None


@dataclass(frozen=True)
class Story:
    """Steps that follow each other.

    Attributes:
        title: What the story shows.
        steps: The steps, in order.
    """

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class StepRun:
    """What became of the requests of one step."""

    step: Step
    run: Run


def read_story(file: Path) -> Story:
    """Read a story.

    Raises:
        LabError: The file cannot be read, or a step lacks what it needs.
    """
    try:
        document, *more = parse_strict(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise LabError(f"{file}: the story cannot be read: {error}") from None
    except YamlError as error:
        raise LabError(f"{file}:{error.line}: the story cannot be read: {error}") from None
    story = _mapping(file, document, _STORY_WORDS, "the story")
    steps = story.get("steps")
    if more or not isinstance(steps, list) or not steps:
        raise LabError(f"{file}: a story is one mapping with `title` and a list of `steps`")
    return Story(_text(file, story, "title", "the story"), tuple(_step(file, step) for step in steps))


def run_story(
    story: Story, variables: Mapping[str, str], began: Callable[[Step], None] = lambda _step: None
) -> Iterator[StepRun]:
    """Run the steps of a story, each on the proxies of the one before it.

    Args:
        story: The story.
        variables: Values for `${NAME}` in case files.
        began: Called with each step before it is run.

    Raises:
        ManifestError: Manifests cannot be read.
        CaseFileError: A case file is wrong.
        BenchError: A proxy did not start.
    """
    with closing(LocalBench()) as bench:
        for step in story.steps:
            began(step)
            mesh = bench.load(Sources((str(step.manifests),), mesh_config=step.mesh_config))
            yield StepRun(step, run_cases(mesh, collect([step.cases], variables), Choice()))


def _step(file: Path, value: object) -> Step:
    words = _mapping(file, value, _STEP_WORDS, "a step")
    name = _text(file, words, "name", "a step")
    what = f"the step {name}"
    directory = file.parent
    manifests = directory / _text(file, words, "manifests", what)
    cases = directory / words["cases"] if "cases" in words else manifests / _CASES
    config = directory / words["meshConfig"] if "meshConfig" in words else None
    for path in (manifests, cases, config):
        if path is not None and not path.exists():
            raise LabError(f"{file}: {what} needs {path}, which does not exist")
    return Step(name, str(words.get("title", name)), manifests, cases, config)


def _mapping(file: Path, value: object, known: frozenset[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LabError(f"{file}: expected a mapping for {what}")
    if unknown := sorted(set(value) - known):
        raise LabError(f"{file}: unknown word {unknown[0]!r} in {what}; it knows {', '.join(sorted(known))}")
    return value


def _text(file: Path, words: Mapping[str, Any], key: str, what: str) -> str:
    value = words.get(key)
    if not isinstance(value, str) or not value:
        raise LabError(f"{file}: {what} needs `{key}`")
    return value
