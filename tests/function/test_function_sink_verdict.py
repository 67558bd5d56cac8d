"""What insertAll says about a row decides that row's disposition, and nothing it quotes is repeated."""

from typing import Any

import pytest
from enrichment.errors import POLICY, BadEventError, Disposition, FaultError, TransientError
from enrichment.errors.remote_errors import INSERT_ERRORS, INSERT_MESSAGES
from enrichment.sink.verdict import verdicts
from enrichment.sink.when_to_write import StoppedError

TABLE = "p.d.t"


def entry(index: int, *reasons: str) -> dict[str, Any]:
    return {"index": index, "errors": [{"reason": reason, "location": "event"} for reason in reasons]}


def error(reason: str, location: str = "", message: str = "") -> list[dict[str, Any]]:
    return [{"index": 0, "errors": [{"reason": reason, "location": location, "message": message}]}]


@pytest.mark.parametrize(
    ("errors", "kinds"),
    [
        pytest.param([], [type(None), type(None)], id="none"),
        pytest.param([entry(0, "stopped"), entry(1, "invalid")], [StoppedError, BadEventError], id="stopped"),
        pytest.param([entry(1, "invalid")], [StoppedError, BadEventError], id="unsaid"),
        pytest.param([entry(0, "stopped", "invalid")], [BadEventError, StoppedError], id="two-reasons"),
        pytest.param(
            [entry(0, "stopped"), entry(0, "invalid")], [BadEventError, StoppedError], id="two-entries"
        ),
        pytest.param(
            [entry(1, "timeout"), entry(0, "accessDenied")], [FaultError, TransientError], id="order"
        ),
        pytest.param(
            [entry(0, "backendError"), entry(1, "never heard of")], [TransientError] * 2, id="passing"
        ),
    ],
)
def test_each_row_has_its_own_verdict(errors: list[dict[str, Any]], kinds: list[type]) -> None:
    assert [type(verdict) for verdict in verdicts(errors, 2, TABLE)] == kinds


def test_an_error_of_a_row_that_was_not_sent_is_no_verdict_on_another() -> None:
    with pytest.raises(IndexError):
        verdicts([entry(2, "invalid")], 2, TABLE)


@pytest.mark.parametrize(
    ("location", "message", "kind"),
    [
        ("plan", "no such field: plan.", FaultError),
        ("plan", "no such field.", FaultError),
        ("", "Missing required field: Msg_0_CLOUD_QUERY_TABLE.plan.", FaultError),
        ("order.plan", "no such field: order.plan.", FaultError),
        ("orders[0].plan", "no such field: plan.", FaultError),
        ("", "Missing required field: Msg_0_CLOUD_QUERY_TABLE.orders[0].plan.", FaultError),
        ("", "Missing required field: Msg_1_CLOUD_QUERY_TABLE_ORDER.plan.", FaultError),
        ("order", "This field: order is not a record.", FaultError),
        ("order", "Array specified for non-repeated field: order.", FaultError),
        ("tags", "Repeated record added outside of an array.", FaultError),
        ("tags", "Repeated record with name: tags added outside of an array.", FaultError),
        ("tags", "Repeated field must be imported as a JSON array. Field: tags.", FaultError),
        ("plan", "Only optional fields can be set to NULL. Field: plan; Value: NULL", FaultError),
        (
            "",
            "The destination table's partition t$20170925 is outside the allowed bounds. You can",
            FaultError,
        ),
        ("plan", "Missing required field: this is what the event says", BadEventError),
        ("plan", "Cannot convert value to integer (bad value): Repeated record added outside", BadEventError),
        ("plan", "Could not parse 'no such field' as a timestamp", BadEventError),
        ("plan", "", BadEventError),
    ],
)
def test_fields_that_are_not_the_tables_are_our_fault_and_all_else_that_is_invalid_is_the_events(
    location: str, message: str, kind: type
) -> None:
    (verdict,) = verdicts(error("invalid", location, message), 1, TABLE)
    assert type(verdict) is kind


