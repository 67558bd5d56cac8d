"""`python -m enrichment check`: the pipeline and a sample event, checked before anything is deployed."""

import argparse
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from enrichment.commands import check
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE

from .conftest import FUNCTION

EVENT = {"event_id": "e-1", "user_id": "u-1", "type": "order", "occurred_at": "2026-03-01T13:00:00+02:00"}


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(arguments))


def written(report: check.Report) -> dict[str, object]:
    return {line.column: line.value for line in report.lines}


def test_the_shipped_pipeline_is_right_and_shows_the_row_of_an_event_made_up() -> None:
    report = check.check(PIPELINE_FILE, TABLE_FILE)
    assert report.problems == ()
    names = [field["name"] for field in json.loads(TABLE_FILE.read_text())["schema"]["fields"]]
    assert [line.column for line in report.lines] == names
    assert all(value for value in written(report).values())


def test_a_sample_event_makes_the_row_that_the_function_would_write() -> None:
    profile = b'{"user_id": "u-1", "plan": "pro"}'
    report = check.check(PIPELINE_FILE, TABLE_FILE, json.dumps(EVENT).encode(), profile)
    assert report.insert_id == "e-1"
    row = written(report)
    assert (row["user_id"], row["occurred_at"], row["profile"]) == (
        "u-1",
        "2026-03-01T11:00:00Z",
        profile.decode(),
    )


def test_a_column_that_is_not_written_is_listed_all_the_same(tmp_path: Path) -> None:
    table = json.loads(TABLE_FILE.read_text())
    table["schema"]["fields"].append({"name": "plan", "type": "STRING"})
    (tmp_path / "table.json").write_text(json.dumps(table))
    last = check.check(PIPELINE_FILE, tmp_path / "table.json").lines[-1]
    assert last == check.Line("plan", "STRING", "", None)


def test_attributes_and_every_type_of_field_are_tried(tmp_path: Path) -> None:
    fields = {
        "s": "string",
        "i": "integer",
        "n": "number",
        "b": "boolean",
        "t": "timestamp",
        "j": "json",
        "j.x": "json",
    }
    table = json.loads(TABLE_FILE.read_text())
    table["schema"]["fields"] += [{"name": name[-1], "type": "JSON"} for name in fields]
    table["schema"]["fields"].append({"name": "source", "type": "STRING"})
    declared = "\n".join(f'"{name}" = "{kind}"' for name, kind in fields.items())
    columns = "\n".join(f'{name[-1]} = "event.{name}"' for name in fields)
    text = PIPELINE_FILE.read_text()
    text = text.replace("[event.fields]\n", f"[event.fields]\n{declared}\n")
    text = text.replace("[columns]\n", f'[columns]\n{columns}\nsource = "message.attributes.source"\n')
    (tmp_path / "pipeline.toml").write_text(text)
    (tmp_path / "table.json").write_text(json.dumps(table))
    report = check.check(tmp_path / "pipeline.toml", tmp_path / "table.json", attributes={"source": "web"})
    assert report.problems == ()
    assert written(report)["source"] == "web"
    assert all(written(report)[name[-1]] for name in fields)


@pytest.mark.parametrize(
    ("event", "profile", "said"),
    [
        (b"{", None, "the event would be dead-lettered: json_invalid"),
        (b"{}", None, "event_id is missing; user_id is missing; type is missing; occurred_at is missing"),
        (json.dumps(EVENT).encode(), b"[]", "the profile would be refused: profile_malformed"),
        (json.dumps(EVENT).encode(), b'{"user_id": "u-2"}', "the profile would be refused: profile_mismatch"),
    ],
)
def test_a_sample_that_would_not_be_written_is_told_why(
    event: bytes, profile: bytes | None, said: str
) -> None:
    (problem,) = check.check(PIPELINE_FILE, TABLE_FILE, event, profile).problems
    assert said in problem


def test_all_mistakes_of_the_files_are_printed_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(PIPELINE_FILE.read_text().replace("timeout_s = 10", "timeout_s = 0\n[bold]"))
    assert command("--pipeline", str(pipeline)) == 1
    printed = capsys.readouterr().out
    assert "pipeline.toml: lookup.timeout_s is 0; it must be" in printed
    assert "pipeline.toml: bold is not known here." in printed


def test_an_event_from_a_file_is_shown_as_text_and_never_as_a_terminals_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({**EVENT, "type": "[red]\u009b2J\u202e"}))
    assert command("--event", str(event), "--attribute", "a=b=c") == 0
    printed = capsys.readouterr().out
    assert "[red]\\x9b2J\\u202e" in printed
    assert printed.isascii() or all(letter.isprintable() or letter == "\n" for letter in printed)


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    assert command("--event", missing) == 1
    assert f"{missing} cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("attribute", ["a", "=b", ""])
def test_an_attribute_is_a_name_and_a_value(attribute: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command("--attribute", attribute)
    assert caught.value.code == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_without_rich_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    assert command() == 1
    assert "pip install" in capsys.readouterr().err


def test_the_function_itself_loads_neither_rich_nor_what_only_mistakes_need() -> None:
    modules = "enrichment.settings.pipeline_file, enrichment.row, enrichment.commands.check"
    code = f"import sys, {modules}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FUNCTION,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"rich", "difflib", "httpx", "aiohttp", "google.cloud.bigquery"} & set(run.stdout.split())


def test_an_event_may_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(EVENT).encode())))
    assert command("--event", "-") == 0
    printed = capsys.readouterr().out
    assert "insertId: e-1" in printed
    assert "\x1b" not in printed  # no terminal, no colours
