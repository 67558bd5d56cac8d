"""What a package is made for: the function, an image of another driver, or the image of the flex template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import ROOT
from .runtime import PYTHON

if TYPE_CHECKING:
    from pathlib import Path

_IMAGE = ROOT / "deploy" / "image"
_TEMPLATE = ROOT / "beam" / "template"


@dataclass(frozen=True)
class Kind:
    """One kind of package.

    Attributes:
        name: what ``deploy/package --for`` calls it.
        title: what it is, for messages.
        lock: the folder of the project whose lock pins what is installed.
        package: the package of that project whose requirements are installed.
        extras: the extras of that package.
        wheels: the project's own packages that go along as wheels, by name, with their folders.
        files: files that go along, beside those of the function, each with its name in the package.
        sources: the folder of the package for ``enrichment``; None where it goes along as a wheel.
        pipeline: the folder of the package for ``pipeline.toml`` and what it names.
        ignore: the file that says what an upload or a build leaves out.
        python: the version of Python that it runs on.
        required: files that every package of this kind has.
        next: the command that follows.
    """

    name: str
    title: str
    package: str
    extras: tuple[str, ...]
    ignore: str
    required: tuple[str, ...]
    next: str
    lock: Path = ROOT
    wheels: tuple[tuple[str, Path], ...] = (
        ("meshpass", ROOT / "sdk"),
        ("meshpass-contract", ROOT / "infra" / "contract"),
    )
    files: tuple[tuple[str, Path], ...] = ()
    sources: str | None = ""
    pipeline: str = ""
    python: str = PYTHON


FUNCTION = Kind(
    "function",
    "the function",
    package="meshpass-function",
    extras=("function",),
    files=(("main.py", ROOT / "function" / "main.py"),),
    ignore=".gcloudignore",
    required=("main.py", "requirements.txt", ".gcloudignore"),
    next="deploy/deploy --dry-run",
)
_DRIVER_FILES = (("Dockerfile", _IMAGE / "Dockerfile"),)
_DRIVER_REQUIRED = ("Dockerfile", "requirements.txt", "enrichment/__init__.py", "pipeline.toml")
SERVE = Kind(
    "serve",
    "the image of `python -m enrichment serve`",
    package="meshpass-function",
    extras=("serve",),
    files=_DRIVER_FILES,
    ignore=".dockerignore",
    required=_DRIVER_REQUIRED,
    next="docs/run-elsewhere.md has the commands that build and run the image",
    python="3.11",  # of gcr.io/distroless/python3-debian12
)
WORK = Kind(
    "work",
    "the image of `python -m enrichment work`",
    package="meshpass-function",
    extras=(),
    files=(*_DRIVER_FILES, ("meshpass-worker.service", _IMAGE / "meshpass-worker.service")),
    ignore=".dockerignore",
    required=_DRIVER_REQUIRED,
    next="docs/run-elsewhere.md has the commands that build and run the image",
    python="3.11",
)
DATAFLOW = Kind(
    "dataflow",
    "the image of the flex template",
    lock=ROOT / "beam",
    package="meshpass-beam",
    extras=("dataflow",),
    wheels=(
        ("meshpass", ROOT / "sdk"),
        ("meshpass-contract", ROOT / "infra" / "contract"),
        ("meshpass-function", ROOT / "function"),
        ("meshpass-beam", ROOT / "beam"),
    ),
    files=tuple(
        (name, _TEMPLATE / name)
        for name in (
            "Dockerfile",
            "cloudbuild.yaml",
            "launch.py",
            "metadata-backfill.json",
            "metadata-stream.json",
        )
    ),
    sources=None,
    pipeline="pipeline/",
    ignore=".gcloudignore",
    required=("Dockerfile", "cloudbuild.yaml", "launch.py", "requirements.txt", "pipeline/pipeline.toml"),
    next="deploy/dataflow build --dry-run",
)
KINDS = {kind.name: kind for kind in (FUNCTION, SERVE, WORK, DATAFLOW)}
