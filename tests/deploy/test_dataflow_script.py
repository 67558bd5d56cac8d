"""What deploy/dataflow guarantees: nothing is launched before its environment is right, and workers stay private."""

from __future__ import annotations

import json
import os
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from deploy.steps import RefusalError
from deploy.steps.dataflow import cli, names, readback, template
from deploy.steps.package import bundle
from tests.deploy.harness import MISSING, TOPIC, with_default_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.deploy.harness import Contract, Gcloud

    Dataflow = Callable[..., int]

ACCOUNT = "meshpass-dataflow@acme-mesh.iam.gserviceaccount.com"
SUBNET = "https://www.googleapis.com/compute/v1/projects/acme-mesh/regions/europe-west1/subnetworks/meshpass-functions"
SUBSCRIPTION = "projects/acme-mesh/subscriptions/meshpass-enrichment-dataflow"
IMAGE = "europe-west1-docker.pkg.dev/acme-mesh/meshpass/meshpass-dataflow"
IMAGE_DIGEST = f"sha256:{'ab' * 32}"
JOB = "2026-11-30_01_02_03-456"
CHANGES = ("build", "run", "submit", "drain", "cancel")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that counts as good: what makes one of it is checked elsewhere."""
    folder = tmp_path / "dataflow"
    folder.mkdir()
    (folder / "launch.py").write_text("")
    monkeypatch.setattr(bundle, "problems", lambda *_: [])
    return folder


@pytest.fixture
def with_processes(
    gcloud: Gcloud, contract: Contract, source: Path, monkeypatch: pytest.MonkeyPatch
) -> Dataflow:
    """Run deploy/dataflow with the recording gcloud, where everything that it asks for is there."""
    monkeypatch.setenv("PATH", str(gcloud.folder))
    contract.set(DATAFLOW_SERVICE_ACCOUNT=ACCOUNT)
    gcloud.answers("storage buckets describe", "acme-mesh-dataflow|True|enforced")
    gcloud.answers("storage objects describe", "templates/x/stream.json")
    gcloud.answers("iam service-accounts describe", f"{ACCOUNT}|114|")
    gcloud.answers("compute networks subnets describe", "meshpass-functions|10.8.0.0/24|True")
    gcloud.answers("pubsub subscriptions describe", f"{SUBSCRIPTION}|{TOPIC}||||||")
    gcloud.answers("artifacts tags list", IMAGE_DIGEST)
    gcloud.answers("dataflow jobs list", "")

    def run(*arguments: str) -> int:
        given = [] if arguments[0] in ("drain", "cancel") else [f"--source={source}"]
        return cli.main([*arguments, f"--contract={contract.path}", *given])

    return run


@pytest.fixture
def dataflow(gcloud: Gcloud, with_processes: Dataflow, monkeypatch: pytest.MonkeyPatch) -> Dataflow:
    """The same, with the recording gcloud in this process."""
    monkeypatch.setattr(
        "deploy.steps.gcloud.subprocess", SimpleNamespace(run=gcloud.take, PIPE=subprocess.PIPE)
    )
    return with_processes


def changes(gcloud: Gcloud) -> list[str]:
    """The commands so far that change something."""
    return [" ".join(call[:3]) for call in gcloud.calls() if set(call[:3]) & set(CHANGES)]


def launched(gcloud: Gcloud) -> list[str]:
    return gcloud.call("dataflow", "flex-template", "run")


def parameters(words: list[str]) -> dict[str, str]:
    """The template's parameters of a launch, as gcloud reads the flag."""
    (flag,) = [word for word in words if word.startswith("--parameters=")]
    delimiter, _, rest = flag.removeprefix("--parameters=^").partition("^")
    pairs = (pair.partition("=") for pair in rest.split(delimiter))
    return {name: value for name, _, value in pairs}


