"""Settings on their way to workers."""

import json
import pickle
from pathlib import Path

import pytest
from enrichment_beam.settings import SettingsError, WorkerSettings

SECRET = "hunter2-hunter2"
ONE_MORE_TABLE = """
[[tables]]
name = "x"
table = "x"
schema = "x.json"
when = "event.type == 'x'"
[tables.columns]
event_id = "event.event_id"
"""


def test_what_is_no_setting_does_not_travel(env: dict[str, str]) -> None:
    settings, _ = WorkerSettings.read({**env, "DB_PASSWORD": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET})
    assert SECRET.encode() not in pickle.dumps(settings)


def test_the_signing_key_does_not_travel(env: dict[str, str], key_file: Path) -> None:
    settings, _ = WorkerSettings.read(env)
    assert key_file.read_bytes() not in pickle.dumps(settings)
    assert settings.environment["SIGNING_KEY_FILE"] == str(key_file)


def test_a_key_in_the_file_of_the_ca_does_not_travel(
    env: dict[str, str], key_file: Path, tmp_path: Path
) -> None:
    both = tmp_path / "ca-and-key.pem"
    both.write_bytes(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + key_file.read_bytes())
    with pytest.raises(SettingsError, match="GKE_GATEWAY_CA_FILE names a file with a private key"):
        WorkerSettings.read({**env, "GKE_GATEWAY_CA_FILE": str(both)})


def test_all_problems_are_reported_at_once(env: dict[str, str]) -> None:
    wrong = {**env, "BIGQUERY_TABLE": "nowhere", "JWT_AUDIENCE": "", "TABLE_RECREATED_HOLD_S": "soon"}
    with pytest.raises(SettingsError) as raised:
        WorkerSettings.read(wrong, further_problems=["--rate is odd."])
    said = " ".join(raised.value.problems)
    assert all(
        name in said for name in ("BIGQUERY_TABLE", "JWT_AUDIENCE", "TABLE_RECREATED_HOLD_S", "--rate")
    )


def test_files_of_this_machine_are_refused_for_workers_on_others(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        WorkerSettings.read(env, is_remote=True)
    said = " ".join(raised.value.problems)
    assert "SIGNING_KEY_FILE" in said
    assert "BIGQUERY_EMULATOR_HOST" in said


def test_an_unknown_name_is_reported_without_its_value(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        WorkerSettings.read(env, overrides=json.dumps({"SIGNING_KEY": SECRET}))
    assert "SIGNING_KEY" in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"JWT_SCOPE": 1}'])
def test_an_environment_that_is_no_object_of_texts_is_refused(env: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError, match="--environment"):
        WorkerSettings.read(env, overrides=text)


def test_settings_of_the_command_line_win(env: dict[str, str]) -> None:
    settings, _ = WorkerSettings.read(env, overrides='{"JWT_SCOPE": "other.read"}')
    assert settings.environment["JWT_SCOPE"] == "other.read"


def test_a_worker_has_the_files_that_the_launcher_had(env: dict[str, str], tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    folder = tmp_path / "own"
    folder.mkdir()
    text = (root / "function/pipeline.toml").read_text() + ONE_MORE_TABLE
    pipeline = folder / "mine.toml"
    pipeline.write_text(text)
    (folder / "x.json").write_text('[{"name": "event_id", "type": "STRING"}]')
    settings, config = WorkerSettings.read({**env, "PIPELINE_FILE": str(pipeline)})
    for file in folder.iterdir():
        file.unlink()
    placed = pickle.loads(pickle.dumps(settings)).put_in_place()
    again, _ = WorkerSettings.read(placed)
    assert Path(placed["PIPELINE_FILE"]).read_text() == text
    assert [table.name for table in config.tables] == ["x"]
    assert again.rules_digest == settings.rules_digest


def test_equal_settings_have_one_name_and_others_another(env: dict[str, str]) -> None:
    one, _ = WorkerSettings.read(env)
    same, _ = WorkerSettings.read(dict(reversed(env.items())))
    other, _ = WorkerSettings.read({**env, "JWT_SCOPE": "other.read"})
    assert one.digest == same.digest != other.digest
    assert one.rules_digest == other.rules_digest


def test_dead_letters_name_the_function_so_that_a_redrive_finds_them(env: dict[str, str]) -> None:
    settings, _ = WorkerSettings.read(env)
    assert settings.environment["K_SERVICE"] == "enrich"
    assert settings.environment["K_REVISION"].startswith("beam-")
