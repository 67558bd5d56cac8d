"""The journal of a redrive: durable, one run at a time, and read again after a kill."""

import json
import os
from pathlib import Path

import pytest
from enrichment.redrive.errors import RedriveError
from enrichment.redrive.journal import KEPT_S, Journal, State, default_path


def recorded(path: Path, *entries: tuple[State, list[str]], end: bool = True) -> None:
    with Journal(path) as journal:
        journal.begin()
        for state, keys in entries:
            journal.record(state, keys)
        if end:
            journal.end()


def test_the_last_state_of_each_dead_letter_counts(tmp_path: Path) -> None:
    path = tmp_path / "below" / "journal.jsonl"
    recorded(path, (State.PUBLISHING, ["a", "b"]), (State.PUBLISHED, ["a"]), (State.REFUSED, ["b"]))
    recorded(path, (State.PUBLISHING, ["b"]))
    with Journal(path) as journal:
        found = [journal.state(key) for key in "abc"]
        assert found == [State.PUBLISHED, State.PUBLISHING, State.UNKNOWN]
    assert path.stat().st_mode & 0o077 == 0


def test_a_run_that_did_not_end_by_itself_is_known_until_one_does(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    recorded(path, end=False)
    for _ in range(2):
        with Journal(path) as journal:
            assert journal.was_killed
    recorded(path)
    with Journal(path) as journal:
        assert not journal.was_killed


def test_the_half_of_a_line_counts_for_nothing_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    recorded(path, (State.PUBLISHED, ["a"]))
    with path.open("ab") as file:
        file.write(b'{"state":"published","keys":["b"')
    recorded(path, (State.PUBLISHED, ["c"]))
    with Journal(path) as journal:
        assert [journal.state(key) for key in "abc"] == [State.PUBLISHED, State.UNKNOWN, State.PUBLISHED]


def test_what_is_older_than_any_message_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    recorded(path, (State.PUBLISHED, ["a"]))
    old = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line | {"at": line["at"] - KEPT_S - 1}) + "\n" for line in old))
    with Journal(path) as journal:
        assert journal.state("a") is State.UNKNOWN
    assert path.read_text() == ""


@pytest.mark.parametrize(
    "line",
    [
        b"text",
        b"1",
        b"{}",
        b'{"at": 1.5}',
        b'{"at": "now", "run": "open"}',
        b'{"at": 1.5, "run": "paused"}',
        b'{"at": 1.5, "state": "lost", "keys": []}',
        b'{"at": 1.5, "state": "published", "keys": [1]}',
        b'{"state":"published","kegs":["a"],"at":1.5}',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=lambda line: ascii(line)[:40],
)
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path, line: bytes, end: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line + end)
    with pytest.raises(RedriveError, match=r"journal\.jsonl:1 is no line of a journal: name another file"):
        Journal(path)
    assert path.read_bytes() == line + end


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RedriveError, match=r"cannot be written \(.*\): correct that, or name another"):
        Journal(tmp_path / "file" / "journal.jsonl")


def test_a_directory_that_may_not_be_looked_into_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", forbidden)
    with pytest.raises(RedriveError, match=r"cannot be written \(Permission denied\)"):
        Journal(tmp_path / "journal.jsonl")


@pytest.mark.parametrize("kind", ["device", "pipe", "directory"])
def test_only_a_regular_file_becomes_a_journal(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "journal.jsonl"
    if kind == "device":
        path.symlink_to(os.devnull)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(RedriveError, match="is not a regular file: name another file with --journal"):
        Journal(path)
    assert [found.name for found in tmp_path.iterdir()] == ["journal.jsonl"]


def test_all_names_of_a_journal_are_one_journal(tmp_path: Path) -> None:
    path, link = tmp_path / "journal.jsonl", tmp_path / "link"
    recorded(path, (State.PUBLISHED, ["a"]))
    link.symlink_to(path)
    with Journal(link) as journal:
        assert journal.state("a") is State.PUBLISHED
        journal.record(State.PUBLISHED, ["b"])
        with pytest.raises(RedriveError, match="is running"):
            Journal(path)
    assert link.is_symlink()
    with Journal(path) as journal:
        assert journal.state("b") is State.PUBLISHED


@pytest.mark.parametrize("kept", [0, 1, 20])
def test_zero_bytes_at_the_end_of_a_file_count_for_nothing(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.jsonl"
    recorded(path, (State.PUBLISHING, ["a"]), end=False)
    path.write_bytes(path.read_bytes() + b'{"state":"published"'[:kept] + bytes(1000))
    with Journal(path) as journal:
        assert (journal.state("a"), journal.was_killed) == (State.PUBLISHING, True)


def test_a_damaged_journal_says_what_another_one_means(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    recorded(path, (State.PUBLISHED, ["a"]))
    path.write_bytes(path.read_bytes().replace(b'"state"', b'"stage"'))
    with pytest.raises(
        RedriveError, match=r"journal\.jsonl:2 is no line of a journal, so what .* is published twice"
    ):
        Journal(path)


def test_a_full_disk_ends_the_run_before_it_publishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with Journal(tmp_path / "journal.jsonl") as journal:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(RedriveError, match="No space left on device"):
            journal.record(State.PUBLISHING, ["a"])
        assert journal.state("a") is State.UNKNOWN


def test_a_line_that_a_full_disk_cut_off_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    write, free = os.write, 40

    def filling(file: int, data: bytes) -> int:
        nonlocal free
        if not free:
            raise OSError(28, "No space left on device")
        written = write(file, data[:free])
        free -= written
        return written

    with Journal(path) as journal:
        journal.begin()
        journal.record(State.PUBLISHING, ["a"])
        monkeypatch.setattr(os, "write", filling)
        with pytest.raises(RedriveError, match="No space left on device"):
            journal.record(State.PUBLISHED, ["a"])
        for _ in range(2):  # the first finds a place for the end of the line alone
            free = 1
            with pytest.raises(RedriveError, match="No space left on device"):
                journal.end()
        monkeypatch.undo()
        journal.end()
    with Journal(path) as journal:
        assert journal.state("a") is State.PUBLISHING
        assert journal.torn_lines[0] == 3
        assert not journal.was_killed
    with Journal(path) as journal:
        assert (journal.state("a"), journal.torn_lines) == (State.PUBLISHING, [])


def test_the_end_of_a_run_right_behind_a_line_that_was_cut_off_is_read_as_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    recorded(path, (State.PUBLISHING, ["a"]), end=False)
    with path.open("ab") as file:
        file.write(b'{"state":"published","keys":["a"{"run":"closed","at":1.5}\n')
    with Journal(path) as journal:
        assert (journal.state("a"), journal.torn_lines) == (State.PUBLISHING, [3])
        assert journal.was_killed


def test_an_entry_after_a_line_that_was_cut_off_means_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    damaged = b'{"state":"publishing","keys":["a"\n{"state":"published","keys":["b"],"at":1.5}\n'
    path.write_bytes(damaged)
    with pytest.raises(RedriveError, match=r"journal\.jsonl:1 is no line of a journal"):
        Journal(path)
    assert path.read_bytes() == damaged


def test_each_subscription_has_a_journal_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_path("projects/p/subscriptions/s") == Path("/state/meshpass/redrive/p.s.jsonl")