def test_workers_have_no_public_address_and_run_as_their_own_account(
    gcloud: Gcloud, dataflow: Dataflow
) -> None:
    assert dataflow("run", "stream") == 0
    words = launched(gcloud)
    assert words[3] == "meshpass-enrichment-dataflow"
    assert {
        "--project=acme-mesh",
        "--region=europe-west1",
        "--disable-public-ips",
        f"--subnetwork={SUBNET}",
        f"--service-account-email={ACCOUNT}",
        "--staging-location=gs://acme-mesh-dataflow/staging",
        "--temp-location=gs://acme-mesh-dataflow/temp",
        "--max-workers=10",
        "--worker-machine-type=n2-standard-2",
        "--enable-streaming-engine",
    } <= set(words)
    (labels,) = [word for word in words if word.startswith("--additional-user-labels=")]
    assert labels.startswith("--additional-user-labels=app=meshpass,mode=stream,package=")
    assert "--update" not in words


def test_the_subnet_of_a_shared_network_is_named_in_full(
    gcloud: Gcloud, dataflow: Dataflow, contract: Contract
) -> None:
    host = "projects/acme-host/regions/europe-west1/subnetworks/functions"
    contract.set(VPC_NETWORK="projects/acme-host/global/networks/shared", VPC_SUBNET=host)
    gcloud.answers("compute networks subnets describe", "functions|10.8.0.0/24|True")
    dataflow("run", "stream")
    assert f"--subnetwork=https://www.googleapis.com/compute/v1/{host}" in launched(gcloud)
    assert "--project=acme-host" in gcloud.call("compute", "networks", "subnets", "describe")


def test_the_environment_travels_as_a_parameter_and_holds_no_secret_and_no_mount(
    gcloud: Gcloud, dataflow: Dataflow, contract: Contract
) -> None:
    secret = "projects/acme-mesh/secrets/meshpass-signing-key/versions/3"
    contract.set(SIGNING_KEY_FILE="/etc/key/key.pem", SIGNING_KEY_SECRET_ID=secret)
    dataflow("run", "stream", "--set", "write=storage-write", "--set", "in-flight=64")
    found = parameters(launched(gcloud))
    environment = json.loads(found.pop("environment"))
    assert environment["SIGNING_KEY_SECRET_ID"] == secret
    assert environment["GKE_GATEWAY_URL"] == "https://10.128.0.5"
    assert not [name for name in environment if name.endswith("_FILE")]
    assert found.pop("sdk_container_image") == f"{IMAGE}@{IMAGE_DIGEST}"
    assert found == {
        "mode": "stream",
        "subscription": SUBSCRIPTION,
        "gateway_ca_secret": "projects/acme-mesh/secrets/gateway-ca/versions/latest",
        "write": "storage-write",
        "in_flight": "64",
    }


@pytest.mark.parametrize(
    ("secret", "version"),
    [
        ("", ""),
        ("ca", "projects/acme-mesh/secrets/ca/versions/latest"),
        ("ca:3", "projects/acme-mesh/secrets/ca/versions/3"),
        ("projects/other-one/secrets/ca", "projects/other-one/secrets/ca/versions/latest"),
        ("projects/other-one/secrets/ca/versions/7", "projects/other-one/secrets/ca/versions/7"),
        ("projects/example.com:p/secrets/ca:9", "projects/example.com:p/secrets/ca/versions/9"),
    ],
)
def test_each_name_of_the_cas_secret_becomes_a_version(secret: str, version: str) -> None:
    values = {"GKE_GATEWAY_CA_SECRET": secret, "GOOGLE_CLOUD_PROJECT": "acme-mesh"}
    assert names.gateway_ca(values) == version


PREFIX = "meshpass-enrichment-dataflow"


