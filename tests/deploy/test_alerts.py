"""The alert policies have fields of Cloud Monitoring's API alone, and the contract's names."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from deploy.steps.alerts import POLICIES, rendered

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.harness import Contract, Script

FILES = sorted(POLICIES.glob("*.json"))
VALUES = {
    "FUNCTION_NAME": "f",
    "SUBSCRIPTION_NAME": "s",
    "TRIGGER_TOPIC": "projects/p/topics/events",
    "DEAD_LETTER_TOPIC": "projects/p/topics/dead",
    "UNDELIVERED_TOPIC": "projects/p/topics/given-up",
}
_CONDITIONS = {"conditionThreshold", "conditionMatchedLog", "conditionPrometheusQueryLanguage"}


@pytest.fixture(scope="module")
def fields(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401
    """Every field that a policy may have, from the descriptors of google-cloud-monitoring 2.32.0."""
    return json.loads((request.path.parent / "data" / "alert_policy_fields.json").read_text())


def problems(value: object, known: Any, where: str = "") -> list[str]:  # noqa: ANN401
    """What of a policy the API would not take."""
    if isinstance(known, list):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [
            problem
            for index, item in enumerate(value)
            for problem in problems(item, known[0], f"{where}[{index}]")
        ]
    if isinstance(known, dict) and "enum" in known:
        return [] if value in known["enum"] else [f"{where} is {value!r}"]
    if isinstance(known, dict):
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        found = []
        for name, item in value.items():
            kind = known.get(name, known.get("*"))
            found += (
                problems(item, kind, f"{where}.{name}")
                if kind
                else [f"{where}.{name} is no field of the API"]
            )
        return found
    right = {
        "string": isinstance(value, str),
        "duration": isinstance(value, str) and re.fullmatch(r"\d+s", value) is not None,
        "integer": type(value) is int,
        "number": type(value) in (int, float),
        "boolean": type(value) is bool,
    }
    return [] if right[known] else [f"{where} is {value!r}, no {known}"]


def policy(file: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(rendered(file.read_text(), VALUES))
    return read


def test_there_is_a_policy_for_each_thing_to_alert_on() -> None:
    assert [file.stem for file in FILES] == [
        "critical-lines",
        "dead-letter-ratio",
        "oldest-event",
        "undelivered",
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_policy_has_fields_of_the_api_alone(file: Path, fields: Any) -> None:  # noqa: ANN401
    read = policy(file)
    assert problems(read, fields) == []
    assert read["documentation"]["content"]
    for condition in read["conditions"]:
        assert len(_CONDITIONS & condition.keys()) == 1
    of_logs = any("conditionMatchedLog" in condition for condition in read["conditions"])
    # The API demands it for a condition on logs, which must then stand alone, and refuses it for any other.
    assert ("notificationRateLimit" in read["alertStrategy"]) == of_logs
    assert not of_logs or len(read["conditions"]) == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"display_name": "x"}, ".display_name is no field of the API"),
        ({"combiner": "ANY"}, ".combiner is 'ANY'"),
        ({"alertStrategy": {"autoClose": "1h"}}, ".alertStrategy.autoClose is '1h', no duration"),
        (
            {"conditions": [{"conditionThreshold": {"threshold": 1}}]},
            ".conditions[0].conditionThreshold.threshold",
        ),
    ],
)
def test_a_wrong_field_is_noticed(fields: Any, change: dict[str, Any], problem: str) -> None:  # noqa: ANN401
    (found,) = problems(policy(FILES[0]) | change, fields)
    assert found.startswith(problem)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_placeholder_is_a_key_of_the_contract_and_topics_are_named_as_monitoring_does(
    file: Path,
) -> None:
    assert set(re.findall(r"\$\{(\w+)\}", file.read_text())) <= VALUES.keys()
    text = rendered(file.read_text(), VALUES)
    assert "${" not in text
    assert "projects/" not in text


def test_the_age_of_the_oldest_event_is_that_of_the_own_subscription_or_of_eventarcs() -> None:
    (condition,) = policy(POLICIES / "oldest-event.json")["conditions"]
    wanted = '(resource.labels.subscription_id = "s" OR resource.labels.subscription_id = starts_with("eventarc-"))'
    assert wanted in condition["conditionThreshold"]["filter"]


def test_the_policies_are_written_with_the_contracts_names_and_nothing_is_run(
    script: Script, contract: Contract, tmp_path: Path
) -> None:
    output = tmp_path / "alerts"
    done = script("write-alerts", f"--contract={contract.path}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted(output.iterdir())] == [file.name for file in FILES]
    ratio = json.loads((output / "dead-letter-ratio.json").read_text())
    assert (
        'topic_id="user-events-dead-letter"'
        in ratio["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]
    )
    commands = done.stdout.replace("\\\n    ", "")
    assert commands.count("gcloud monitoring policies create --project=acme-mesh --policy-from-file=") == 4
