"""Each way to run the enrichment takes the same events in the bench, with TLS, and each event becomes its own row."""

from collections.abc import Iterator

import pytest

from bench.enrich import push, stage
from bench.enrich.stage import Function, Stage
from bench.scale import pull, suite


@pytest.fixture(scope="module")
def up() -> Iterator[Stage]:
    with stage.standing(tls=True) as standing:
        assert standing.env_for("SIGNING_KEY_FILE")["GKE_GATEWAY_URL"].startswith("https://")
        yield standing


@pytest.mark.parametrize(
    "way", [suite.BEFORE, suite.SERVE_STORAGE, suite.WORK, suite.WORK_STORAGE], ids=lambda way: way.name
)
def test_every_way_writes_each_event_as_its_own_row(up: Stage, way: Function) -> None:
    run = pull.run if way.driver == "work" else push.run
    found = run(up, way, in_flight=16, seconds=0.3)
    assert found.delivered.events > 0
    assert found.delivered.p50_ms >= 30  # the time of a write alone
    assert found.lookups > 0
    assert 0 < found.inserts <= found.delivered.events
    assert found.cpu_s > 0
