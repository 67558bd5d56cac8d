"""The package alone, installed by plain pip, answers lookups at its second entry point, and needs no table for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from meshpass.testing import ThrowawayKey

from deploy.steps.deploy.entry_points import LOOKUP
from tests.deploy.alone import environment, served
from tests.deploy.test_packaged_event import gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def lookup(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    key = ThrowawayKey()
    key_file = key.write(tmp_path_factory.mktemp("key") / "signing-key.pem")
    settings = environment(LOOKUP)
    local = {
        name: value
        for name, value in settings.items()
        if name not in {"GKE_GATEWAY_CA_FILE", "SIGNING_KEY_SECRET_ID"}
    }
    with gateway(key) as gateway_url:
        local |= {"GKE_GATEWAY_URL": gateway_url, "SIGNING_KEY_FILE": str(key_file)}
        with served(app, local, LOOKUP) as address, httpx.Client(base_url=address, timeout=30) as client:
            yield client


def test_a_lookup_is_answered_with_the_profile_and_then_from_the_cache(lookup: httpx.Client) -> None:
    answers = [lookup.get("/lookup/u-1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json() for answer in answers] == [{"user_id": "u-1", "plan": "gold"}] * 2
    assert [answer.headers["cache-status"] for answer in answers] == ["meshpass; fwd=miss", "meshpass; hit"]


def test_nothing_but_a_lookup_is_answered(lookup: httpx.Client) -> None:
    """Not even an event: a deployment of this entry point has no place to put one."""
    assert lookup.get("/").status_code == 404
    assert lookup.post("/lookup/u-1", json={"message": {}}).status_code == 405
