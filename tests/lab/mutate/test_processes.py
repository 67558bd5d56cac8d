"""Mutants on meshes in processes of their own: the same results, what ends them, and nothing that is left behind."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.protocol import BenchError
from meshlab.mutate import processes
from meshlab.mutate.edits import REMOVED
from meshlab.mutate.process_work import sendable
from meshlab.mutate.processes import MutationProcesses, mutation_processes
from meshlab.mutate.run import CasesFailError, mutation_run

from tests.lab.mutate.giving_back import FIRST, give_back, work_but_for_the_first
from tests.lab.mutate.shop import CASES, cases, shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def two() -> Iterator[MutationProcesses]:
    objects = shop()
    mutants = [one for one in objects.mutants() if one.kind == "AuthorizationPolicy"]
    with mutation_processes(objects, cases(), mutants, find=True, processes=2) as run:
        yield run
    assert multiprocessing.active_children() == []


def test_two_processes_find_what_one_mesh_finds_in_the_same_order(two: MutationProcesses) -> None:
    objects = shop()
    mutants = [one for one in objects.mutants() if one.kind == "AuthorizationPolicy"]
    with mutation_run(objects, cases(), find=True) as run:
        alone = [(str(each.mutant), each.state, each.missing is None) for each in run.run(mutants)]
        assert [(str(each.mutant), each.state, each.missing is None) for each in two.results()] == alone
        assert two.cases == run.cases
        assert set(two.not_covered) == set(run.not_covered)


def test_cases_that_fail_in_a_process_are_reported_with_their_outcomes() -> None:
    wrong = CASES.replace("200 shop/cart", "404 shop/cart")
    objects = shop()
    with pytest.raises(CasesFailError, match=r"cases\.yaml:4.*: open: failed") as raised:
        MutationProcesses(objects, cases(wrong), list(objects.mutants()), processes=2)
    assert [outcome.state for outcome in raised.value.outcomes] == ["failed"]
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_ends_the_run_with_a_sentence() -> None:
    objects = shop()
    mutants = list(objects.mutants()) * 100
    with mutation_processes(objects, cases(), mutants, processes=2) as run, closing(run.results()) as results:
        next(results)
        victim = multiprocessing.active_children()[0]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(BenchError, match="ended with exit code -9: run again"):
            list(results)
    assert multiprocessing.active_children() == []


def test_others_ask_what_a_process_without_room_for_its_proxies_gives_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "work", work_but_for_the_first)
    monkeypatch.setenv(FIRST, str(tmp_path / "first"))
    objects = shop()
    mutants = [one for one in objects.mutants() if one.kind == "PeerAuthentication"]
    with mutation_processes(objects, cases(), mutants, processes=2) as run:
        assert [result.mutant for result in run.results()] == mutants
    assert (tmp_path / "first").exists()


def test_a_run_without_room_for_any_proxies_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "work", give_back)
    objects = shop()
    with (
        mutation_processes(objects, cases(), list(objects.mutants()), processes=2) as run,
        pytest.raises(BenchError, match="no inotify instance is left"),
    ):
        list(run.results())
    assert multiprocessing.active_children() == []


def test_a_run_that_is_left_early_ends_its_processes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHLAB_LOG", "processes=debug")
    objects = shop()
    mutants = list(objects.mutants()) * 100
    with mutation_processes(objects, cases(), mutants, processes=2) as run, closing(run.results()) as results:
        taken = [next(results).mutant for _ in range(3)]
    assert taken == mutants[:3]
    assert multiprocessing.active_children() == []
    log = capfd.readouterr().err
    started, stopped = (
        re.findall(rf"supervisor: {did} .*process (\d+)", log) for did in ("started", "stopped")
    )
    assert sorted(started) == sorted(stopped) != []


def test_a_value_that_is_removed_is_the_same_in_another_process() -> None:
    import pickle

    assert pickle.loads(pickle.dumps(REMOVED)) is REMOVED


def test_an_error_that_no_other_process_can_raise_arrives_in_words() -> None:
    class LockedError(Exception):
        def __init__(self) -> None:
            super().__init__("no key")
            self.lock = threading.Lock()

    arrived = sendable(LockedError())
    assert (type(arrived), str(arrived)) == (RuntimeError, "LockedError: no key")


def test_an_unforeseen_error_brings_its_traceback() -> None:
    def fail() -> None:
        raise KeyError("port")

    try:
        fail()
    except KeyError as error:
        arrived = sendable(error)
    assert isinstance(arrived, KeyError)
    assert "in fail" in arrived.__notes__[0]


def test_a_foreseen_error_arrives_as_it_is() -> None:
    arrived = sendable(BenchError("Envoy did not start"))
    assert (type(arrived), str(arrived), getattr(arrived, "__notes__", [])) == (
        BenchError,
        "Envoy did not start",
        [],
    )
