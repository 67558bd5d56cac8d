"""Whatever a caller's user types as an id, it stays one segment of the path, on the way through real Envoys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshpass
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.e2e.conftest import reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

    from tests.e2e.conftest import Caller

HOSTILE = [
    ".", "..", "...", "../admin", "..%2fadmin", "%2e%2e", "%2e%2e%2fadmin", "%252e%252e%252f", "..;/admin", "..\\admin",
    "/", "//", "//evil.example/", "a/b", "a//b", "a%2fb", "a%2Fb", "a%252Fb", "a\\b", "a%5cb",
    ";", "u-1001;admin=true", "?", "u-1001?admin=true", "#", "u-1001#x", "&", "=", "%", "%%", "%zz", "%00", "%0d%0a",
    "http://evil.example/", "@evil.example", ":80", "*", "{*}", "{user_id}", "healthz", "~", "+", " ", "a b", '"', "'",
    "é", "e\u0301", "\u202e", "\ufeff", "\u2025", "\uff0e\uff0e\uff0f", "\u2215", "😀", "\x7f", "a" * 8_000,
    "😀" * 4_096,
    "\r", "\n", "\r\n", "a\r\nHost: evil.example", "a HTTP/1.1\r\n\r\nGET /admin", "\x00", "a\x00b", "\ud800",
]  # fmt: skip
# What makes a path change its meaning somewhere on the way, and what does not.
_PARTS = st.sampled_from(
    [".", "/", "\\", "%", "2f", "2e", "5c", "00", ";", "?", "#", "\r", "\n", "\x00", "é", "a"]
)
VALUES = st.text(max_size=40) | st.lists(_PARTS, max_size=12).map("".join)


@pytest.fixture(scope="module")
def client(mesh: ProjectMesh, project: Project, caller: Caller) -> Iterator[meshpass.Client]:
    with meshpass.Client(auth=caller(mesh), **reach(mesh, project)) as client:
        yield client


def assert_stays_in_its_segment(client: meshpass.Client, value: str) -> None:
    """Either nothing was sent, or the application was asked for exactly this id."""
    try:
        answer = client.get("/profile/{user_id}", user_id=value)
    except meshpass.InvalidPathValue:
        return
    assert answer.json()["user_id"] == value
    assert answer.status_code == 200 or answer.json()["error"] == "profile_not_found"


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_a_hostile_value_reaches_its_own_segment_or_is_not_sent(client: meshpass.Client, value: str) -> None:
    assert_stays_in_its_segment(client, value)


@given(value=VALUES)
@example(value="u-1001")
@settings(max_examples=300, deadline=None)
def test_any_value_reaches_its_own_segment_or_is_not_sent(client: meshpass.Client, value: str) -> None:
    assert_stays_in_its_segment(client, value)


@given(name=VALUES, value=VALUES)
@settings(max_examples=100, deadline=None)
def test_no_query_changes_the_path(client: meshpass.Client, name: str, value: str) -> None:
    try:
        answer = client.get("/profile/{user_id}", user_id="u-1001", params={name: value})
    except meshpass.InvalidRequest:
        return
    assert answer.json()["user_id"] == "u-1001"


def test_a_value_too_long_for_the_mesh_is_refused_as_such(client: meshpass.Client) -> None:
    with pytest.raises(meshpass.RequestRefused) as caught:
        client.get("/profile/{user_id}", user_id="a" * 61_000)
    assert (caught.value.status, caught.value.answered_by) == (431, "gateway")


def test_a_value_too_long_for_any_url_is_refused_too(client: meshpass.Client) -> None:
    with pytest.raises(meshpass.MeshError):
        client.get("/profile/{user_id}", user_id="a" * 1_000_000)
