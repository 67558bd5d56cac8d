"""`meshlab init`: a first case file for manifests."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import explain, reported
from meshlab.cli._open import open_bench
from meshlab.cli._options import Files, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from meshlab.bench.report.run import Run

__all__ = ["EXIT_CODES", "FILE_NAME", "init"]

EXIT_CODES = "Exit codes: 0 the file is written · 2 wrong input: manifests or usage · 4 the bench failed."
FILE_NAME = "first-cases.yaml"


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where first-cases.yaml is written.", show_default=False)
    ],
    files: Files,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier first-cases.yaml.")] = False,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", metavar="N", min=0, help="Cases under way at once; 0 chooses.")
    ] = 0,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Write a first case file: gateways, workloads, tokens and rules, each with the verdict of today.

    \b
      meshlab init -f manifests/ tests/
      meshlab test -f manifests/ tests/
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(), open_bench() as bench:
        from meshlab.bench.first_cases import draft_of, questions, written
        from meshlab.bench.report.progress import Progress
        from meshlab.bench.session import Choice, run_cases

        file = _free(directory, force=force)
        mesh = bench.load(sources(files, namespace, mesh_config))
        draft = draft_of(mesh.survey())
        if draft.empty:
            raise LabError(
                f"{', '.join(files)}: there is no gateway with a host and no workload with a Service to ask about"
            )
        asked = questions(draft, str(file))
        with Progress(sys.stderr, what="requests") as bar:
            run = run_cases(mesh, [asked], Choice(jobs=jobs), began=bar.began, happened=bar.happened)
        text = written(draft, run.outcomes)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise LabError(f"{file}: cannot be written: {error.strerror}") from None
        _say(file, files, run)


def _free(directory: Path, *, force: bool) -> Path:
    """Return the file to write, unless something of the user's is in its place."""
    if directory.exists() and not directory.is_dir():
        raise LabError(f"{directory} is a file; name a directory to write {FILE_NAME} into")
    file = directory / FILE_NAME
    if file.exists() and not force:
        raise LabError(f"{file} is there already; --force overwrites it")
    return file


def _say(file: Path, files: list[str], run: "Run") -> None:
    counts = run.counts
    not_judged = counts["not judged"] + counts["error"]
    say(f"wrote {len(run.outcomes) - not_judged} cases to {file}")
    if not_judged:
        explain(f"{not_judged} requests could not be judged; the file says why")
    words = [word for name in files for word in ("-f", name)]
    say(f"next: read it, then run  meshlab test {shlex.join([*words, str(file.parent)])}")
