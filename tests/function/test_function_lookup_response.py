"""The service's answer is joined only if it is a profile, and of the very key that was asked for."""

import pytest
from enrichment.errors import EnrichmentError, FaultError, TransientError
from enrichment.lookup.overload import OverloadError
from enrichment.lookup.request import LookupRequest
from enrichment.lookup.response import read_response
from enrichment.settings.lookup_rules import Echo, MissRule
from msgspec.structs import replace

from .lookup_cases import PROFILE, of_key

RULES = PROFILE
ORDERS = replace(
    RULES, echo=(Echo(("order",)),), miss=MissRule(404, ("error",), "no_such_order", repeats_key=True)
)


def test_a_profile_is_taken_as_it_came_and_parsed_once_for_all() -> None:
    profile = read_response(200, b'{"user_id":  "u", "n": 1.0, "\xc3\xa9": [null]}', of_key("u"), RULES)
    assert profile is not None
    assert profile.text == '{"user_id":  "u", "n": 1.0, "é": [null]}'
    assert profile.document == {"user_id": "u", "n": 1.0, "é": [None]}


def test_a_key_that_the_service_does_not_know_is_an_answer() -> None:
    assert read_response(404, b'{"error": "profile_not_found", "user_id": "u"}', of_key("u"), RULES) is None


def test_the_contract_is_what_the_configuration_says() -> None:
    profile = read_response(200, b'{"order": "7", "user_id": "somebody"}', of_key("7"), ORDERS)
    assert profile is not None
    assert profile.document["order"] == "7"
    assert read_response(404, b'{"error": "no_such_order", "order": "7"}', of_key("7"), ORDERS) is None
    with pytest.raises(FaultError):
        read_response(404, b'{"error": "profile_not_found", "order": "7"}', of_key("7"), ORDERS)


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (404, b'{"error": "profile_not_found", "user_id": "v"}', FaultError, "service_answer_unexpected"),
        (404, b'{"error": "profile_not_found"}', FaultError, "service_answer_unexpected"),
        (404, b'{"error": "not_found", "user_id": "u"}', FaultError, "service_answer_unexpected"),
        (404, b'["profile_not_found"]', FaultError, "service_answer_unexpected"),
        (404, b"", FaultError, "service_answer_unexpected"),
        (200, b'{"user_id": "v"}', FaultError, "profile_mismatch"),
        (200, b'{"user_id": "U"}', FaultError, "profile_mismatch"),
        (200, b'{"user_id": 1}', FaultError, "profile_mismatch"),
        (200, b'{"user_id": true}', FaultError, "profile_malformed"),
        (200, b'{"user_id": 1.0}', FaultError, "profile_malformed"),
        (200, b"{}", FaultError, "profile_malformed"),
        (200, b'{"user_id": "v", "user_id": "u"}', FaultError, "profile_malformed"),
        (200, b'{"user_id": "u", "n": 1e999}', FaultError, "profile_malformed"),
        (200, b'["u"]', FaultError, "profile_malformed"),
        (200, b'{"user_id": "u"', FaultError, "profile_malformed"),
        (200, b"\xff", FaultError, "profile_malformed"),
        (200, b"", FaultError, "profile_malformed"),
        (204, b"", FaultError, "service_answer_unexpected"),
        (302, b"", FaultError, "service_answer_unexpected"),
        (400, b"", FaultError, "service_answer_unexpected"),
        (408, b"", TransientError, "service_unavailable"),
        (429, b"", OverloadError, "service_unavailable"),
        (500, b"", TransientError, "service_unavailable"),
        (502, b"", TransientError, "service_unavailable"),
        (503, b"", OverloadError, "service_unavailable"),
        (504, b"", OverloadError, "service_unavailable"),
    ],
)
def test_an_answer_outside_the_contract_is_never_the_events_fault(
    status: int, body: bytes, kind: type, reason: str
) -> None:
    with pytest.raises(EnrichmentError) as caught:
        read_response(status, body, of_key("u"), RULES)
    assert (type(caught.value), caught.value.reason) == (kind, reason)


def test_no_value_of_the_answer_is_repeated_in_an_error() -> None:
    for body in (b'{"user_id": "4111-1111"}', b'{"user_id": 41111111}', b'{"4111-1111": 1, "4111-1111": 2}'):
        with pytest.raises(FaultError) as caught:
            read_response(200, body, of_key("u"), RULES)
        assert "4111" not in str(caught.value)


