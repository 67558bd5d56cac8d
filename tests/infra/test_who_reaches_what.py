"""Who reaches the services of the project's own mesh: their callers through the gateway, and the gateway itself."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.battery.derive import derive
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.env_file import read_env_file
from meshlab.reach.matrix import matrices
from meshlab.reach.run import ask

if TYPE_CHECKING:
    from meshlab.reach.matrix import Matrix

ROOT = Path(__file__).parents[2]
GATEWAY = "istio-ingress/istio-internal-gateway"
GOOGLE = "issued by https://accounts.google.com"


@pytest.fixture(scope="module")
def found() -> dict[str, Matrix]:
    with closing(LocalBench()) as bench:
        mesh = bench.load(Sources((str(ROOT / "infra/mesh/overlays/example"),)))
        battery = derive([mesh.mesh])
        assert len(battery.questions) <= 340
        run, answers = ask(mesh, battery)
        assert {outcome.state for outcome in run.outcomes} == {"seen"}
        return {matrix.target: matrix for matrix in matrices(answers)}


def test_user_profile_is_reached_by_its_callers_and_by_the_gateway_with_their_tokens(
    found: dict[str, Matrix],
) -> None:
    issuer = read_env_file(ROOT / "infra/contract.env")["JWT_ISSUER"]
    callers = (f"token of {issuer}", f"token with sub 100000000000000000001, {GOOGLE}")
    places = (f"outside {GATEWAY}", f"{GATEWAY} past its sidecar")
    assert set(found["user-profile/user-profile"].reached_by) == {
        f"{place}, {caller}" for place in places for caller in callers
    }
    asked = found["user-profile/user-profile"].callers
    assert f"outside {GATEWAY}" in asked
    assert f"outside {GATEWAY}, token of {issuer} (expired)" in asked
    assert "stranger/stranger" in asked


def test_orders_is_reached_by_its_two_callers(found: dict[str, Matrix]) -> None:
    callers = [f"token with sub 10000000000000000000{number}, {GOOGLE}" for number in (1, 2)]
    # It has the audience of this caller, and another one that user-profile asks for, where the gateway leads as well.
    callers.append(f"{callers[1]} (also for internal-reports)")
    assert {name for name in found["orders/orders"].reached_by if name.startswith("outside")} == {
        f"outside {GATEWAY}, {caller}" for caller in callers
    }


def test_no_request_is_answered_by_another_application_and_none_stops_at_the_gateway_as_if_it_were_one(
    found: dict[str, Matrix],
) -> None:
    assert [answer for matrix in found.values() for answer in matrix.answers if answer.elsewhere] == []
    assert found[GATEWAY].reached_by == ()


def test_a_workload_without_policies_is_reached_by_none(found: dict[str, Matrix]) -> None:
    assert found["stranger/stranger"].reached_by == ()
    assert len(found["stranger/stranger"].callers) > 3
