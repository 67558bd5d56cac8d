"""Coverage of the cases of a pytest run: a section at the end, and a run that fails below a percentage.

With pytest-xdist each process records its own cases and sends the record to the parent, which joins all of them.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from meshlab.bench.case_coverage.report import print_coverage
from meshlab.bench.local_bench import LocalMesh
from meshlab.bench.report.terminal import SafeConsole
from meshlab.errors import LabError
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from meshlab.bench.case_coverage.coverage import Coverage
    from meshlab.bench.case_coverage.recorder import CoverageRecorder
    from meshlab.pytest_plugin.mesh_session import MeshSession

__all__ = ["CoveragePlugin", "CoverageSender"]

_KEY = "meshlab_coverage"


class CoverageSender:
    """Hooks of a process of pytest-xdist.

    Args:
        recorder: What its cases exercised.
    """

    def __init__(self, recorder: CoverageRecorder) -> None:
        self._recorder = recorder

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the record to the parent."""
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined] # of pytest-xdist
        output[_KEY] = self._recorder.written()


class CoveragePlugin:
    """Hooks of the process that reports.

    Args:
        recorder: What the cases exercised.
        mesh: Reads the manifests.
        least: The percentage that the cases must exercise; `None` for any.
    """

    def __init__(self, recorder: CoverageRecorder, mesh: MeshSession, least: float | None) -> None:
        self._recorder, self._mesh, self._least = recorder, mesh, least
        self._coverage: Coverage | None = None
        self._lost = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - pytest-xdist has no public type for it
        """Join the record of a process of pytest-xdist."""
        written = getattr(node, "workeroutput", {}).get(_KEY)
        if written is None:
            self._lost += 1
        else:
            self._recorder.join(written)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Count, and fail a run that passed with less than the least coverage."""
        if session.config.getoption("collectonly"):
            return
        try:
            mesh = self._mesh.mesh()
        except (LabError, ManifestError):
            return  # it is reported where the case files are collected
        if isinstance(mesh, LocalMesh):
            self._coverage = self._recorder.coverage(mesh.mesh)
        if self._is_too_little and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the section."""
        if self._coverage is None:
            return
        out = terminalreporter
        out.section("coverage of the cases of meshlab")
        stream = io.StringIO()
        colour = out.hasmarkup
        on = SafeConsole(
            file=stream,
            width=out._tw.fullwidth,  # noqa: SLF001 - pytest has no public name for it
            force_terminal=colour,
            no_color=not colour,
            markup=False,
            highlight=False,
            emoji=False,
        )
        print_coverage(self._coverage, on)
        out.write(stream.getvalue().lstrip("\n"))
        if self._lost:
            out.write_line(f"{self._lost} processes ended early; what their cases exercised is not counted")
        if self._is_too_little:
            out.write_line(f"FAIL: the coverage is below the least of {self._least:g} %", red=True)

    @property
    def _is_too_little(self) -> bool:
        found = self._coverage
        return self._least is not None and found is not None and not found.total.reaches(self._least)