@pytest.mark.parametrize(
    ("command", "answer", "complaint"),
    [
        ("storage buckets describe", None, "there is no bucket acme-mesh-dataflow"),
        ("storage buckets describe", "b|False|enforced", "has no uniform access"),
        ("storage buckets describe", "b|True|inherited", "does not prevent public access"),
        ("storage objects describe", None, "there is no template gs://acme-mesh-dataflow/templates/"),
        ("artifacts tags list", None, f"there is no image {IMAGE}:"),
        ("iam service-accounts describe", None, f"there is no account {ACCOUNT}"),
        ("iam service-accounts describe", f"{ACCOUNT}|114|True", "is disabled"),
        ("compute networks subnets describe", None, "there is no subnet meshpass-functions in acme-mesh"),
        ("compute networks subnets describe", "s|10.8.0.0/24|False", "has no Private Google Access"),
        (
            "compute networks subnets describe",
            "s|10.9.0.0/24|True",
            "is 10.9.0.0/24, and FUNCTION_EGRESS_RANGE",
        ),
        ("pubsub subscriptions describe", None, f"there is no subscription {PREFIX}"),
        ("pubsub subscriptions describe", f"s|{TOPIC}-2||||||", f"belongs to the topic '{TOPIC}-2'"),
        ("pubsub subscriptions describe", f"s|{TOPIC}|https://f|||||", "pushes to 'https://f'"),
        ("pubsub subscriptions describe", f"s|{TOPIC}||True||||", "is detached"),
        ("pubsub subscriptions describe", f"s|{TOPIC}|||True|||", "has exactly-once delivery"),
        ("pubsub subscriptions describe", f"s|{TOPIC}||||True||", "has message ordering"),
        ("pubsub subscriptions describe", f"s|{TOPIC}|||||projects/p/topics/t|", "has a dead-letter policy"),
        ("pubsub subscriptions describe", f"s|{TOPIC}||||||10s", "has a retry policy with backoff"),
        ("dataflow jobs list", JOB, f"a job {PREFIX} runs already ({JOB}); use `update`"),
    ],
)
def test_nothing_is_launched_where_its_environment_is_wrong(
    gcloud: Gcloud, dataflow: Dataflow, command: str, answer: str | None, complaint: str
) -> None:
    gcloud.answers(command, MISSING if answer is None else answer, code=1 if answer is None else 0)
    with pytest.raises(RefusalError) as refused:
        dataflow("run", "stream")
    assert complaint in str(refused.value)
    assert "nothing was changed" in str(refused.value)
    assert changes(gcloud) == []


def test_without_a_key_the_id_of_the_account_is_the_one_that_the_policies_name(
    gcloud: Gcloud, dataflow: Dataflow, contract: Contract
) -> None:
    contract.set(MESH_AUTH="google-id-token", DATAFLOW_SUBJECT="115", SIGNING_KEY_SECRET_ID=None)
    with pytest.raises(RefusalError, match=r"DATAFLOW_SUBJECT is 115, and the unique id .* is 114"):
        dataflow("run", "stream")
    assert changes(gcloud) == []
    contract.set(DATAFLOW_SUBJECT="114")
    dataflow("run", "stream")
    assert "SIGNING_KEY_SECRET_ID" not in json.loads(parameters(launched(gcloud))["environment"])


def test_an_update_needs_a_job_that_runs(gcloud: Gcloud, dataflow: Dataflow) -> None:
    with pytest.raises(RefusalError, match="there is none to update"):
        dataflow("update")
    gcloud.answers("dataflow jobs list", JOB)
    assert dataflow("update") == 0
    assert "--update" in launched(gcloud)


@pytest.mark.parametrize("verb", ["drain", "cancel"])
def test_a_job_is_ended_by_its_id(gcloud: Gcloud, dataflow: Dataflow, verb: str) -> None:
    with pytest.raises(RefusalError, match="no job meshpass-enrichment-dataflow runs"):
        dataflow(verb)
    gcloud.answers("dataflow jobs list", JOB)
    dataflow(verb, "--job=acme-other")
    assert gcloud.call("dataflow", "jobs", verb)[3] == JOB
    assert "--filter=name=acme-other" in gcloud.calls()[-2]


def test_a_backfill_has_a_journal_of_its_name_and_resumes_under_it(
    gcloud: Gcloud, dataflow: Dataflow
) -> None:
    dataflow(
        "run",
        "backfill",
        "year-2025",
        "--set",
        "files=gs://a/2025/*.jsonl.gz gs://a/x.avro",
        "--set",
        "rate=500",
    )
    words = launched(gcloud)
    # Ten workers of two vCPUs at most. The launcher would share the rate by its own.
    assert parameters(words)["workers"] == "20"
    assert words[3] == "meshpass-enrichment-dataflow-year-2025"
    assert "--enable-streaming-engine" not in words
    found = parameters(words)
    assert (found["mode"], found["rate"]) == ("backfill", "500")
    assert found["journal"] == "gs://acme-mesh-dataflow/backfill/year-2025"
    assert found["files"] == "gs://a/2025/*.jsonl.gz gs://a/x.avro"
    assert "subscription" not in found
    gcloud.answers("dataflow jobs list", JOB)
    with pytest.raises(RefusalError, match="runs already"):
        dataflow("run", "backfill", "year-2025", "--set", "files=gs://a/b.jsonl")


