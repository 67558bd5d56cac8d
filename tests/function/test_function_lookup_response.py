"""The service's answer is joined only if it is a profile, and of the very key that was asked for."""

import dataclasses

import pytest
from enrichment.errors import EnrichmentError, FaultError, TransientError
from enrichment.lookup.overload import OverloadError
from enrichment.lookup.response import read_response
from enrichment.settings.model import LookupRules

RULES = LookupRules(
    path="/profile/{user_id}",
    key=("user_id",),
    echo="user_id",
    miss_error="profile_not_found",
)
ORDERS = dataclasses.replace(RULES, echo="order", miss_error="no_such_order")


def test_a_profile_is_taken_as_it_came_and_parsed_once_for_all() -> None:
    profile = read_response(200, b'{"user_id":  "u", "n": 1.0, "\xc3\xa9": [null]}', "u", RULES)
    assert profile is not None
    assert profile.text == '{"user_id":  "u", "n": 1.0, "é": [null]}'
    assert profile.document == {"user_id": "u", "n": 1.0, "é": [None]}


def test_a_key_that_the_service_does_not_know_is_an_answer() -> None:
    assert read_response(404, b'{"error": "profile_not_found", "user_id": "u"}', "u", RULES) is None


def test_the_contract_is_what_the_configuration_says() -> None:
    profile = read_response(200, b'{"order": "7", "user_id": "somebody"}', "7", ORDERS)
    assert profile is not None
    assert profile.document["order"] == "7"
    assert read_response(404, b'{"error": "no_such_order", "order": "7"}', "7", ORDERS) is None
    with pytest.raises(FaultError):
        read_response(404, b'{"error": "profile_not_found", "order": "7"}', "7", ORDERS)


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
        (200, b'{"user_id": 1}', FaultError, "profile_malformed"),
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
        read_response(status, body, "u", RULES)
    assert (type(caught.value), caught.value.reason) == (kind, reason)


def test_no_value_of_the_answer_is_repeated_in_an_error() -> None:
    for body in (b'{"user_id": "4111-1111"}', b'{"user_id": 41111111}', b'{"4111-1111": 1, "4111-1111": 2}'):
        with pytest.raises(FaultError) as caught:
            read_response(200, body, "u", RULES)
        assert "4111" not in str(caught.value)


def test_an_overloaded_service_says_when_to_come_back() -> None:
    with pytest.raises(OverloadError) as caught:
        read_response(429, b"", "u", RULES, retry_after_s=3.0)
    assert caught.value.retry_after_s == 3.0
