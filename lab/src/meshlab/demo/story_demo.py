"""The demo of a mesh whose story the project keeps beside its policy tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meshlab.bench.report import terminal
from meshlab.demo import story_show
from meshlab.demo.story import read_story, run_story

if TYPE_CHECKING:
    from rich.console import Console

    from meshlab.demo.story import Step
    from meshlab.lab.project import Project

__all__ = ["run_story_demo"]


def run_story_demo(project: Project, mesh: str, console: Console, *, verbose: bool = False) -> bool:
    """Run the story of a mesh and show it.

    Args:
        project: The checkout to run.
        mesh: The directory of `infra/policy-tests` that holds `story/story.yaml`.
        console: Where to show it.
        verbose: Whether to show every case, and not only those that failed.

    Returns:
        Whether every case met its expectation.

    Raises:
        LabError: There is no such story, or it cannot be read.
        ManifestError: Manifests of a step cannot be read.
        BenchError: A proxy did not start.
    """
    story = read_story(project.root / "infra/policy-tests" / mesh / "story/story.yaml")
    began_at = time.monotonic()
    with console.status("starting the mesh") as status:

        def began(step: Step) -> None:
            status.update(f"after step {step.name}: {step.title}")

        runs = list(run_story(story, project.contract(), began))
    seconds = time.monotonic() - began_at
    for done in runs:
        if verbose or done.run.counts["passed"] != len(done.run.outcomes):
            terminal.full(done.run, console, verbose=verbose)
    for table in (
        story_show.steps(story, runs),
        story_show.who_got_where(runs),
        story_show.refusals(runs[-1]),
    ):
        console.print(table)
    sent = sum(len(done.run.outcomes) for done in runs)
    met = sum(done.run.counts["passed"] for done in runs)
    console.print(f"took {seconds:.1f} s in all; nothing is left running")
    console.print(f"{mesh}: {len(runs)} steps, {sent} requests, {met} as expected, {sent - met} not")
    return met == sent
