"""Tests of the generated client without a cluster: the gateway of `meshpass.testing` is in the place of the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshpass
import profile_lookup
import pytest
from meshpass.testing import FakeGateway, Reply
from user_profile_client.api.profiles import delete_profile, get_profile
from user_profile_client.errors import UnexpectedStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from user_profile_client import Client


@pytest.fixture
def client(meshpass_gateway: FakeGateway) -> Iterator[Client]:
    """The generated client, whose requests go to the gateway."""
    with (
        meshpass_gateway.client() as mesh,
        profile_lookup.generated_client(meshpass_gateway.base_url, meshpass.Transport(mesh)) as client,
    ):
        yield client


def test_a_profile_is_an_object_of_the_generated_class(client: Client, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.json({"user_id": "u-1", "name": "Ada"})
    assert profile_lookup.lookup(client, "u-1") == "u-1: Ada, no segment"
    assert meshpass_gateway.requests[0].headers["authorization"].startswith("Bearer ")


def test_a_described_404_is_an_object_too(client: Client, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.json(
        {"error": "profile_not_found", "user_id": "u-9"}, 404
    )
    assert profile_lookup.lookup(client, "u-9") == "u-9: unknown"


def test_a_status_that_is_not_described_is_an_error(client: Client, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.text("broken", 500)
    with pytest.raises(UnexpectedStatus):
        get_profile.sync("u-1", client=client)


def test_an_id_stays_one_segment_of_the_path(client: Client, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.json({"user_id": "a/b", "name": "Ada"})
    get_profile.sync("a/b", client=client)
    assert meshpass_gateway.requests[0].path == "/profile/a%2Fb"


def test_a_refusal_of_the_mesh_is_the_error_of_the_mesh(
    client: Client, meshpass_gateway: FakeGateway
) -> None:
    meshpass_gateway.allow = lambda request: request.method == "GET"
    with pytest.raises(meshpass.NotAllowed):
        delete_profile.sync_detailed("u-1", client=client)
