"""One event through the deployed function: what is published, where its end is looked for, how it is judged."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest

from deploy.steps import RefusalError, bq, smoke
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.harness import Contract, Gcloud, Script

RUN = "smoke-0123456789abcdef"

FAKE_BQ = """\
#!{python} -IS
import os, sys
home = os.path.dirname(__file__)
with open(home + "/calls", "a") as calls:
    print(ascii(sys.argv[1:]), file=calls)
with open(home + "/answers") as file:
    code, answer = eval(file.read())["--project_id"][0]
print(answer)
sys.exit(code)
"""


@pytest.fixture
def bq_too(gcloud: Gcloud) -> Gcloud:
    """The recording gcloud, with a bq beside it that writes errors to standard output, as bq does."""
    executable = gcloud.folder / "bq"
    executable.write_text(FAKE_BQ.format(python=sys.executable))
    executable.chmod(0o755)
    gcloud.answers("--project_id", '[{"found": "0"}]')
    gcloud.answers("pubsub subscriptions pull", "[]")
    return gcloud


def dead_letter(reason: str, detail: str = "") -> str:
    attributes = {"dead_letter_reason": reason, "dead_letter_detail": detail}
    return json.dumps([{"message": {"attributes": attributes}}])


def test_a_row_ends_the_test_and_the_subscription_is_gone(
    script: Script, bq_too: Gcloud, contract: Contract
) -> None:
    bq_too.answers("--project_id", '[{"found": "1"}]')
    done = script("smoke", f"--contract={contract.path}")
    assert done.returncode == 0, done.stderr
    assert "is a row: lookup and table work" in done.stdout
    verbs = [" ".join(call[:3]) for call in bq_too.calls()]
    assert verbs[0] == "pubsub subscriptions create"
    assert verbs[1] == "pubsub topics publish"
    assert verbs[-1] == "pubsub subscriptions delete"
    created, deleted = bq_too.call("pubsub", "subscriptions", "create")[3], verbs[-1]
    assert bq_too.call("pubsub", "subscriptions", "delete")[3] == created, deleted


def test_only_the_dead_letter_of_this_run_is_read_and_no_other_readers_subscription(
    script: Script, bq_too: Gcloud, contract: Contract
) -> None:
    bq_too.answers(
        "pubsub subscriptions pull", dead_letter("profile_not_found", "the service does not know the user")
    )
    done = script("smoke", f"--contract={contract.path}")
    assert done.returncode == 0, done.stderr
    assert "is a dead letter (profile_not_found: the service does not know the user)" in done.stdout
    published = bq_too.call("pubsub", "topics", "publish")
    (event,) = (json.loads(word.partition("=")[2]) for word in published if word.startswith("--message="))
    run_id = event["event_id"]
    assert published[3] == "projects/acme-mesh/topics/user-events"
    assert f"--attribute=meshpass_smoke_test={run_id}" in published
    made = bq_too.call("pubsub", "subscriptions", "create")
    assert f'--message-filter=attributes.meshpass_smoke_test = "{run_id}"' in made
    assert made[3] == f"projects/acme-mesh/subscriptions/{run_id}"
    pulled = bq_too.call("pubsub", "subscriptions", "pull")
    assert pulled[3] == made[3]
    assert not [word for word in pulled if "ack" in word]


def test_two_runs_have_two_ids(script: Script, bq_too: Gcloud, contract: Contract) -> None:
    bq_too.answers("--project_id", '[{"found": "1"}]')
    for _ in range(2):
        script("smoke", f"--contract={contract.path}")
    made = [call[3] for call in bq_too.calls() if call[:3] == ["pubsub", "subscriptions", "create"]]
    assert len(set(made)) == 2


@pytest.mark.parametrize(
    ("kind", "reason", "expect"),
    [
        ("row", "", "dead-letter"),
        ("dead letter", "profile_not_found", "row"),
        ("dead letter", "event_invalid", "either"),
        ("dead letter", "event_invalid", "dead-letter"),
        ("dead letter", "", "either"),
    ],
)
def test_an_end_that_was_not_expected_is_a_failure(kind: str, reason: str, expect: str) -> None:
    with pytest.raises(RefusalError, match=RUN):
        smoke.judge(smoke.Outcome(kind, reason), expect, run_id=RUN, timeout_s=300)


@pytest.mark.parametrize(
    ("kind", "reason", "expect"),
    [
        ("row", "", "row"),
        ("row", "", "either"),
        ("dead letter", "profile_not_found", "either"),
        ("dead letter", "profile_not_found", "dead-letter"),
    ],
)
def test_an_end_that_was_expected_is_none(kind: str, reason: str, expect: str) -> None:
    assert RUN in smoke.judge(smoke.Outcome(kind, reason), expect, run_id=RUN, timeout_s=300)


def test_an_event_that_ends_nowhere_says_where_to_look() -> None:
    with pytest.raises(RefusalError, match=r"neither a row nor a dead letter within 300 s.*deploy/verify"):
        smoke.judge(None, "either", run_id=RUN, timeout_s=300)


def test_it_waits_as_long_as_it_says_and_looks_once_more_at_the_end() -> None:
    now = 0.0
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def nothing() -> smoke.Outcome | None:
        looks.append(now)
        return None

    assert smoke.wait(nothing, timeout_s=12, clock=lambda: now, sleep=sleep) is None
    assert looks == [0, 5, 10, 12]
    numbers = count()
    row = smoke.Outcome("row")
    found = smoke.wait(
        lambda: row if next(numbers) == 2 else None, timeout_s=100, clock=lambda: now, sleep=sleep
    )
    assert found is row


def test_a_failure_on_the_way_still_deletes_the_subscription(
    script: Script, bq_too: Gcloud, contract: Contract
) -> None:
    bq_too.answers("pubsub topics publish", "", code=1)
    done = script("smoke", f"--contract={contract.path}")
    assert done.returncode == 1
    assert "`gcloud pubsub topics publish` failed with exit code 1" in done.stderr
    assert bq_too.call("pubsub", "subscriptions", "delete")


def test_a_subscription_that_cannot_be_deleted_hides_no_outcome(
    script: Script, bq_too: Gcloud, contract: Contract
) -> None:
    bq_too.answers("--project_id", '[{"found": "1"}]')
    bq_too.answers("pubsub subscriptions delete", "", code=1)
    done = script("smoke", f"--contract={contract.path}")
    assert done.returncode == 0
    assert "is a row" in done.stdout
    assert "expires by itself after a day" in done.stderr


def test_an_error_of_bq_is_shown(script: Script, bq_too: Gcloud, contract: Contract) -> None:
    bq_too.answers("--project_id", "Access Denied: Table acme-mesh:enrichment.user_events", code=1)
    done = script("smoke", f"--contract={contract.path}")
    assert done.returncode == 1
    assert "`bq query` failed with exit code 1: Access Denied: Table acme-mesh" in done.stderr
    assert "Traceback" not in done.stderr
    assert bq_too.call("pubsub", "subscriptions", "delete")


@pytest.mark.parametrize("text", ["Welcome to BigQuery!", '{"found": 1}'])
def test_an_output_that_is_no_list_is_no_traceback(text: str) -> None:
    with pytest.raises(RefusalError, match="`bq query` printed no list in JSON"):
        bq.json_list(text, "bq query")
    assert bq.json_list("\n", "bq query") == []


def test_the_query_names_the_id_as_a_parameter_and_reads_one_day_at_a_bounded_price() -> None:
    test = smoke.Test({"GOOGLE_CLOUD_PROJECT": "acme-mesh", "BIGQUERY_TABLE": "acme-mesh.d.t"}, RUN, "{}")
    *flags, sql = test.query()
    assert f"--parameter=id:STRING:{RUN}" in flags
    assert "--maximum_bytes_billed=1000000000" in flags
    assert RUN not in sql
    assert "publish_time >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 DAY)" in sql
    *_, bare = smoke.Test(test.values, RUN, "{}", "id", "").query()
    assert bare.endswith("WHERE id = @id")


def test_dry_run_prints_every_command_and_runs_none(
    script: Script, gcloud: Gcloud, contract: Contract
) -> None:
    done = script("smoke", "--dry-run", f"--contract={contract.path}")
    assert done.returncode == 0, done.stderr
    assert gcloud.calls() == []
    words = [shlex.split(line, comments=True) for line in done.stdout.replace("\\\n", " ").splitlines()]
    assert [line[:4] for line in words if line[0] == "gcloud"] == [
        ["gcloud", "pubsub", "subscriptions", "create"],
        ["gcloud", "pubsub", "topics", "publish"],
        ["gcloud", "pubsub", "subscriptions", "pull"],
        ["gcloud", "pubsub", "subscriptions", "delete"],
    ]


def test_an_event_of_ones_own_gets_the_id_of_the_run(
    script: Script, bq_too: Gcloud, contract: Contract, tmp_path: Path
) -> None:
    bq_too.answers("--project_id", '[{"found": "1"}]')
    own = tmp_path / "event.json"
    own.write_text('{"id": "SMOKE_TEST_ID", "user": "u-1001"}')
    done = script("smoke", f"--contract={contract.path}", f"--event={own}", "--id-column=id", "--expect=row")
    assert done.returncode == 0, done.stderr
    (message,) = (
        word for word in bq_too.call("pubsub", "topics", "publish") if word.startswith("--message=")
    )
    event = json.loads(message.partition("=")[2])
    assert event["user"] == "u-1001"
    assert f"--attribute=meshpass_smoke_test={event['id']}" in bq_too.call("pubsub", "topics", "publish")


def test_an_event_without_a_place_for_the_id_or_none_at_all_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "event.json"
    with pytest.raises(RefusalError, match=r"cannot read the event .*: No such file"):
        smoke._event(own, RUN)
    own.write_text('{"id": "fixed"}')
    with pytest.raises(RefusalError, match=r"does not have SMOKE_TEST_ID where its id belongs"):
        smoke._event(own, RUN)


@pytest.mark.parametrize("column", ["a`b", "event_id = @id OR TRUE", "", "1st", "a.b"])
def test_a_column_that_is_no_name_is_refused(column: str, script: Script) -> None:
    done = script("smoke", "--dry-run", f"--id-column={column}")
    assert done.returncode == 2
    assert "is no column name" in done.stderr


def test_the_placeholder_project_is_refused(script: Script, bq_too: Gcloud) -> None:
    done = script("smoke")
    assert done.returncode == 1
    assert "placeholder project" in done.stderr
    assert bq_too.calls() == []


def test_the_default_event_is_one_that_the_shipped_pipeline_takes(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(smoke.default_event(RUN, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
    command = [sys.executable, "-m", "enrichment", "check", "--event", str(event)]
    done = subprocess.run(command, cwd=ROOT / "function", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'"{RUN}"' in done.stdout
