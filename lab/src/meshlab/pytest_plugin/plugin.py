"""The plugin of one pytest run that case files are named for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshlab.bench.case_coverage.recorder import CoverageRecorder
from meshlab.pytest_plugin.asked import add_case_files, read_asked
from meshlab.pytest_plugin.mesh_session import MeshSession
from meshlab.pytest_plugin.nodes import MARK, CaseFileCollector, CaseItem
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from meshlab.pytest_plugin.asked import Asked

__all__ = ["CasePlugin", "register"]

_NAME = "meshlab-cases"


def register(config: pytest.Config) -> None:
    """Add the plugin to a run of pytest, and the case files to what it collects.

    Raises:
        pytest.UsageError: Options or settings are wrong.
    """
    asked = read_asked(config)
    add_case_files(config, asked)
    config.addinivalue_line("markers", f"{MARK}: a case of a case file, run by meshlab.")
    # A process of pytest-xdist does not know beforehand which of the cases it will get.
    is_worker = hasattr(config, "workerinput")
    recorder = CoverageRecorder() if asked.coverage else None
    mesh = MeshSession(asked.sources, asked.variables, ahead=not is_worker, recorder=recorder)
    # Called however the run ends: after -x, an interrupt, or an error of pytest itself.
    config.add_cleanup(mesh.close)
    config.pluginmanager.register(CasePlugin(asked, mesh), _NAME)
    if recorder is not None:
        from meshlab.pytest_plugin.coverage import CoveragePlugin, CoverageSender

        sender = CoverageSender(recorder) if is_worker else CoveragePlugin(recorder, mesh, asked.coverage_min)
        config.pluginmanager.register(sender, f"{_NAME}-coverage")


class CasePlugin:
    """Hooks of a run with case files.

    Args:
        asked: What the run was asked for.
        mesh: Runs the cases.
    """

    def __init__(self, asked: Asked, mesh: MeshSession) -> None:
        self._asked = asked
        self._mesh = mesh
        self._files = {file for files in asked.files.values() for file in files}

    def pytest_report_header(self) -> str:
        """Say which mesh the cases are run on."""
        count = f"{len(self._files)} case file{'s' if len(self._files) != 1 else ''}"
        return one_line(f"meshlab: {count}, manifests: {', '.join(self._asked.sources.paths)}")

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> CaseFileCollector | None:
        """Return a collector for a case file that was named."""
        if file_path not in self._files:
            return None
        found: CaseFileCollector = CaseFileCollector.from_parent(parent, path=file_path)
        found.mesh, found.allow_not_judged = self._mesh, self._asked.allow_not_judged
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which cases were chosen; the mesh starts when the first of them runs."""
        self._mesh.choose([item.case for item in session.items if isinstance(item, CaseItem)])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a skipped case be reported where it stands, and not where this plugin skips it."""
        report = yield
        if isinstance(item, CaseItem) and report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (str(item.path), item.case.place.line, report.longrepr[2])
        return report
