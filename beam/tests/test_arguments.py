"""The command line."""

import argparse
from pathlib import Path

import pytest
from enrichment_beam import arguments
from enrichment_beam.command import main


def test_options_may_be_written_as_parameters_of_a_flex_template_are() -> None:
    options, rest = arguments.parse(
        ["stream", "--subscription=projects/p/subscriptions/s", "--in_flight=7", "--rate_per_worker=2.5",
         "--runner=DataflowRunner", "--temp_location=gs://b/t", "--gateway_ca_secret="]
    )  # fmt: skip
    assert (options.in_flight, options.rate_per_worker, options.gateway_ca_secret) == (7, 2.5, "")
    assert rest == ["--runner=DataflowRunner", "--temp_location=gs://b/t"]


def test_a_misspelled_option_does_not_pass_as_one_of_beams() -> None:
    assert arguments.unknown(["--runner=DataflowRunner", "--in-flihgt=3", "--no_use_public_ips"]) == [
        "--in-flihgt"
    ]


def test_every_option_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    commands = next(
        action for action in arguments.parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    for command in commands.choices.values():
        assert [action.dest for action in command._actions if not action.help] == []
    assert main(["backfill", "--help"]) == 0
    assert "--dry-run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--files=x", "--dead-letters=projects/p/subscriptions/s"], "--files and --dead-letters are given"),
        ([], "none is given"),
        (["--files=tests/no-such-file.jsonl"], "--files=tests/no-such-file.jsonl matches no file."),
        (["--files=tests/"], "--files=tests/ is a folder: write --files='tests/*'"),
        (["--files=x.jsonl", "--write=load-files"], "--output"),
        (["--files=x.jsonl", "--publish-time=occurred_at"], "event.FIELD"),
        (["--files=x.jsonl", "--runner=DataflowRunner"], "SIGNING_KEY_FILE"),
        (["--files=x.jsonl", "--runner=DataflowRunner"], "--journal must lie in a bucket"),
        (["--files=x.jsonl", "--flie=y"], "--flie is no option"),
        (["--dead-letters=projects/p/subscriptions/s", "--dry-run"], "redrive --dry-run"),
    ],
)
def test_wrong_usage_is_named(
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["backfill", *given]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_settings_and_options_are_reported_together(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BIGQUERY_TABLE", "nowhere")
    assert main(["stream", "--wrote=x"]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in ("--wrote", "--subscription", "BIGQUERY_TABLE"))


@pytest.mark.parametrize("given", ["--in-flight=0", "--rate=fast", "--subscription=s", "--reshuffle=maybe"])
def test_a_value_that_is_none_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = "stream" if "s" in given[2:4] or "reshuffle" in given else "backfill"
    assert main([command, given]) == 2
    said = capsys.readouterr().err
    assert given.partition("=")[0] in said
    assert len(said.splitlines()) <= 3, "not a screen of options before what is wrong"