@pytest.mark.parametrize("reason", ["invalid", "backendError", "accessDenied"])
def test_a_verdict_names_the_column_and_nothing_that_may_come_from_the_event(reason: str) -> None:
    (verdict,) = verdicts(error(reason, "orders[0].secret", "Cannot convert secret"), 1, TABLE)
    assert "orders" in str(verdict)
    assert "secret" not in str(verdict)


OUT_OF_RANGE = (
    "Value 1578862938123456 for partition column publish_time of the destination table p:d.t is outside the allowed "
    "bounds. You can only stream to partitions of date range within 1825 days in the past and 366 days in the future "
    "relative to the current date."
)


@pytest.mark.parametrize(
    ("location", "message", "reason", "column"),
    [
        ("", OUT_OF_RANGE, "bigquery_partition_range", "publish_time"),
        ("", OUT_OF_RANGE.replace("partition column", "field"), "bigquery_partition_range", "publish_time"),
        ("", "Missing required field: Msg_0_CLOUD_QUERY_TABLE.plan.", "bigquery_schema_mismatch", "plan"),
        ("", "Repeated field must be imported as a JSON array. Field: t.", "bigquery_schema_mismatch", "t"),
        ("order.t", "Array specified for non-repeated field: t.", "bigquery_schema_mismatch", "order"),
    ],
)
def test_a_fault_of_the_table_names_its_column_and_never_the_value(
    location: str, message: str, reason: str, column: str
) -> None:
    (verdict,) = verdicts(error("invalid", location, message), 1, TABLE)
    assert verdict is not None
    assert verdict.reason == reason
    assert f"BigQuery calls {column} invalid" in verdict.detail
    assert "1578862938123456" not in verdict.detail


@pytest.mark.parametrize("reason", sorted(set(INSERT_ERRORS) - {"stopped", "invalid"}))
def test_each_reason_of_the_table_is_the_verdict_and_is_named(reason: str) -> None:
    (verdict,) = verdicts(error(reason, "plan"), 1, TABLE)
    assert verdict is not None
    assert verdict.reason == INSERT_ERRORS[reason]
    assert verdict.disposition is POLICY[INSERT_ERRORS[reason]].disposition is not Disposition.DEAD_LETTERED
    assert f"BigQuery answers {reason} for plan" in verdict.detail


def test_what_people_are_shown_of_a_message_is_read_as_such_a_message() -> None:
    for known in INSERT_MESSAGES:
        (verdict,) = verdicts(error("invalid", "", known.shown), 1, TABLE)
        assert verdict is not None
        assert verdict.reason == known.reason


def test_a_reason_that_is_no_word_is_not_repeated() -> None:
    (verdict,) = verdicts(error("4111-1111"), 1, TABLE)
    assert isinstance(verdict, TransientError)
    assert "4111" not in str(verdict)


@pytest.mark.parametrize(
    ("location", "different", "kind"),
    [
        ("plan", {}, BadEventError),
        ("plan", {"plan": "plan is INTEGER in the table"}, FaultError),
        ("PLAN.name", {"plan": "plan is INTEGER in the table"}, FaultError),
        ("plan", {"other": "other is INTEGER in the table"}, BadEventError),
        ("", {"other": "other is INTEGER in the table"}, FaultError),
    ],
)
def test_a_row_that_is_refused_for_a_column_that_has_changed_is_no_bad_event(
    location: str, different: dict[str, str], kind: type
) -> None:
    (verdict,) = verdicts(error("invalid", location, "a value"), 1, TABLE, different)
    assert type(verdict) is kind
    assert verdict is not None
    assert TABLE in verdict.detail
    if kind is FaultError:
        assert verdict.reason == "bigquery_schema_mismatch"
        assert next(iter(different.values())) in verdict.detail


def test_a_change_of_the_table_does_not_hide_what_else_is_said_of_a_row() -> None:
    (verdict,) = verdicts(error("timeout", "plan"), 1, TABLE, {"plan": "plan is INTEGER in the table"})
    assert isinstance(verdict, TransientError)
