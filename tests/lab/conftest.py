"""The command in this process, as it is or with a fake bench behind it."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.lab.bench.fakes import FakeBench, FakeMesh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Done"]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def real_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """Run `meshlab` with these arguments. A process of its own would import all of it for each run."""
    from meshlab.cli import main

    monkeypatch.setenv("COLUMNS", "80")
    # The command answers signals by itself, and pytest wants its own back.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["meshlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Done(code or 0, out, err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def command(real_command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run `meshlab` with these arguments; `mesh=` is what the bench loads."""
    monkeypatch.setattr("meshlab.bench.local_bench.LocalBench", FakeBench)

    def run(*arguments: object, mesh: FakeMesh | BaseException | None = None) -> Done:
        def load(_sources: object) -> FakeMesh:
            if isinstance(mesh, BaseException):
                raise mesh
            return mesh or FakeMesh()

        monkeypatch.setattr(FakeBench, "load_mesh", staticmethod(load), raising=False)
        return real_command(*arguments)

    return run
