"""deploy/verify finds each bad state, and takes nothing for fine that it could not read."""

from __future__ import annotations

import json
import shlex
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from enrichment.commands import sql

from deploy.steps.cloud.answers import Answer, Outcome, checked
from deploy.steps.verify.finding import Severity
from deploy.steps.verify.known_findings import KINDS
from tests.deploy import verified
from tests.deploy.recorded import make

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = sorted(verified.base_questions())


def test_the_recorded_base_is_of_the_contract_of_now() -> None:
    written = make.answers(make.checked(make.contract()))
    recorded = {name: entry["data"] for name, entry in verified.base_recording().answers.items()}
    assert recorded == written, "Run `python -m tests.deploy.recorded.make`."


def test_a_deployment_that_is_as_the_contract_says_has_no_finding() -> None:
    code, report = verified.report(verified.BASE)
    assert (code, report["findings"], report["clean"]) == (0, [], True)


@pytest.mark.parametrize("state", verified.STATES, ids=lambda path: path.stem)
def test_each_state_has_its_findings_and_no_other(state: Path) -> None:
    expected = json.loads(state.read_text())["finds"]
    code, report = verified.report(state)
    assert sorted({found["id"] for found in report["findings"]}) == expected
    assert code == (1 if expected else 0)


def test_each_kind_of_finding_has_a_recorded_state() -> None:
    recorded = {kind for state in verified.STATES for kind in json.loads(state.read_text())["finds"]}
    assert recorded == set(KINDS)
    assert {state.stem.partition(".")[0] for state in verified.STATES} - {"clean"} == set(KINDS)


@pytest.mark.parametrize("outcome", [Outcome.DENIED, Outcome.DISABLED, Outcome.FAILED, Outcome.UNCLEAR])
def test_each_part_that_cannot_be_read_is_a_finding_of_its_own(outcome: Outcome) -> None:
    for name, (question, _) in verified.base_questions().items():
        unreadable = [
            found.subject
            for found in verified.findings({name: verified.failed(outcome)})
            if found.kind.severity is Severity.UNREADABLE
        ]
        assert unreadable == [question.about], name


def test_each_part_that_does_not_exist_is_a_finding() -> None:
    for name in QUESTIONS:
        assert verified.findings({name: verified.failed(Outcome.ABSENT)}), name


def test_an_answer_that_lies_about_everything_is_not_clean() -> None:
    # One failure for all is what a wrong project or a lost role looks like.
    for outcome in (Outcome.DENIED, Outcome.ABSENT, Outcome.UNCLEAR):
        assert verified.findings({name: verified.failed(outcome) for name in QUESTIONS})


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        [[]],
        [None],
        [{}],
        {"bindings": 3},
        {"serviceConfig": []},
        {"schema": {"fields": "x"}},
        None,
        7,
        "x",
    ],
    ids=str,
)
def test_an_answer_of_any_shape_ends_in_a_report(data: Any) -> None:  # noqa: ANN401
    for name, (question, _) in verified.base_questions().items():
        verified.findings({name: checked(question, data)})


EMPTY_IS_GOOD = (
    "topic",
    "account",
    "dataset",
    "project",
    "subscriptions",
    "readers-trigger",
    "secret-gateway",
)
"""Where Google answers with an empty object or list although all is well: no keys, no grants, no own settings."""


def test_an_empty_answer_is_not_clean_where_there_has_to_be_something() -> None:
    for name, (question, _) in verified.base_questions().items():
        if not name.startswith((*EMPTY_IS_GOOD, "secret-policy-gateway")):
            assert verified.findings({name: Answer(Outcome.OK, question.shape())}), name


