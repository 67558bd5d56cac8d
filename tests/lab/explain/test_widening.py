"""What changes would let in beside the request that they were made for; the mesh without a change is asked once."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.explain.run import explain_cases
from meshlab.inputs import Inputs

from tests.lab.mutate.shop import shop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest
    from meshlab.bench.case import Case
    from meshlab.bench.local_bench import LocalEngine
    from meshlab.bench.protocol import Setup

CASE = """
cases:
- {name: closed, from: {outside: edge/door}, request: "GET http://shop.example/closed", expect: 403}
"""


def test_each_change_says_what_else_it_lets_in_and_the_battery_is_sent_to_the_mesh_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[LocalMesh, int]] = []
    running = LocalBench.running

    @contextmanager
    def counted(
        self: LocalBench, loaded: LocalMesh, setup: Setup, cases: Sequence[Case], jobs: int
    ) -> Iterator[LocalEngine]:
        sent.append((loaded, len(cases)))
        with running(self, loaded, setup, cases, jobs) as engine:
            yield engine

    monkeypatch.setattr(LocalBench, "running", counted)
    files = [parse_case_file(CASE, "cases.yaml")]
    with closing(LocalBench(condition_probes=True)) as bench:
        loaded = LocalMesh(bench, Inputs(shop().manifests, (), (), ()), None)
        (found,) = explain_cases(bench, loaded, files, files[0].cases)
    assert [change.verified for change in found.changes] == [True, True]
    for change in found.changes:
        assert "GET shop.example/%63losed" in [also.request for also in change.widens]
    # The case itself, the battery, and after each change the few requests that ended otherwise.
    case, battery, *again = [count for mesh, count in sent if mesh is loaded]
    assert (case, len(again)) == (1, 2)
    assert max(again) < battery / 2
