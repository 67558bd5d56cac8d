"""Run of the project's own policy tests, in the same way as a user runs theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases

if TYPE_CHECKING:
    from meshlab.bench.report.run import Run
    from meshlab.lab.project import Project

__all__ = ["run_policy_tests"]


def run_policy_tests(project: Project) -> Run:
    """Send the requests of the project's policy tests through proxies of their own.

    Args:
        project: Whose manifests to run, and whose cases.

    Raises:
        ManifestError: A manifest cannot be read.
        CaseFileError: A case is wrong.
        BenchError: A proxy did not start.
    """
    bench = LocalBench()
    try:
        mesh = bench.load(Sources((str(project.overlay),)))
        return run_cases(mesh, collect([project.policy_tests], project.contract()), Choice())
    finally:
        bench.close()
