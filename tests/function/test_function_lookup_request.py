"""What one event asks a service for: values alone, never host, path structure or headers."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from enrichment.errors import BadEventError
from enrichment.expressions import Scope, compile_expression
from enrichment.lookup.request import MAX_BODY_BYTES, LookupRequest, Requests
from enrichment.settings.lookup_rules import Body, Constant, DeclaredField, LookupRules, Source
from hypothesis import given
from hypothesis import strategies as st

ROOTS = ("event", "message")


def source(text: str) -> Source:
    return compile_expression(text, ROOTS)


def lookup(
    path: str = "/", query: dict[str, str] | None = None, body: Body = None, **values: str
) -> LookupRules:
    return LookupRules(
        path,
        {name: source(text) for name, text in values.items()},
        query={name: source(text) for name, text in (query or {}).items()},
        body=body,
    )


def asked(rules: LookupRules, event: object, declared: dict[str, object] | None = None) -> object:
    scope = Scope({"event": event, "message": {"attributes": {"region": "eu"}}}, declared or {})
    return Requests(rules).of_event(scope)


def refused(rules: LookupRules, event: object) -> tuple[str, str]:
    with pytest.raises(BadEventError) as caught:
        asked(rules, event)
    return caught.value.reason, caught.value.detail


def test_a_declared_field_is_the_key_as_it_was_checked() -> None:
    rules = LookupRules("/{user}", {"user": DeclaredField("user")})
    assert asked(rules, {"user": "ignored"}, {"user": "u-1"}) == "u-1"
    assert asked(rules, {}, {"user": None}) is None


@pytest.mark.parametrize(
    ("event", "key"),
    [
        ({"user": {"id": "u-1"}, "anonymous": "a-1"}, "u-1"),
        ({"user": {}, "anonymous": "a-1"}, "a-1"),
        ({"user": {"id": ""}, "anonymous": "a-1"}, "a-1"),
        ({"user": {"id": 7}}, LookupRequest((7,))),
        ({"user": {"id": 7.0}}, LookupRequest((7,))),
        ({"user": {"id": -(2**63)}}, LookupRequest((-(2**63),))),
        ({"user": {"id": "550e8400-e29b-41d4-a716-446655440000"}}, "550e8400-e29b-41d4-a716-446655440000"),
        ({"user": "no object"}, None),
        ({}, None),
    ],
)
def test_a_key_may_come_from_either_of_two_fields_and_may_be_a_number(event: object, key: object) -> None:
    assert asked(lookup(user="event.user.id || event.anonymous"), event) == key


def test_a_key_may_be_an_attribute_of_the_message() -> None:
    assert asked(lookup(region="message.attributes.region"), {}) == "eu"


@pytest.mark.parametrize(
    "value", [True, 1.5, {}, {"a": 1}, [], ["u"], 1e300, "x" * 4097], ids=lambda value: str(value)[:10]
)
def test_what_cannot_be_a_key_is_the_events_own_doing_and_the_setting_is_named(value: object) -> None:
    reason, detail = refused(lookup(user="event.user"), {"user": value})
    assert reason == "key_invalid"
    assert detail.startswith("lookup.user ")
    assert "xxx" not in detail


def test_an_expression_that_cannot_be_evaluated_names_the_setting_and_no_value() -> None:
    reason, detail = refused(lookup(user="lower(event.user)"), {"user": 41111111})
    assert (reason, detail.partition(":")[0]) == ("event_invalid", "lookup.user")
    assert "4111" not in detail


def test_several_values_stay_apart() -> None:
    rules = lookup("/{a}/{b}", a="event.a", b="event.b")
    assert asked(rules, {"a": "1/2", "b": "3"}) == LookupRequest(("1/2", "3"))
    assert asked(rules, {"a": "1", "b": "2/3"}) == LookupRequest(("1", "2/3"))
    assert asked(rules, {"a": "1"}) is None


def test_a_parameter_without_a_value_is_left_out_and_a_list_makes_several() -> None:
    rules = lookup(query={"a": "event.a", "b": "event.b", "c": "event.c"}, k="event.k")
    assert asked(rules, {"k": "u", "a": None, "b": [1, "x&y=z", None, True], "c": 2.5}) == LookupRequest(
        ("u",), (("b", ("1", "x&y=z", "true")), ("c", "2.5"))
    )
    assert refused(rules, {"k": "u", "a": {"x": 1}})[1].startswith("lookup.query.a ")


def test_path_and_query_together_are_bounded() -> None:
    rules = lookup(query={"q": "event.q"}, k="event.k")
    assert refused(rules, {"k": "k" * 3000, "q": ["q" * 600] * 3})[0] == "key_invalid"


def test_a_body_holds_values_as_they_are_and_its_text_is_part_of_what_is_remembered() -> None:
    rules = lookup(
        body={"filter": {"ids": source("event.ids"), "none": source("event.none")}, "n": Constant(5)}
    )
    found = asked(rules, {"ids": ['"', "}", 7]})
    assert isinstance(found, LookupRequest)
    assert json.loads(found.body or b"") == {"filter": {"ids": ['"', "}", 7]}, "n": 5}
    assert found != asked(rules, {"ids": ['"', "}", "7"]})


@pytest.mark.parametrize("ids", [None, [], "", {}])
def test_constants_alone_are_no_key(ids: object) -> None:
    body: Body = {"ids": source("event.ids"), "limit": Constant(5)}
    assert asked(lookup(body=body), {"ids": ids}) is None
    rules = LookupRules("/", {}, query={"ids": source("event.ids"), "limit": Constant(5)})
    assert ids == {} or asked(rules, {"ids": ids}) is None


def test_a_body_is_bounded() -> None:
    body: Body = {"ids": source("event.ids")}
    assert refused(lookup(body=body), {"ids": "x" * MAX_BODY_BYTES})[0] == "key_invalid"


def test_times_are_written_as_text() -> None:
    rules = LookupRules("/", {}, query={"at": DeclaredField("at")}, body={"at": DeclaredField("at")})
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert asked(rules, {}, {"at": at}) == LookupRequest(
        (), (("at", "2026-03-01T12:00:00Z"),), b'{"at":"2026-03-01T12:00:00Z"}'
    )


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("x", True),
        (0, True),
        (True, True),
        (None, False),
        (False, False),
        ("", False),
        ([], False),
        ({}, False),
    ],
)
def test_a_condition_is_true_as_jmespath_says(value: object, wanted: bool) -> None:
    rules = LookupRules("/", {}, when=compile_expression("event.x", ROOTS))
    assert Requests(rules).is_wanted(Scope({"event": {"x": value}})) is wanted


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(event=st.dictionaries(st.sampled_from(["k", "q", "b"]), JSON))
def test_no_event_makes_anything_but_a_request_a_missing_key_or_a_bad_event(event: dict[str, object]) -> None:
    rules = lookup(query={"q": "event.q"}, body={"b": source("event.b")}, k="event.k")
    with contextlib.suppress(BadEventError):
        found = asked(rules, event)
        assert found is None or isinstance(found, LookupRequest)
        hash(found)
