"""The balance of a run: every message is found, or it is lost and named."""

from __future__ import annotations

from meshlab.demo.ledger import DeadLetter, Published, Row, balance, content_of, event_id_of


def dead_letter(message_id: str) -> DeadLetter:
    return DeadLetter(message_id, "event_invalid", "decode", "")


def test_every_event_in_one_place_balances() -> None:
    ledger = balance([Published("1", "a"), Published("2", None)], [Row("1", "a")], [dead_letter("2")])
    assert ledger.balanced
    assert str(ledger) == "2 events, 1 rows, 1 dead-lettered, 0 lost"
    assert ledger.complaints == []


def test_a_row_without_a_published_event_is_noticed() -> None:
    ledger = balance([Published("1", "a")], [Row("1", "a"), Row("9", "z")], [])
    assert not ledger.balanced
    assert ledger.complaints == ["the sums do not agree: 1 events, 2 rows, 0 dead-lettered, 0 lost"]


def test_of_many_lost_messages_the_first_are_named() -> None:
    ledger = balance([Published(str(number), None) for number in range(7)], [], [])
    assert ledger.complaints == ["lost, neither a row nor a dead letter: message 0, 1, 2, 3, 4 and 2 more"]


def test_a_repeat_is_no_event_of_its_own() -> None:
    ledger = balance([Published("1", "a"), Published("2", "a")], [Row("2", "a")], [])
    assert (ledger.messages, ledger.repeats, ledger.events) == (2, 1, 1)
    assert ledger.balanced


def test_another_event_with_the_id_of_a_written_one_is_lost_and_no_repeat() -> None:
    published = [Published("1", "a", b"one"), Published("2", "a", b"two"), Published("3", "a", b"one")]
    ledger = balance(published, [Row("1", "a")], [])
    assert (ledger.repeats, ledger.lost, ledger.balanced) == (1, ["2"], False)
    assert ledger.complaints == ["lost, because another event with the same id has a row: message 2 (a)"]
    assert str(ledger) == "2 events, 1 rows, 0 dead-lettered, 1 lost"


def test_that_also_holds_where_rows_name_only_the_event_or_only_the_message() -> None:
    published = [Published("1", "a", b"one"), Published("2", "a", b"two")]
    for row in (Row(None, "a"), Row("1", None)):
        assert balance(published, [row], []).lost == ["2"]


def test_two_events_with_one_id_may_each_have_a_row() -> None:
    published = [Published("1", "a", b"one"), Published("2", "a", b"two")]
    assert balance(published, [Row("1", "a"), Row("2", "a")], []).balanced


def test_two_events_with_one_id_may_each_have_a_row_that_names_only_the_id() -> None:
    published = [Published("1", "a", b"one"), Published("2", "a", b"two"), Published("3", "a", b"one")]
    ledger = balance(published, [Row(None, "a")] * 2, [])
    assert (ledger.balanced, ledger.repeats, ledger.written) == (True, 1, 2)
    assert balance(published, [Row(None, "a")] * 3, []).doubled == ["a"]


def test_a_row_that_a_dead_lettered_event_of_the_same_id_cannot_have_is_one_too_many() -> None:
    published = [Published("1", "a", b"one"), Published("2", "a", b"two")]
    assert balance(published, [Row(None, "a")] * 2, [dead_letter("2")]).doubled == ["a"]


def test_of_two_events_with_one_id_a_row_of_an_earlier_run_can_stand_for_one_alone() -> None:
    published = [Published("1", "a", b"one"), Published("2", "a", b"two"), Published("3", "a", b"one")]
    ledger = balance(published, [Row("9", "a")], [])
    assert (ledger.repeats, ledger.lost, ledger.balanced) == (2, ["2"], False)


def test_another_event_with_the_same_id_that_is_dead_lettered_is_not_lost() -> None:
    published = [Published("1", "a", b"one"), Published("2", "a", b"two")]
    assert balance(published, [Row("1", "a")], [dead_letter("2")]).balanced


def test_a_message_that_is_nowhere_is_lost_and_named() -> None:
    ledger = balance([Published("1", "a"), Published("2", "b")], [Row("1", "a")], [])
    assert ledger.lost == ["2"]
    assert not ledger.balanced
    assert ledger.complaints == ["lost, neither a row nor a dead letter: message 2"]