def test_an_overloaded_service_says_when_to_come_back() -> None:
    with pytest.raises(OverloadError) as caught:
        read_response(429, b"", of_key("u"), RULES, retry_after_s=3.0)
    assert caught.value.retry_after_s == 3.0


NOTHING = replace(PROFILE, echo=(), miss=None)
STATUS = replace(NOTHING, miss=MissRule(404))


def test_without_echo_any_object_is_the_profile() -> None:
    profile = read_response(200, b'{"plan": "pro"}', of_key("u"), NOTHING)
    assert profile is not None
    assert profile.document == {"plan": "pro"}


def test_without_a_miss_rule_an_unknown_key_is_a_fault() -> None:
    with pytest.raises(FaultError, match="say so in the lookup's miss_error or miss") as caught:
        read_response(404, b'{"error": "profile_not_found", "user_id": "u"}', of_key("u"), NOTHING)
    assert caught.value.reason == "service_answer_unexpected"


@pytest.mark.parametrize("body", [b"", b"not found", b"<html>", b"{}"])
def test_a_status_alone_is_a_miss_only_if_the_mesh_says_that_it_came_from_the_service(body: bytes) -> None:
    assert read_response(404, body, of_key("u"), STATUS, from_service=True) is None
    with pytest.raises(FaultError) as caught:
        read_response(404, body, of_key("u"), STATUS, from_service=False)
    assert caught.value.reason == "service_answer_unexpected"
    assert "x-envoy-upstream-service-time" in caught.value.detail


@pytest.mark.parametrize("status", [400, 403, 410, 500])
def test_another_status_is_no_miss(status: int) -> None:
    with pytest.raises(EnrichmentError):
        read_response(status, b"", of_key("u"), STATUS)


def test_a_field_of_a_good_answer_may_say_that_there_is_no_profile() -> None:
    rules = replace(NOTHING, miss=MissRule(200, ("result", "found"), False))
    assert read_response(200, b'{"result": {"found": false}}', of_key("u"), rules) is None
    for body in (b'{"result": {"found": 0}}', b'{"result": {"found": true}}', b'{"result": "found"}'):
        assert read_response(200, body, of_key("u"), rules) is not None


def test_a_miss_must_repeat_the_key_only_where_the_rule_says_so() -> None:
    body = b'{"error": "profile_not_found"}'
    rules = replace(PROFILE, miss=MissRule(404, ("error",), "profile_not_found", repeats_key=False))
    assert read_response(404, body, of_key("u"), rules) is None


@pytest.mark.parametrize(
    ("asked", "echo", "same"),
    [
        ("7", "7", True),
        ("7", '"7"', True),
        ("7", "7.0", False),
        ("07", "7", False),
        ("1", "true", False),
        ("U", '"u"', False),
        ("550e8400-e29b-41d4-a716-446655440000", '"550E8400-E29B-41D4-A716-446655440000"', True),
        ("550e8400-e29b-41d4-a716-446655440000", '"550E8400-E29B-41D4-A716-446655440001"', False),
        ("Z50e8400-e29b-41d4-a716-446655440000", '"z50E8400-E29B-41D4-A716-446655440000"', False),
    ],
)
def test_a_key_is_repeated_by_the_same_number_text_or_uuid(asked: str, echo: str, same: bool) -> None:
    def read() -> object:
        return read_response(200, f'{{"user_id": {echo}}}'.encode(), of_key(asked), PROFILE)

    if same:
        assert read()
    else:
        with pytest.raises(FaultError):
            read()


def test_every_value_that_an_answer_must_repeat_is_compared() -> None:
    rules = replace(PROFILE, echo=(Echo(("shop",), 0), Echo(("user", "id"), 1), Echo(("region",), "region")))
    request = LookupRequest((5, "u"), (("region", "eu"),))
    assert read_response(200, b'{"shop": 5, "user": {"id": "u"}, "region": "eu"}', request, rules)
    for body in (
        b'{"shop": 6, "user": {"id": "u"}, "region": "eu"}',
        b'{"shop": 5, "user": {"id": "v"}, "region": "eu"}',
        b'{"shop": 5, "user": {"id": "u"}, "region": "us"}',
    ):
        with pytest.raises(FaultError) as caught:
            read_response(200, body, request, rules)
        assert caught.value.reason == "profile_mismatch"
