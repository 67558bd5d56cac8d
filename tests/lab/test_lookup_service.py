"""The user-profile service, over a real socket."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from meshlab.cloud.serving import serving
from meshlab.lab.lookup_service import LookupApp, ProfilesError, load_profiles
from meshlab.lab.pipeline import Lookup

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

PROFILES: dict[str, dict[str, Any]] = {
    "u-1": {"user_id": "u-1", "name": "Ada"},
    "zoë-å": {"user_id": "zoë-å", "name": "Zoë"},
    "用户-7": {"user_id": "用户-7", "name": "王"},
    "o'brien+tag@example.com": {"user_id": "o'brien+tag@example.com"},
    "a/b": {"user_id": "a/b"},
    "a%2Fb": {"user_id": "a%2Fb"},
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with (
        serving(LookupApp([(Lookup(), PROFILES)])) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("path", "user_id"),
    [
        ("/profile/u-1", "u-1"),
        ("/profile/zo%C3%AB-%C3%A5", "zoë-å"),
        ("/profile/%E7%94%A8%E6%88%B7-7", "用户-7"),
        ("/profile/o'brien+tag@example.com", "o'brien+tag@example.com"),
        ("/profile/o%27brien%2Btag%40example.com", "o'brien+tag@example.com"),
        ("/profile/a%2Fb", "a/b"),
        ("/profile/a%252Fb", "a%2Fb"),
        ("/profile/u-1?verbose=1", "u-1"),
        ("/profile/u-1?=%C2%80", "u-1"),
        ("/profile/u-1?%ff=%fe", "u-1"),
    ],
)
def test_a_known_user_id_is_decoded_once_and_answered_with_its_profile(
    client: httpx.Client, path: str, user_id: str
) -> None:
    reply = client.get(path)

    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == PROFILES[user_id]


def test_an_unknown_user_id_is_answered_404_with_the_id_asked_for(client: httpx.Client) -> None:
    reply = client.get("/profile/no%20one-%C3%A9")

    assert reply.status_code == 404
    assert reply.json() == {"error": "profile_not_found", "user_id": "no one-é"}


def test_a_user_id_that_is_not_utf_8_is_unknown(client: httpx.Client) -> None:
    reply = client.get("/profile/%FF")

    assert (reply.status_code, reply.json()["error"]) == (404, "profile_not_found")


@pytest.mark.parametrize(
    "path", ["/", "/profile", "/profile/", "/profile/u-1/", "/profile/u-1/x", "/profiles"]
)
def test_any_other_path_is_not_found(client: httpx.Client, path: str) -> None:
    reply = client.get(path)

    assert (reply.status_code, reply.json()) == (404, {"error": "not_found"})


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/profile/u-1", "/healthz"])
def test_any_method_but_get_is_refused(client: httpx.Client, method: str, path: str) -> None:
    reply = client.request(method, path)

    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")


def test_a_connection_stays_usable_after_a_request_with_a_body(client: httpx.Client) -> None:
    assert client.post("/profile/u-1", json={"x": "y" * 100_000}).status_code == 405
    assert client.get("/profile/u-1").status_code == 200


def test_healthz_answers_200(client: httpx.Client) -> None:
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("content", [{"u-1": {"name": "Ada"}}, [{"user_id": "u-1", "name": "Ada"}]])
def test_profiles_may_be_an_object_by_user_id_or_a_list(tmp_path: pathlib.Path, content: object) -> None:
    file = tmp_path / "profiles.json"
    file.write_text(json.dumps(content))

    assert load_profiles(file) == {"u-1": {"user_id": "u-1", "name": "Ada"}}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        pytest.param("[" * 100_000, "not JSON", id="deep"),
        ('"x"', "neither an object by user_id nor a list"),
        ('{"u-1": 3}', "the profile 'u-1' is not an object"),
        ('{"u-1": {"user_id": "u-2"}}', "has another user_id: 'u-2'"),
        ('[{"name": "Ada"}]', "the profile number 1 has no user_id"),
        ('[{"user_id": "u-1"}, {"user_id": "u-1"}]', "the profile number 2 repeats the user_id 'u-1'"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_the_reason(
    tmp_path: pathlib.Path, content: str, complaint: str
) -> None:
    file = tmp_path / "profiles.json"
    file.write_text(content)

    with pytest.raises(ProfilesError, match=complaint) as caught:
        load_profiles(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_ends_the_process_with_one_clear_line(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "meshlab.lab.lookup_service", "--profiles", str(tmp_path / "none.json")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "none.json: No such file or directory" in result.stderr


def test_the_profiles_that_ship_are_forty_with_non_ascii_ids_among_them() -> None:
    with resources.as_file(resources.files("meshlab") / "data" / "profiles.json") as file:
        profiles = load_profiles(file)

    assert len(profiles) == 40
    assert {"u-1001", "zoë-å", "用户-7", "o'brien+tag@example.com"} <= set(profiles)
    for profile in profiles.values():
        assert set(profile) == {"user_id", "name", "email", "segment", "country", "since"}
        assert profile["email"].endswith("@example.com")


def test_a_key_in_the_query_is_decoded_once() -> None:
    lookup = Lookup(path="/profile", query=("user_id",))
    with (
        serving(LookupApp([(lookup, PROFILES)])) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as client,
    ):
        assert client.get("/profile?user_id=%E7%94%A8%E6%88%B7-7").json() == PROFILES["用户-7"]
        assert client.get("/profile?user_id=a%252Fb").json() == PROFILES["a%2Fb"]
        assert client.get("/profile?user_id=%ff").status_code == 404
        assert client.get("/profile?other=u-1").json() == {"error": "not_found"}


def test_each_part_of_a_key_is_repeated_in_its_own_field() -> None:
    lookup = Lookup(path="/shops/{shop}", query=("sku",), echo="", echoes=(("item", 1), ("of", 0)))
    with (
        serving(LookupApp([(lookup, {"de/A-1": {"stock": 3}})])) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as client,
    ):
        known, unknown = client.get("/shops/de?sku=A-1&limit=1"), client.get("/shops/de?sku=B-2")

    assert known.json() == {"item": "A-1", "of": "de", "stock": 3}
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"error": "profile_not_found", "item": "B-2", "of": "de"},
    )