def test_a_second_row_of_an_event_is_noticed() -> None:
    ledger = balance([Published("1", "a"), Published("2", "a")], [Row("1", "a"), Row("2", "a")], [])
    assert ledger.doubled == ["a"]
    assert not ledger.balanced
    assert ledger.complaints == ["more than one row: event a"]


def test_a_second_row_is_noticed_where_rows_name_only_the_message_or_only_the_event() -> None:
    assert balance([Published("1", "a")], [Row("1", None)] * 2, []).doubled == ["a"]
    assert balance([Published("1", "a")], [Row(None, "a")] * 2, []).doubled == ["a"]


def test_an_event_both_written_and_dead_lettered_does_not_balance() -> None:
    ledger = balance([Published("1", "a")], [Row("1", "a")], [dead_letter("1")])
    assert not ledger.balanced
    assert ledger.complaints == ["both a row and a dead letter: message 1"]


def test_dead_letters_of_other_messages_do_not_count() -> None:
    assert balance([Published("1", "a")], [Row("1", "a")], [dead_letter("9")]).balanced


def test_what_the_pipeline_drops_is_neither_lost_nor_written() -> None:
    ledger = balance([Published("1", "a"), Published("2", "b")], [Row("1", "a")], [], {"2"})
    assert ledger.balanced
    assert str(ledger) == "2 events, 1 rows, 0 dead-lettered, 1 dropped, 0 lost"


def test_one_message_may_make_many_rows() -> None:
    published = [Published("1", "a"), Published("2", "b")]
    rows = [Row("1", "a"), Row("1", "a"), Row("2", "b")]
    assert balance(published, rows, [], makes_many_rows=True).balanced
    assert balance([*published, Published("3", "c")], rows, [], makes_many_rows=True).lost == ["3"]


def test_rows_that_name_no_origin_are_only_counted() -> None:
    published = [Published("1", "a"), Published("2", "b"), Published("3", "b"), Published("4", None)]
    ledger = balance(published, [Row(None, None)] * 2, [dead_letter("4")])
    assert (ledger.is_counted_alone, ledger.balanced, ledger.repeats) == (True, True, 1)
    assert not balance(published, [Row(None, None)], [dead_letter("4")]).balanced


def test_an_event_without_a_usable_id_has_none() -> None:
    assert event_id_of(b'{"event_id": "a"}') == "a"
    for data in (b"not JSON", b"[]", b"{}", b'{"event_id": 1}', b'{"event_id": ""}', b"\xff", b"[" * 100_000):
        assert event_id_of(data) is None


def test_two_texts_of_one_value_say_the_same() -> None:
    assert content_of(b'{"a": 1, "b": 2}') == content_of(b'{"b":2,"a":1}')
    assert content_of(b'{"a": 1}') != content_of(b'{"a": 2}')
    assert content_of(b"\xff") == b"\xff"


def test_events_of_one_message_are_found_by_the_names_of_its_parts() -> None:
    published = [Published("1", None), Published("2", None), Published("3", None)]
    rows = [Row("1:0", "a"), Row("1:2", "b")]
    ledger = balance(published, rows, [dead_letter("1:1"), dead_letter("2:0")], ["3:0"], makes_many_rows=True)
    assert (ledger.lost, ledger.contradicted, ledger.complaints) == ([], [], [])
    assert str(ledger) == "3 events, 2 rows, 2 dead-lettered, 1 dropped, 0 lost"


def test_a_part_of_a_message_that_is_written_and_dead_lettered_does_not_balance() -> None:
    ledger = balance([Published("1", None)], [Row("1:0", "a")], [dead_letter("1:0")], makes_many_rows=True)
    assert ledger.complaints == ["both a row and a dead letter: message 1:0"]


def test_rows_that_name_the_event_alone_belong_to_the_message_that_the_function_logged() -> None:
    published = [Published("1", None), Published("2", None)]
    rows = [Row(None, "a"), Row(None, "b")]
    logged = {"1:0": "a", "1:1": "b"}
    ledger = balance(published, rows, [dead_letter("2:0")], makes_many_rows=True, event_ids=logged)
    assert ledger.complaints == []
    assert balance(published, rows, [], makes_many_rows=True, event_ids=logged).lost == ["2"]
