"""What several folders of tests share: the project's own checkout, its mesh and its whole lab, each started once."""

from __future__ import annotations

import gc
import itertools
import shutil
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings
from meshlab.lab.project import Project
from meshlab.lab.project_mesh import ProjectMesh
from meshlab.lab.stack import Lab, shipped
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from tests.preloaded import preloaded

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

ROOT = Path(__file__).parent.parent

# How long an example takes depends on what else the machine does.
hypothesis_settings.register_profile("no time limit", hypothesis_settings.default, deadline=None)
hypothesis_settings.load_profile("no time limit")

Edit = tuple[str, str, str]
Edited = Callable[..., Project]
RunMesh = Callable[[Project], AbstractContextManager[ProjectMesh]]


def pytest_configure(config: pytest.Config) -> None:
    """Let a signal end programs as it does at a terminal, and let each process begin the collection in another folder.

    A shell without job control starts a background job with SIGINT ignored, and all programs of its tests inherit that.

    In a new checkout pytest rewrites the assertions of each file that it imports, and keeps the result for the other
    processes. Processes that began in the same folder would all rewrite the same files.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = getattr(config, "workerinput", None)
    if worker is None or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    sizes = {
        str(folder): size
        for folder in sorted((ROOT / "tests").iterdir())
        if (size := sum(file.stat().st_size for file in folder.glob("**/test_*.py")))
    }
    before = [0, *itertools.accumulate(sizes.values())]
    share = before[-1] * int(worker["workerid"].removeprefix("gw")) / int(worker["workercount"])
    begin = min(range(len(sizes)), key=lambda number: abs(before[number] - share))
    folders = list(sizes)
    config.args = [*folders[begin:], *folders[:begin]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests the same order in each process: pytest-xdist asks for that."""
    items.sort(key=lambda item: item.path)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without looking for garbage: it takes a sixth of that time, and finds next to nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Take what the collection of the tests made out of the garbage collector's sight."""
    _freeze()


_last_file: list[Path] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Take what earlier files left, such as imported modules, out of the garbage collector's sight.

    Some tests collect garbage themselves, many times. Each time would look at every object of a process that has run
    thousands of tests.
    """
    if _last_file != [item.path]:
        _last_file[:] = [item.path]
        _freeze()


def _freeze() -> None:
    """Free what is garbage by now, and let no later collection look at what is left."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def project() -> Project:
    """This checkout with its example overlay."""
    return Project.find(root=ROOT)


@pytest.fixture(scope="session")
def run_mesh() -> RunMesh:
    """Run the proxies of a checkout's infra/mesh as real Envoy processes, with user-profile behind them."""

    @contextmanager
    def run(project: Project) -> Iterator[ProjectMesh]:
        with Supervisor() as supervisor:
            running = ProjectMesh(supervisor, project, free_ports(), shipped("profiles.json"))
            running.start()
            running.wait_ready()
            yield running

    return run


@pytest.fixture(scope="session")
def mesh(project: Project, run_mesh: RunMesh) -> Iterator[ProjectMesh]:
    """The mesh of this checkout, which no test may change."""
    with run_mesh(project) as running:
        yield running


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    """A folder with the project's commands, to be the first on the PATH of what runs many of them."""
    with preloaded() as folder:
        yield folder


@pytest.fixture(scope="session")
def edited(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """Copy infra/ and change texts in it, each given as (file, old, new); returns the copy."""

    def edit(*edits: Edit) -> Project:
        copy = tmp_path_factory.mktemp("project")
        shutil.copytree(project.root / "infra", copy / "infra", symlinks=True)
        for file, old, new in edits:
            path = copy / file
            text = path.read_text()
            assert text.count(old) == 1, f"{file} no longer holds {old!r} exactly once"
            path.write_text(text.replace(old, new))
        return Project.find(root=copy)

    return edit


@pytest.fixture(scope="session")
def lab(project: Project) -> Iterator[Lab]:
    """Everything: the mesh, the fakes and the function."""
    with ExitStack() as ends:
        # For the start alone: other fixtures of the session set it for their own tests.
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
            running = ends.enter_context(Lab(project))
        yield running


# OpenTelemetry is imported where a test asks for it: what is tested here looks whether the program has loaded it.


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A program that has set up OpenTelemetry's tracing: the spans that were made."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """A program that has set up OpenTelemetry's metrics: what was measured."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    yield reader
    provider.shutdown()
