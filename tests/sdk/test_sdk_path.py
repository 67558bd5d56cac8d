"""One value is one path segment, whatever is in it."""

from urllib.parse import unquote

import httpx
import meshpass
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from meshpass._call.path import fill_path
from yarl import URL

_ORIGIN = "http://user-profile.internal"


@given(st.text())
@example("../admin")
@example("..%2f..")
@example("a/b?c#d;e\\f")
@example("%2e%2e")
@example("\u2025")
def test_a_value_never_leaves_its_segment(value: str) -> None:
    try:
        path = fill_path("/profile/{user_id}/card", {"user_id": value})
    except meshpass.InvalidPathValue:
        return

    # What goes over the wire, by either engine's own URL type.
    wire = {httpx.URL(_ORIGIN + path).raw_path.decode(), URL(_ORIGIN + path, encoded=True).raw_path_qs}
    assert wire == {path}
    before, segment, after = path.split("/")[1:]
    assert (before, after) == ("profile", "card")
    assert unquote(segment) == value
    assert segment not in (".", "..")


@given(st.integers())
def test_an_integer_is_written_in_decimal(value: int) -> None:
    assert fill_path("/n/{value}", {"value": value}) == f"/n/{value}"


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a\r\nb", "\x00", "\x7f", "\x85", "\ud800", None, True, 1.5, b"x"]
)
def test_a_value_that_cannot_be_a_segment_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(meshpass.InvalidPathValue) as caught:
        fill_path("/profile/{user_id}", {"user_id": value})

    assert "user_id" in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("template", "value"), [("/a/.{v}", "."), ("/a/%2E{v}", "."), ("/a/{v}%2e", ".")])
def test_a_dot_segment_made_together_with_the_template_is_refused(template: str, value: str) -> None:
    with pytest.raises(meshpass.InvalidPathValue):
        fill_path(template, {"v": value})


@pytest.mark.parametrize(
    "template",
    [
        "https://evil.test/x",
        "//evil.test/x",
        "/redirect/http://evil.test",
        "profile",
        "",
        "/a//b",
        "/a?b=c",
        "/a#b",
        "/a b",
        "/a\\b",
        "/ü",
        "/a%zz",
        "/a\r\nx: y",
        "/{}",
        "/{0}",
        "/{a.b}",
        "/{a!r}",
        "/{",
        "/a}",
    ],
)
def test_a_template_that_is_not_a_plain_path_is_refused(template: str) -> None:
    with pytest.raises(meshpass.InvalidRequest):
        fill_path(template, {})


@pytest.mark.parametrize("template", ["/a/../b", "/a/./b", "/a/%2e%2E/b", "/.."])
def test_a_template_with_dot_segments_is_refused(template: str) -> None:
    with pytest.raises(meshpass.InvalidRequest):
        fill_path(template, {})


@pytest.mark.parametrize("values", [{}, {"user_id": "a", "other": "b"}, {"other": "b"}])
def test_values_and_placeholders_must_match(values: dict[str, str]) -> None:
    with pytest.raises(meshpass.InvalidRequest, match=r"has no (placeholder|value for) "):
        fill_path("/profile/{user_id}", values)


def test_a_plain_path_stays_as_it_is() -> None:
    assert fill_path("/", {}) == "/"
    assert fill_path("/v1/a:b@c;d=e,(f)%20/", {}) == "/v1/a:b@c;d=e,(f)%20/"
    assert fill_path("/v1/{a}/{b}.json/{a}", {"a": "x y", "b": "1"}) == "/v1/x%20y/1.json/x%20y"