def test_a_query_keeps_its_commas_and_bars(gcloud: Gcloud, dataflow: Dataflow) -> None:
    query = "SELECT a || '|' AS a, b=1 FROM `p.d.t`"
    dataflow("run", "backfill", "q", "--set", f"bigquery_query={query}")
    assert parameters(launched(gcloud))["bigquery_query"] == query


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ([], "a backfill has exactly one input"),
        (["files=gs://a/b", "dead_letters=projects/p/subscriptions/sub"], "exactly one input"),
        (["files=/tmp/events.jsonl"], "the parameter files is not as it must be"),
        (["files=gs://a/b", "rate=fast"], "the parameter rate is not as it must be"),
        (["files=gs://a/b", "write=beam-storage-write"], "the parameter write is not as it must be"),
        (["bigquery_query=DROP TABLE x"], "the parameter bigquery_query is not"),
        (["fles=gs://a/b"], "--set fles: no parameter of the template; it has bigquery_query"),
        (["files=gs://a/b\n--evil=1"], "the parameter files is not as it must be"),
        (["files=gs://a/b", "publish_time=sent_at"], "the parameter publish_time is not as it must be"),
        (["files=gs://a/b", "write=load-files"], "write=load-files needs output"),
        (["files=gs://a/b", "output=gs://a/c"], "output is for write=load-files alone"),
        (
            ["dead_letters=projects/p/subscriptions/sub", "write=load-files", "output=gs://a/c"],
            "dead_letters do not go with write=load-files",
        ),
        (
            ["dead_letters=projects/p/subscriptions/sub", "dry_run=true"],
            "dead_letters do not go with dry_run",
        ),
        (["files=gs://a/b", "files=gs://a/c"], "--set files: it is set twice"),
        (["files=gs://a/b", "workers=1"], "--set workers: it follows from the contract"),
        (["files=gs://a/b", "signing_key=x"], "--set signing_key: no parameter of the template"),
        (["files"], "--set files: write NAME=VALUE"),
        (["mode=stream"], "--set mode: it follows from the contract"),
        (["environment={}"], "--set environment: it follows from the contract"),
        (["sdk_container_image=evil"], "--set sdk_container_image: it follows from the contract"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_asked(
    gcloud: Gcloud, dataflow: Dataflow, settings: list[str], complaint: str
) -> None:
    with pytest.raises(RefusalError) as refused:
        dataflow("run", "backfill", "x", *(word for one in settings for word in ("--set", one)))
    assert complaint in str(refused.value)
    assert gcloud.calls() == []


@pytest.mark.parametrize(
    "arguments", [("run", "backfill", "Year"), ("run", "backfill", "a" * 31), ("drain", "--job=A")]
)
def test_a_wrong_name_is_refused(dataflow: Dataflow, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        dataflow(*arguments)


def test_the_placeholder_project_is_never_touched(
    gcloud: Gcloud, dataflow: Dataflow, contract: Contract
) -> None:
    contract.path.write_text(contract.path.read_text().replace("acme-mesh", "example-project"))
    for arguments in (("run", "stream"), ("build",), ("drain",), ("verify",)):
        with pytest.raises(RefusalError, match="placeholder project"):
            dataflow(*arguments)
    assert gcloud.calls() == []


def test_all_that_is_missing_is_said_at_once_and_then_all_that_is_wrong(
    gcloud: Gcloud, dataflow: Dataflow
) -> None:
    gcloud.answers("compute networks subnets describe", "s|10.8.0.0/24|False")
    gcloud.answers("pubsub subscriptions describe", f"s|{TOPIC}||||True||")
    for command in ("storage buckets describe", "iam service-accounts describe"):
        gcloud.answers(command, MISSING, code=1)
    with pytest.raises(RefusalError) as refused:
        dataflow("run", "stream")
    assert "there is no bucket" in str(refused.value)
    assert "there is no account" in str(refused.value)
    gcloud.answers("storage buckets describe", "acme-mesh-dataflow|True|enforced")
    gcloud.answers("iam service-accounts describe", f"{ACCOUNT}|114|")
    with pytest.raises(RefusalError) as refused:
        dataflow("run", "stream")
    assert "has no Private Google Access" in str(refused.value)
    assert "has message ordering" in str(refused.value)
    assert changes(gcloud) == []


def test_an_image_is_built_once_for_the_same_bytes(gcloud: Gcloud, dataflow: Dataflow, source: Path) -> None:
    gcloud.answers_in_turn("artifacts tags list", (0, ""), (0, IMAGE_DIGEST))
    dataflow("build")
    assert changes(gcloud) == [
        f"builds submit {source}",
        "dataflow flex-template build",
        "dataflow flex-template build",
    ]
    submitted = gcloud.call("builds", "submit")
    image = names.image(
        {"REGION": "europe-west1", "GOOGLE_CLOUD_PROJECT": "acme-mesh", "ARTIFACT_REPOSITORY": "meshpass"},
        bundle.digest(source),
    )
    assert {
        f"--substitutions=_IMAGE={image}",
        "--service-account=projects/acme-mesh/serviceAccounts/meshpass-build@acme-mesh.iam.gserviceaccount.com",
        "--gcs-source-staging-dir=gs://acme-mesh-dataflow/source",
    } <= set(submitted)
    specifications = [call for call in gcloud.calls() if call[:3] == ["dataflow", "flex-template", "build"]]
    assert [call[3].rpartition("/")[2] for call in specifications] == ["stream.json", "backfill.json"]
    assert all(f"--image={IMAGE}@{IMAGE_DIGEST}" in call for call in specifications)

    gcloud.forget_calls()
    dataflow("build")
    assert changes(gcloud) == ["dataflow flex-template build"] * 2


def test_no_template_is_made_where_the_build_left_no_image(gcloud: Gcloud, dataflow: Dataflow) -> None:
    gcloud.answers("artifacts tags list", "")
    with pytest.raises(RefusalError, match="there is no image"):
        dataflow("build")
    assert [words.split()[0] for words in changes(gcloud)] == ["builds"]


@pytest.mark.parametrize(
    "arguments", [("run", "stream"), ("run", "backfill", "b", "--set", "files=gs://a/*.avro"), ("drain",)]
)
def test_the_printed_script_does_in_a_shell_what_the_real_run_does(
    gcloud: Gcloud, with_processes: Dataflow, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    if arguments[0] == "drain":
        gcloud.answers("dataflow jobs list", JOB)
    with_processes(*arguments, "--dry-run")
    printed = capsys.readouterr().out
    assert gcloud.calls() == []
    shell(gcloud, printed)
    by_script = gcloud.calls()
    assert changes(gcloud)
    with_processes(*arguments)
    assert gcloud.calls() == by_script * 2


def shell(gcloud: Gcloud, text: str) -> None:
    path = f"{gcloud.folder}{os.pathsep}/usr/bin{os.pathsep}/bin"
    subprocess.run(
        ["/bin/sh"], input=text, env={"PATH": path}, text=True, check=True, preexec_fn=with_default_signals
    )


def test_a_script_of_wrong_parameters_stops_at_once(
    gcloud: Gcloud, dataflow: Dataflow, capsys: pytest.CaptureFixture[str]
) -> None:
    dataflow("run", "backfill", "x", "--dry-run")
    out, err = capsys.readouterr()
    assert "without --dry-run this stops here: a backfill has exactly one input" in err
    with pytest.raises(subprocess.CalledProcessError):
        shell(gcloud, out)
    assert gcloud.calls() == []


def job(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """What Dataflow says of a job that is as the contract has it."""
    pool = {
        "ipConfiguration": "WORKER_IP_PRIVATE",
        "subnetwork": "regions/europe-west1/subnetworks/meshpass-functions",
        "machineType": "n2-standard-2",
        "autoscalingSettings": {"maxNumWorkers": 10},
    }
    environment = {"serviceAccountEmail": ACCOUNT, "workerPools": [pool | changes.pop("pool", {})]}
    return {"id": JOB, "labels": {"package": "0" * 12}, "environment": environment | changes}


@pytest.mark.parametrize(
    ("described", "difference"),
    [
        (job(pool={"ipConfiguration": "WORKER_IP_PUBLIC"}), "workers have public addresses"),
        (job(pool={"ipConfiguration": None}), "workers have public addresses"),
        (job(pool={"subnetwork": "regions/europe-west1/subnetworks/default"}), "workers are in the subnet"),
        (job(pool={"subnetwork": ""}), "workers are in the subnet ''"),
        (job(pool={"machineType": "n1-standard-1"}), "workers are of the type 'n1-standard-1'"),
        (job(pool={"autoscalingSettings": {"maxNumWorkers": 99}}), "there are 99 workers at most"),
        (job(serviceAccountEmail=None), "workers run as a default account"),
        (job(workerPools=[]), "Dataflow names no workers"),
        (job() | {"labels": {}}, "the job was made from the package (none)"),
    ],
)
def test_each_difference_of_a_job_that_runs_is_reported(
    gcloud: Gcloud,
    dataflow: Dataflow,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    described: dict[str, Any],
    difference: str,
) -> None:
    monkeypatch.setattr(bundle, "digest", lambda _: "0" * 64)
    gcloud.answers("dataflow jobs list", JOB)
    gcloud.answers("dataflow jobs describe", json.dumps(job()))
    assert dataflow("verify") == 0
    assert "is as the contract says" in capsys.readouterr().out
    gcloud.answers("dataflow jobs describe", json.dumps(described))
    assert dataflow("verify") == 1
    shown = capsys.readouterr().out
    assert f"differs: {difference}" in shown
    assert shown.count("differs: ") == 1


def test_a_subnet_is_the_same_by_each_of_its_names() -> None:
    values = {"VPC_SUBNET": "s", "GOOGLE_CLOUD_PROJECT": "acme-mesh", "REGION": "europe-west1"} | {
        "DATAFLOW_SERVICE_ACCOUNT": ACCOUNT, "DATAFLOW_MAX_WORKERS": "10", "DATAFLOW_MACHINE_TYPE": "n2-standard-2"
    }  # fmt: skip
    for name in (
        "regions/europe-west1/subnetworks/s",
        "https://www.googleapis.com/compute/v1/projects/acme-mesh/regions/europe-west1/subnetworks/s",
    ):
        assert readback.differences(values, job(pool={"subnetwork": name}), "") == []
    for other in ("regions/europe-west4/subnetworks/s", "s"):
        assert readback.differences(values, job(pool={"subnetwork": other}), "") != []


@pytest.mark.parametrize("mode", template.MODES)
def test_every_parameter_is_described_and_has_an_expression(mode: str) -> None:
    described = json.loads(template.metadata_file(mode).read_text())
    assert described["streaming"] is (mode == "stream")
    for parameter in described["parameters"]:
        assert set(parameter) - {"isOptional"} == {"name", "label", "helpText", "regexes", "paramType"}
        (expression,) = parameter["regexes"]
        assert expression[0] == "^"
        assert expression[-1] == "$"
    assert len(template.metadata(mode)) == len(described["parameters"])


def test_all_that_is_wrong_with_the_parameters_is_said_at_once(dataflow: Dataflow) -> None:
    with pytest.raises(RefusalError) as refused:
        dataflow(
            "run", "backfill", "x", "--set", "fles=gs://a/b", "--set", "rate=fast", "--set", "mode=stream"
        )
    for complaint in ("--set fles", "the parameter rate", "--set mode", "exactly one input"):
        assert complaint in str(refused.value)


def test_a_parameter_with_every_delimiter_is_refused() -> None:
    with pytest.raises(RefusalError, match="a parameter holds each of"):
        template.flag({"a": "| ~~ @@@ ;;;;"}, IMAGE)


def test_a_value_that_ends_like_a_delimiter_stays_whole() -> None:
    """`x~` and the delimiter `~~` would be read as `x` and a parameter whose name begins with `~`."""
    given = {"bigquery_query": "SELECT 1 | 2 -- ~", "rate": "5"}
    found = parameters([template.flag(given, IMAGE).text({"image": IMAGE_DIGEST})])
    assert found == {**given, "sdk_container_image": f"{IMAGE}@{IMAGE_DIGEST}"}
