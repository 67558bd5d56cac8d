"""deploy/verify reads without changing anything, and records nothing that is not to be kept."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from deploy.steps import ROOT, RefusalError, run_script
from deploy.steps.cloud import questions, readers, recordings
from deploy.steps.cloud.answers import Answer, Outcome, Question, answer_of, one_line, outcome_of
from deploy.steps.cloud.names import checked_name
from deploy.steps.cloud.patches import patched
from deploy.steps.cloud.scrub import HIDDEN, Scrubber
from deploy.steps.deploy.entry_points import ENRICH, LOOKUP
from deploy.steps.verify import cli, report
from deploy.steps.verify.checks import reading
from deploy.steps.verify.checks.alerts import holds
from deploy.steps.verify.deployment import Deployment
from deploy.steps.verify.report import wants_color
from tests.deploy import verified

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUESTION = Question("thing", ("gcloud", "things", "describe", "x", "--format=json"), "the thing")

# As gcloud 528 and bq 2.1.18 print them, seen with a local server that answers with the error.
ERRORS = {
    "ERROR: (gcloud.functions.describe) ResponseError: status=[403], code=[Ok], message=[Permission 'x.y' denied on "
    "resource 'z' (or it may not exist).]": Outcome.DENIED,
    "ERROR: (gcloud.projects.describe) [None] does not have permission to access projects instance [acme-mesh] (or it "
    "may not exist): Permission 'x.y' denied on resource 'z' (or it may not exist).": Outcome.DENIED,
    "ERROR: (gcloud.compute.networks.subnets.describe) Could not fetch resource: - Required "
    "'compute.subnetworks.get' permission for 'projects/p'": Outcome.DENIED,
    "BigQuery error in show operation: Access Denied: Table p:d.t: User does not have permission": Outcome.DENIED,
    "ERROR: (gcloud.secrets.describe) NOT_FOUND: Secret [projects/1/secrets/s] not found.": Outcome.ABSENT,
    "ERROR: (gcloud.functions.describe) ResponseError: status=[404], code=[Ok], message=[z]": Outcome.ABSENT,
    "ERROR: (gcloud.run.services.describe) Cannot find service [f]": Outcome.ABSENT,
    "ERROR: (gcloud.projects.describe) Projects instance [acme-mesh] not found: Resource not found": Outcome.ABSENT,
    "BigQuery error in show operation: Not found: Table p:d.t": Outcome.ABSENT,
    "ERROR: (gcloud.pubsub.topics.list) PERMISSION_DENIED: Cloud Pub/Sub API has not been used in project 1 before or "
    "it is disabled.": Outcome.DISABLED,
    "ERROR: (gcloud.projects.describe) You do not currently have an active account selected.": Outcome.SIGNED_OUT,
    "ERROR: (gcloud.projects.describe) There was a problem refreshing your tokens: invalid_grant": Outcome.SIGNED_OUT,
    "ERROR: gcloud crashed (ConnectionError): connection refused": Outcome.FAILED,
    "BigQuery error in show operation: Got 404 response from discovery url: http://x": Outcome.FAILED,
    "bq is not on PATH": Outcome.FAILED,
}


@pytest.mark.parametrize(("error", "outcome"), ERRORS.items(), ids=range(len(ERRORS)))
def test_a_failure_is_known_by_the_words_of_the_command(error: str, outcome: Outcome) -> None:
    assert outcome_of(error) is outcome


def test_a_list_that_is_empty_because_a_region_could_not_be_read_is_a_failure() -> None:
    warning = "WARNING: Some requests did not succeed.\n - Permission 'x' denied on resource 'z' (or it may not exist)."
    assert answer_of(QUESTION, 0, "[]", warning).outcome is Outcome.DENIED
    # "not found" of a partial answer is not the absence of the resource.
    assert (
        answer_of(QUESTION, 0, "[]", "WARNING: Some requests did not succeed.\n - 404").outcome
        is Outcome.FAILED
    )


def test_output_that_is_not_the_expected_json_is_no_good_answer() -> None:
    assert answer_of(QUESTION, 0, "", "").outcome is Outcome.UNCLEAR
    assert answer_of(QUESTION, 0, "[]", "").outcome is Outcome.UNCLEAR
    assert answer_of(QUESTION, 0, "{}", "").ok


def test_an_error_is_one_line_without_the_account_and_the_token_file() -> None:
    error = (
        "ERROR: (gcloud.x) PERMISSION_DENIED: no.\nThis command is authenticated as ada@acme.example which is the "
        "active account specified by the [core/account] property.\n- reason: IAM\x1b[2J"
    )
    assert one_line(error) == "ERROR: (gcloud.x) PERMISSION_DENIED: no. - reason: IAM?[2J"


def test_every_command_reads_and_prints_json() -> None:
    verbs = {"describe", "list", "get-iam-policy", "list-subscriptions", "show"}
    for question, _ in verified.base_questions().values():
        assert "--format=json" in question.command
        assert verbs & set(question.command), question.command
        assert question.command[0] in {"gcloud", "bq"}
        for words in (question.command, question.alternative):
            assert not {"--quiet", "-q", "versions access", "access"} & set(words)


def test_no_question_reads_a_payload_or_a_private_key() -> None:
    for question, _ in verified.base_questions().values():
        assert not {"access", "print-access-token", "print-identity-token", "get-public-key"} & set(
            question.command
        )


def test_a_read_never_prompts_enables_an_api_or_hides_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "gcloud"
    script.write_text('#!/bin/sh\nenv | grep CLOUDSDK >"$0.env"\ncat >"$0.in"\necho {}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CLOUDSDK_CORE_VERBOSITY", "none")
    assert readers.CommandReader()(QUESTION).ok
    settings = dict(line.split("=", 1) for line in (tmp_path / "gcloud.env").read_text().splitlines())
    assert settings["CLOUDSDK_CORE_DISABLE_PROMPTS"] == "1"
    assert settings["CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API"] == "false"
    assert settings["CLOUDSDK_CORE_VERBOSITY"] == "warning"
    assert not (tmp_path / "gcloud.in").read_text()


def test_an_older_gcloud_is_asked_by_its_own_command() -> None:
    asked = []

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        asked.append(command[1])
        return (
            (2, "", "ERROR: (gcloud.monitoring) Invalid choice: 'policies'.")
            if command[1] != "alpha"
            else (0, "[]", "")
        )

    alerts = next(q for q, _ in verified.base_questions().values() if q.name == "alerts")
    assert readers.CommandReader(run)(alerts).ok
    assert asked == ["monitoring", "alpha"]


def test_a_program_that_is_missing_is_a_failed_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    answer = readers.CommandReader()(QUESTION)
    assert (answer.outcome, answer.error) == (Outcome.FAILED, "gcloud is not on PATH")


def test_nothing_is_verified_without_gcloud_or_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contract = str(verified.BASE / "contract.env")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = verified.run("--contract", contract)
    assert (code, out) == (2, "")
    assert "gcloud is not on PATH" in err
    (tmp_path / "gcloud").write_text(
        "#!/bin/sh\necho 'You do not currently have an active account selected.' >&2\nexit 1\n"
    )
    (tmp_path / "gcloud").chmod(0o755)
    code, out, err = verified.run("--contract", contract)
    assert (code, out) == (2, "")
    assert "gcloud auth login" in err


def test_wrong_usage_and_wrong_files_are_no_findings(tmp_path: Path) -> None:
    for arguments in (("--from", str(tmp_path)), ("--from", str(tmp_path / "none"))):
        code, out, err = verified.run(*arguments)
        assert (code, out) == (2, "")
        assert "there is no recording" in err
    (tmp_path / "manifest.json").write_text('{"extends": "."}')
    assert verified.run("--from", str(tmp_path))[0] == 2
    (tmp_path / "manifest.json").write_text('{"answers": {"../x": {}}}')
    assert "not the name of a question" in verified.run("--from", str(tmp_path))[2]
    assert verified.run("--from", str(verified.BASE), "--jwks", str(tmp_path / "none"))[0] == 2
    with pytest.raises(SystemExit) as stopped:
        verified.run("--entry-point=other")
    assert stopped.value.code == 2


def test_the_placeholder_project_is_not_verified() -> None:
    code, _, err = verified.run(
        "--contract", str(ROOT / "infra" / "contract.env"), "--from", str(verified.BASE)
    )
    assert code == 2
    assert "example-project" in err


def test_a_recording_gives_the_same_report(tmp_path: Path) -> None:
    for state in ("environment-unknown", "public-access.dataset", "permission-denied", "clean.eventarc"):
        source = verified.RECORDED / "states" / f"{state}.json"
        copy = tmp_path / state
        before = verified.report(source, "--record", str(copy))
        assert verified.report(copy) == before
    assert "not to be shown" not in "".join(
        path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_a_recording_is_not_written_over_something(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    code, _, err = verified.run("--from", str(verified.BASE), "--record", str(tmp_path))
    assert code == 2
    assert "is not empty" in err
    assert [path.name for path in tmp_path.iterdir()] == ["answers"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "contract.env").write_text("MINE=1\n")
    assert verified.run("--from", str(verified.BASE), "--record", str(tmp_path / "other"))[0] == 2
    assert (tmp_path / "other" / "contract.env").read_text() == "MINE=1\n"


def test_a_recording_has_no_address_of_a_person(tmp_path: Path) -> None:
    source = verified.RECORDED / "states" / "account-missing.json"
    verified.run("--from", str(source), "--record", str(tmp_path / "copy"))
    text = "".join(path.read_text() for path in (tmp_path / "copy").rglob("*") if path.is_file())
    people = {
        address
        for address in re.findall(r"[\w.+-]+@[\w-]+\.[\w.-]+", text)
        if not address.endswith((".gserviceaccount.com", "@example.com"))
    }
    assert not people
    assert "meshpass-trigger@acme-mesh.iam.gserviceaccount.com" in text


def test_a_person_has_one_invented_address_in_the_whole_recording() -> None:
    scrubber = Scrubber(set())
    assert (
        scrubber.text("user:ada@acme.example,user:bo@acme.example")
        == "user:person-1@example.com,user:person-2@example.com"
    )
    assert scrubber.answer({"members": ["user:Ada@acme.example"]}) == {
        "members": ["user:person-1@example.com"]
    }
    assert scrubber.text("group:developers@acme.example") == "group:developers@acme.example"
    assert (
        scrubber.text("serviceAccount:a@p.iam.gserviceaccount.com")
        == "serviceAccount:a@p.iam.gserviceaccount.com"
    )
    assert scrubber.text("https://x.example/path?token=abc") == "https://x.example/path"


def test_values_of_variables_that_the_contract_does_not_give_are_not_recorded() -> None:
    scrubber = Scrubber({"KNOWN"})
    answer = {
        "serviceConfig": {"environmentVariables": {"KNOWN": "a", "OTHER": "b"}},
        "env": [{"name": "KNOWN", "value": "a"}, {"name": "OTHER", "value": "b"}],
    }
    assert scrubber.answer(answer) == {
        "serviceConfig": {"environmentVariables": {"KNOWN": "a", "OTHER": HIDDEN}},
        "env": [{"name": "KNOWN", "value": "a"}, {"name": "OTHER", "value": HIDDEN}],
    }


def test_a_recording_never_holds_a_private_key() -> None:
    private = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "d": "secret", "kid": "1"}
    inside = json.dumps({"keys": [private]})
    manifest = {"items": [{"spec": {"jwtRules": [{"issuer": "i", "jwks": inside}]}}]}
    for document in ({"keys": [private]}, manifest):
        kept = json.dumps(cli.public_only(document))
        assert "secret" not in kept
        assert "P-256" in kept


def test_public_keys_are_taken_from_a_jwks_and_from_the_mesh() -> None:
    jwks = json.loads((verified.BASE / "jwks.json").read_text())
    issuer = verified.base_values()["JWT_ISSUER"]
    rules = [{"issuer": issuer, "jwks": json.dumps(jwks)}, {"issuer": "other", "jwks": "not JSON"}]
    mesh = {"items": [{"kind": "RequestAuthentication", "spec": {"jwtRules": rules}}]}
    from deploy.steps.verify.checks.keys import key_sets

    assert key_sets(mesh, issuer) == key_sets(jwks, issuer) == [jwks["keys"]]
    assert key_sets(mesh, "another issuer") == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("subscription", "--topic=x"),
        ("subscription", "projects/p/subscriptions/-x"),
        ("trigger", "projects/p/locations/l/triggers/t --quiet"),
        ("revision", "-r"),
        ("revision", "a;b"),
        ("key", "$(id)"),
        ("policy", "projects/p/alertPolicies/1\n"),
    ],
)
def test_a_name_that_is_none_goes_into_no_command(kind: str, name: str) -> None:
    with pytest.raises(RefusalError, match="not the form"):
        checked_name(kind, name)


def test_a_subscription_that_eventarc_names_oddly_is_reported_and_not_asked_for() -> None:
    state = recordings.read(verified.RECORDED / "states" / "clean.eventarc.json")
    state.answers["trigger"]["data"]["transport"]["pubsub"]["subscription"] = "--quiet"
    values = cli.contract(None, state)
    asked = cli.ask(values, [ENRICH, LOOKUP], state, lambda _: lambda _: None)
    assert "subscription" not in asked
    assert all("--quiet" not in question.command for question, _ in asked.values())


def test_a_secret_is_named_in_every_form_of_the_contract() -> None:
    for written, expected in {
        "gateway-ca": ("acme-mesh", "", "gateway-ca", "latest"),
        "gateway-ca:3": ("acme-mesh", "", "gateway-ca", "3"),
        "projects/p1/secrets/s": ("p1", "", "s", "latest"),
        "projects/p1/secrets/s/versions/active": ("p1", "", "s", "active"),
        "projects/p1/locations/europe-west1/secrets/s/versions/2": ("p1", "europe-west1", "s", "2"),
    }.items():
        assert questions.secret({"GOOGLE_CLOUD_PROJECT": "acme-mesh", "K": written}, "K") == expected
    with pytest.raises(RefusalError, match="does not name a secret"):
        questions.secret({"GOOGLE_CLOUD_PROJECT": "acme-mesh", "K": "--flag"}, "K")


def test_a_patch_changes_a_copy() -> None:
    document = {"a": [1, 2], "b/c": 3}
    assert patched(
        document, [{"op": "add", "path": "/a/-", "value": 3}, {"op": "remove", "path": "/b~1c"}]
    ) == {"a": [1, 2, 3]}
    assert document == {"a": [1, 2], "b/c": 3}
    for wrong in (
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "test", "path": "/a"},
        {"op": "remove", "path": "/a/9"},
    ):
        with pytest.raises(ValueError, match="cannot be applied"):
            patched(document, [wrong])


def test_color_is_for_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color(Terminal())  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())  # type: ignore[arg-type]
    state = str(verified.RECORDED / "states" / "public-access.json")
    assert "\x1b" not in verified.run("--from", state)[1]


def test_the_text_has_the_command_that_mends() -> None:
    _, out, _ = verified.run("--from", str(verified.RECORDED / "states" / "public-access.json"))
    assert "unsafe     public-access: the policy of the Cloud Run service meshpass-enrichment-lookup" in out
    assert "--member=allUsers --role=roles/run.invoker" in out
    assert "1 finding: 1 unsafe" in out


def test_an_alert_policy_may_have_more_than_was_written_and_not_less() -> None:
    written = {"conditions": [{"duration": "0s", "thresholdValue": 0, "trigger": {"count": 1}}]}
    back = {"conditions": [{"name": "n", "duration": "0s", "trigger": {"count": 1}, "comparison": "X"}]}
    assert holds(back, written)
    assert holds({"conditions": [{**back["conditions"][0], "thresholdValue": 0.0}]}, written)
    wrongs: list[dict[str, Any]] = [
        {},
        {"conditions": []},
        {"conditions": [{**back["conditions"][0], "thresholdValue": 5}]},
        {"conditions": [{**back["conditions"][0], "duration": "60s"}]},
        {"conditions": [*back["conditions"], *back["conditions"]]},
        {"conditions": {}},
    ]
    for wrong in wrongs:
        assert not holds(wrong, written), wrong


class Narrow(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_wrapped_to_a_narrow_terminal_and_commands_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert report.width(Narrow()) == 60
    assert report.width(io.StringIO()) == 100
    found = verified.findings({"topic-policy-undelivered": verified.failed(Outcome.DENIED)})
    lines = report.text(found, read=1, color=False, width=60).splitlines()
    assert max(len(line) for line in lines if not line.startswith("  mend ")) <= 80
    assert max(len(line) for line in lines if line.startswith("  do ")) <= 60


@pytest.mark.parametrize("raised", [KeyboardInterrupt, BrokenPipeError])
def test_no_script_ends_in_a_traceback(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def main(_: Sequence[str]) -> int:
        raise raised

    monkeypatch.setattr(os, "dup2", lambda *_: None)
    assert run_script("deploy/x", main) == (130 if raised is KeyboardInterrupt else 1)
    assert ("interrupted" in capfd.readouterr().err) == (raised is KeyboardInterrupt)
    assert run_script("deploy/x", lambda _: 2) == 2


@pytest.mark.parametrize("depth", ["[" * 100_000, '{"a":' * 100_000])
def test_an_answer_without_end_is_no_answer(depth: str, tmp_path: Path) -> None:
    assert answer_of(QUESTION, 0, depth, "").outcome is Outcome.UNCLEAR
    (tmp_path / "manifest.json").write_text(depth)
    assert verified.run("--from", str(tmp_path))[0] == 2


@pytest.mark.parametrize(
    "manifest",
    [
        {"answers": {"dataset": "error"}},
        {"answers": {"dataset": 7}},
        {"answers": {"dataset": {"error": "\x1b[2J\n x", "exit_code": "many"}}},
        {"contract": ["x"]},
        {"contract": {"GOOGLE_CLOUD_PROJECT": "a\x1b[2J\nX=1"}},
        {"changes": {"\x1b[2J": []}},
        {"jwks": {"keys": [{"kid": "\x1b[2J\n--all"}]}},
    ],
    ids=str,
)
def test_a_recording_of_any_content_ends_in_a_message_for_a_reader(manifest: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (tmp_path / "manifest.json").write_text(json.dumps({"extends": str(verified.BASE), **manifest}))
    code, out, err = verified.run("--from", str(tmp_path))
    assert code in {1, 2}
    assert "\x1b" not in out + err
    assert "/tmp" not in err.replace(str(tmp_path), "")


def test_a_number_without_end_ends_in_a_report() -> None:
    question = verified.base_questions()["secret-versions-gateway-ca"][0]
    versions = [{"name": f"x/versions/{'9' * 5000}", "state": "ENABLED"}]
    assert verified.findings({question.name: Answer(Outcome.OK, versions)}) == []


def test_a_package_that_is_named_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusalError, match="is no folder"):
        cli._package(tmp_path / "none")
    monkeypatch.setattr(cli, "PACKAGE", tmp_path / "none")
    assert cli._package(None) == ""


def test_what_a_webhook_or_a_command_hides_is_not_recorded() -> None:
    scrubber = Scrubber(set())
    for written, kept in (
        ("https://hooks.example/T000/SECRET?x=SECRET", "https://hooks.example/not-recorded"),
        ("https://user:SECRET@hooks.example:8443/", "https://hooks.example:8443"),
        ("https://f.a.run.app?__GCP_CloudEventsMode=x", "https://f.a.run.app"),
        ("SECRET", HIDDEN),
    ):
        assert scrubber.answer({"pushConfig": {"pushEndpoint": written}}) == {
            "pushConfig": {"pushEndpoint": kept}
        }
    assert scrubber.answer({"args": ["--token=SECRET"]}) == {"args": [HIDDEN]}
    state = [
        {"op": "replace", "path": "/pushConfig/pushEndpoint", "value": "https://u:SECRET@h.example/SECRET"}
    ]
    changed = patched(verified.base_questions()["subscription"][1].data, state)
    (found,) = verified.findings({"subscription": Answer(Outcome.OK, changed)})
    assert found.found == "https://h.example/..."


def test_a_copy_of_a_manifest_in_an_annotation_is_not_recorded() -> None:
    rules = [{"issuer": "i", "jwks": json.dumps({"keys": [{"kty": "EC", "d": "SECRET"}]})}]
    item: dict[str, Any] = {"spec": {"jwtRules": rules}}
    item["metadata"] = {"annotations": {"last-applied": json.dumps(item)}}
    kept = cli.public_only(
        {"items": [item, {"spec": {"jwtRules": [{"issuer": "j", "jwksUri": "https://SECRET"}]}}]}
    )
    assert "SECRET" not in json.dumps(kept)
    assert [rule["issuer"] for one in kept["items"] for rule in one["spec"]["jwtRules"]] == ["i", "j"]


@pytest.mark.parametrize("outcome", [Outcome.DENIED, Outcome.DISABLED])
def test_a_role_or_an_api_is_asked_for_in_the_project_that_was_read(outcome: Outcome) -> None:
    other = {
        "SIGNING_KEY_SECRET_ID": "projects/keys-project/secrets/s/versions/1",
        "VPC_SUBNET": "projects/host-project/regions/europe-west1/subnetworks/s",
        "BIGQUERY_TABLE": "data-project.d.t",
        "UNDELIVERED_TOPIC": "projects/topics-project/topics/u",
    }
    values = {**verified.base_values(), **other}
    asked = {question.name: question for question in questions.first(values, [ENRICH])}
    for name, project in (
        ("secret-signing-key", "keys-project"),
        ("subnet", "host-project"),
        ("table", "data-project"),
        ("topic-undelivered", "topics-project"),
        ("function-enrich", "acme-mesh"),
        ("project", "acme-mesh"),
    ):
        failed = {name: verified.failed(outcome)}
        (found,) = reading.check(Deployment(values, [ENRICH], {name: asked[name]}, failed))
        assert project in {word.rpartition("=")[2] for word in found.commands[0]}, found.shell()


def test_a_removal_works_where_other_grants_have_conditions() -> None:
    """gcloud refuses to remove or to add without --all or --condition as soon as one grant has a condition."""
    commands = [
        shlex.split(command)
        for state in verified.STATES
        for found in verified.report(state)[1]["findings"]
        for command in found["commands"]
    ]
    judged = 0
    for words in commands:
        binding = next((word for word in words if word.endswith("-iam-policy-binding")), "")
        if words[0] == "gcloud" and binding and "pubsub" not in words:
            assert ("--all" if binding.startswith("remove") else "--condition=None") in words, words
            judged += 1
    assert judged > 10


@pytest.mark.parametrize("name", ["verify", "destroy"])
def test_an_older_python_ends_in_one_line(name: str) -> None:
    older = "import sys, runpy; sys.version_info = (3, 10, 13); sys.argv = sys.argv[1:]"
    run = f"sys.path.insert(0, {str(ROOT / 'deploy')!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", f"{older}; {run}", str(ROOT / "deploy" / name), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"{name}: needs Python 3\.11 or newer, this is .*\n", done.stderr)