HOSTILE = [
    "--project=stolen",
    "-q",
    "$(touch /tmp/x)",
    "a; rm -rf ~",
    "projects/p/subscriptions/--quiet",
    "x\n--flag",
    "\x1b[2J",
    "`id`",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_of_an_api_is_no_option_and_no_shell_code(name: str) -> None:
    """Every text of every answer is replaced by a hostile one; each command must stay words of its own."""
    replaced = {
        key: Answer(Outcome.OK, _hostile(answer.data, name))
        for key, (_, answer) in verified.base_questions().items()
        if key not in {"project"}
    }
    found = verified.findings(replaced)
    assert found
    for one in found:
        for words, shown in zip(one.commands, one.shell(), strict=False):
            assert shlex.split(shown)[0] in {"gcloud", "bq", "kubectl", "meshpass", "sh"} or shown.startswith(
                "deploy/"
            )
            options = [word for word in words if word == name]
            assert not options, f"{one.kind.name}: {words}"
        for text in (one.as_json()["subject"], one.as_json()["found"], *one.shell()):
            assert str(text).isprintable()


def _hostile(data: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(data, dict):
        return {key: _hostile(value, name) for key, value in data.items()}
    if isinstance(data, list):
        return [_hostile(value, name) for value in data]
    return name if isinstance(data, str) else data


def test_a_value_of_an_unknown_variable_is_never_shown() -> None:
    state = verified.RECORDED / "states" / "environment-unknown.json"
    for arguments in (("--json",), ()):
        _, out, err = verified.run(*arguments, "--from", str(state))
        assert "DEBUG_TOKEN" in out
        assert "not to be shown" not in out + err


def test_the_query_of_a_foreign_endpoint_is_not_shown() -> None:
    _, out, _ = verified.run("--from", str(verified.RECORDED / "states" / "push-endpoint.json"))
    assert "collector.example.com" in out
    assert "token=abc" not in out


def test_findings_come_the_gravest_first() -> None:
    replaced = {name: verified.failed(Outcome.DENIED) for name in QUESTIONS if name.startswith("secret")}
    replaced["topic-policy-undelivered"] = Answer(
        Outcome.OK, {"bindings": [{"role": "roles/pubsub.publisher", "members": ["allUsers"]}]}
    )
    order = [found.kind.severity for found in verified.findings(replaced)]
    assert order == sorted(order, key=list(Severity).index)
    assert order[0] is Severity.UNSAFE


def test_the_view_that_the_command_makes_is_the_view_that_is_expected() -> None:
    view = verified.base_questions()["view"][1].data
    made = sql.render(
        "deduplicated_view", {"table": "acme-mesh.enrichment.user_events", "view": "a-b-c-d.e.f"}
    )
    query = made.partition("\nAS\n")[2]
    assert "ROW_NUMBER()" in query
    assert verified.findings({"view": Answer(Outcome.OK, {**view, "view": {"query": query}})}) == []


def test_one_function_alone_can_be_verified() -> None:
    code, report = verified.report(verified.BASE, "--entry-point=lookup")
    assert code == 0
    assert report["reads"] < len(QUESTIONS)
    broken = verified.RECORDED / "states" / "public-access.json"
    assert verified.report(broken, "--entry-point=enrich")[0] == 0
    assert verified.report(broken, "--entry-point=lookup")[0] == 1


def test_bq_gets_its_options_before_the_name_of_the_resource() -> None:
    """bq stops reading options at the first word that is none."""
    commands = [
        shlex.split(command)
        for state in verified.STATES
        for found in verified.report(state)[1]["findings"]
        for command in found["commands"]
    ]
    commands += [list(question.command) for question, _ in verified.base_questions().values()]
    checked_commands = 0
    for program, *words in commands:
        if program == "bq":
            first = next(i for i, word in enumerate(words) if not word.startswith("-"))
            plain = [not word.startswith("-") for word in words[first + 1 :]]
            assert plain == sorted(plain), words
            checked_commands += 1
    assert checked_commands > 10


@pytest.mark.parametrize("key", ["PULL_WORKER_SERVICE_ACCOUNT", "DATAFLOW_SERVICE_ACCOUNT"])
def test_another_driver_of_the_contract_may_read_the_secrets_and_no_command_takes_that_away(key: str) -> None:
    account = "meshpass-driver@acme-mesh.iam.gserviceaccount.com"
    reader = {"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{account}"]}
    replaced = {}
    for name, (_, answer) in verified.base_questions().items():
        if name.startswith("secret-policy-"):
            replaced[name] = Answer(
                Outcome.OK, {**answer.data, "bindings": [*answer.data["bindings"], reader]}
            )
    assert {found.kind.name for found in verified.findings(replaced)} == {"extra-secret-reader"}
    assert verified.findings(replaced, **{key: account}) == []


def test_what_is_not_read_back_is_said(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    shutil.copytree(verified.BASE, recording)
    with (recording / "contract.env").open("a") as file:
        file.write("DATAFLOW_SERVICE_ACCOUNT=meshpass-dataflow@acme-mesh.iam.gserviceaccount.com\n")
    assert "not read: what runs on Dataflow" in verified.run("--from", str(recording))[2]
    assert "not read" not in verified.run("--from", str(verified.BASE))[2]
