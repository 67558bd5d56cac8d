"""The overlay that a finding's command applies is the one of the contract's MESH_AUTH."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.deploy import verified

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("auth", "overlay"), [("google-id-token", "keyless"), ("signed-jwt", "example")])
def test_an_address_without_a_load_balancer_is_mended_by_the_overlay_that_is_applied(
    auth: str, overlay: str, tmp_path: Path
) -> None:
    state = {
        "extends": str(verified.BASE),
        "says": "nothing answers on the address",
        "finds": ["address-unused"],
        "contract": {"MESH_AUTH": auth, "FUNCTION_SUBJECT": "1" * 21, "LOOKUP_SUBJECT": "2" * 21},
        "changes": {"addresses": [{"op": "replace", "path": "/0/status", "value": "RESERVED"}]},
    }
    recording = tmp_path / "state.json"
    recording.write_text(json.dumps(state))
    (found,) = [one for one in verified.report(recording)[1]["findings"] if one["id"] == "address-unused"]
    assert f"infra/mesh/overlays/{overlay}" in json.dumps(found)
