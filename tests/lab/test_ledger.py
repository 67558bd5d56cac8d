"""The balance of a run: every message is found, or it is lost and named."""

from meshlab.demo.ledger import DeadLetter, Published, Row, balance, event_id_of


def letter(message_id: str) -> DeadLetter:
    return DeadLetter(message_id, "event_invalid", "decode", "")


def test_every_event_in_one_place_balances() -> None:
    ledger = balance([Published("1", "a"), Published("2", None)], [Row("1", "a")], [letter("2")])
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


def test_an_event_both_written_and_dead_lettered_does_not_balance() -> None:
    ledger = balance([Published("1", "a")], [Row("1", "a")], [letter("1")])
    assert not ledger.balanced
    assert ledger.complaints == ["both a row and a dead letter: message 1"]


def test_dead_letters_of_other_messages_do_not_count() -> None:
    assert balance([Published("1", "a")], [Row("1", "a")], [letter("9")]).balanced


def test_an_event_without_a_usable_id_has_none() -> None:
    assert event_id_of(b'{"event_id": "a"}') == "a"
    for data in (b"not JSON", b"[]", b"{}", b'{"event_id": 1}', b'{"event_id": ""}', b"\xff"):
        assert event_id_of(data) is None
