"""What deploy/deploy guarantees."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import meshcontract
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.steps.deploy import entry_points
from deploy.steps.package import bundle
from tests.deploy.harness import TRIGGER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.harness import Contract, Gcloud, Script


def arguments(contract: Contract, package: Path) -> list[str]:
    return [f"--contract={contract.path}", f"--source={package}"]


@pytest.mark.parametrize(
    ("trigger", "of_the_trigger"),
    [
        ("push", {"--trigger-http"}),
        (
            "eventarc",
            {
                "--trigger-topic=user-events",
                "--retry",
                "--trigger-service-account=meshpass-trigger@acme-mesh.iam.gserviceaccount.com",
            },
        ),
    ],
)
def test_the_function_is_private_and_runs_as_its_own_accounts(
    script: Script,
    gcloud: Gcloud,
    contract: Contract,
    package: Path,
    trigger: str,
    of_the_trigger: set[str],
) -> None:
    gcloud.has_function(trigger=TRIGGER if trigger == "eventarc" else "")
    script("deploy", *arguments(contract.set(FUNCTION_TRIGGER=trigger), package))
    flags = gcloud.call("functions", "deploy", "meshpass-enrichment")
    assert {
        "--gen2",
        "--project=acme-mesh",
        "--region=europe-west1",
        "--entry-point=enrich",
        "--ingress-settings=internal-only",
        "--service-account=meshpass-enrichment@acme-mesh.iam.gserviceaccount.com",
        "--build-service-account=projects/acme-mesh/serviceAccounts/meshpass-build@acme-mesh.iam.gserviceaccount.com",
        "--docker-repository=projects/acme-mesh/locations/europe-west1/repositories/meshpass",
        "--set-secrets=/etc/meshpass/gateway-ca.pem=gateway-ca:latest",
        f"--source={package}",
    } | of_the_trigger <= set(flags)
    assert {flag for flag in flags if "trigger" in flag or flag == "--retry"} == of_the_trigger


def test_the_function_gets_the_settings_of_the_contract_and_no_others(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    script("deploy", *arguments(contract, package))
    deployed = yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    assert set(deployed) == {
        "BIGQUERY_TABLE",
        "DEAD_LETTER_TOPIC",
        "FUNCTION_TIMEOUT_S",
        "GKE_GATEWAY_CA_FILE",
        "GKE_GATEWAY_HOST",
        "GKE_GATEWAY_URL",
        "GOOGLE_CLOUD_PROJECT",
        "JWT_AUDIENCE",
        "JWT_ISSUER",
        "JWT_SCOPE",
        "JWT_SUBJECT",
        "SIGNING_KEY_SECRET_ID",
        "SUBSCRIPTION_ACK_DEADLINE_S",
        "TRIGGER_TOPIC",
    }
    assert deployed["GKE_GATEWAY_URL"] == "https://10.128.0.5"


def test_a_mounted_key_replaces_the_key_that_is_read_from_secret_manager(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    secret = "projects/acme-mesh/secrets/meshpass-signing-key/versions/3"
    contract.set(SIGNING_KEY_FILE="/etc/meshpass-key/key.pem", SIGNING_KEY_SECRET_ID=secret)
    script("deploy", *arguments(contract, package))
    deployed = yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    assert deployed["SIGNING_KEY_FILE"] == "/etc/meshpass-key/key.pem"
    assert "SIGNING_KEY_SECRET_ID" not in deployed
    mounts = next(f for f in gcloud.call("functions", "deploy") if f.startswith("--set-secrets="))
    assert f"/etc/meshpass-key/key.pem={secret}" in mounts.partition("=")[2].split(",")


PSEUDONYMS = "projects/acme-mesh/secrets/pseudonyms/versions/2"


def test_the_key_of_pseudonyms_is_named_by_its_secret_for_the_function_that_writes_rows_alone(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    contract.set(PSEUDONYM_KEY_SECRET_ID=PSEUDONYMS)
    flags = lookup(script, contract, package)
    assert "PSEUDONYM_KEY_SECRET_ID" not in yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    assert not [flag for flag in flags if PSEUDONYMS in flag]
    script("deploy", *arguments(contract, package))
    deployed = yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    assert deployed["PSEUDONYM_KEY_SECRET_ID"] == PSEUDONYMS


@pytest.mark.parametrize("identity", ["signed-jwt", "google-id-token"])
def test_a_mounted_key_of_pseudonyms_goes_to_the_function_that_writes_rows_alone(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path, identity: str
) -> None:
    mounted = "/etc/meshpass-pseudonyms/key"
    contract.set(MESH_AUTH=identity, FUNCTION_SUBJECT="1", LOOKUP_SUBJECT="2")
    contract.set(PSEUDONYM_KEY_FILE=mounted, PSEUDONYM_KEY_SECRET_ID=PSEUDONYMS)
    flags = lookup(script, contract, package)
    assert not [flag for flag in flags if mounted in flag]
    script("deploy", *arguments(contract, package))
    deployed = yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    assert deployed["PSEUDONYM_KEY_FILE"] == mounted
    assert "PSEUDONYM_KEY_SECRET_ID" not in deployed
    flags = gcloud.call("functions", "deploy", "meshpass-enrichment")
    secrets = next(flag for flag in flags if flag.startswith("--set-secrets="))
    assert f"{mounted}={PSEUDONYMS}" in secrets.partition("=")[2].split(",")


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,9}", fullmatch=True), st.text(min_size=1)))
def test_every_value_survives_the_file_that_gcloud_reads(variables: dict[str, str]) -> None:
    # YAML takes no raw control characters or lone surrogates; a contract cannot hold them either.
    printable = {name: value for name, value in variables.items() if value.isprintable()}
    assert yaml.safe_load(entry_points.environment_yaml(printable)) == (printable or None)


@pytest.mark.parametrize("value", ["a,b", "yes", "0123", "a:b", "1e3", "0x1f", "a=b"])
def test_a_value_that_yaml_or_gcloud_could_read_otherwise_arrives_as_it_was_written(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path, value: str
) -> None:
    key = "JWT_FURTHER_SCOPES" if "," in value else "JWT_SCOPE"
    script("deploy", *arguments(contract.set(**{"JWT_SCOPE": "first", key: value}), package))
    expected = f"first {value.replace(',', ' ')}" if "," in value else value
    assert yaml.safe_load((gcloud.folder / "env.yaml").read_text())["JWT_SCOPE"] == expected


@pytest.mark.parametrize(
    ("egress", "wanted", "unwanted"),
    [
        (
            "direct",
            {"--network=meshpass", "--subnet=meshpass-functions", "--direct-vpc-egress=private-ranges-only"},
            "--vpc-connector",
        ),
        (
            "connector",
            {"--vpc-connector=meshpass-functions", "--egress-settings=private-ranges-only"},
            "--network",
        ),
    ],
)
def test_the_contract_chooses_the_way_into_the_network(
    script: Script,
    gcloud: Gcloud,
    contract: Contract,
    package: Path,
    egress: str,
    wanted: set[str],
    unwanted: str,
) -> None:
    script("deploy", *arguments(contract.set(FUNCTION_EGRESS=egress), package))
    flags = gcloud.call("functions", "deploy")
    assert wanted <= set(flags)
    assert not [flag for flag in flags if flag.startswith(unwanted)]


def test_the_label_says_which_package_runs(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    script("deploy", *arguments(contract, package))
    label = f"package={bundle.digest(package)[:12]}"
    assert f"--update-labels=app=meshpass,{label}" in gcloud.call("functions", "deploy")


def test_a_package_that_was_changed_after_it_was_made_is_refused(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path, tmp_path: Path
) -> None:
    other = tmp_path / "function"
    shutil.copytree(package, other)
    shutil.copy(f"{package}.inputs", f"{other}.inputs")
    assert script("deploy", *arguments(contract, other)).returncode == 0
    (other / "main.py").write_text("changed = True\n")
    done = script("deploy", *arguments(contract, other))
    assert done.returncode == 1
    assert "was changed after it was made; run deploy/package" in done.stderr
    assert len([call for call in gcloud.calls() if call[:2] == ["functions", "deploy"]]) == 1


def test_a_dry_run_runs_nothing_and_writes_nothing(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    env_file = package.with_name("function.acme-mesh.europe-west1.meshpass-enrichment.env.yaml")
    env_file.unlink(missing_ok=True)
    dry = script("deploy", "--dry-run", *arguments(contract, package))
    assert dry.returncode == 0
    assert gcloud.calls() == []
    assert not env_file.exists()


def test_a_dry_run_says_what_would_stop_the_real_one(script: Script, tmp_path: Path) -> None:
    dry = script("deploy", "--dry-run", f"--source={tmp_path / 'nothing'}")
    assert dry.returncode == 0
    assert "functions deploy meshpass-enrichment" in dry.stdout
    assert "placeholder project" in dry.stderr
    assert "run deploy/package" in dry.stderr


def test_the_placeholder_project_is_never_deployed_to(script: Script, gcloud: Gcloud, package: Path) -> None:
    done = script("deploy", f"--source={package}")
    assert done.returncode == 1
    assert "placeholder project 'example-project' in " in done.stderr
    assert "GOOGLE_CLOUD_PROJECT" in done.stderr
    assert not [call for call in gcloud.calls() if call[0] == "functions"]


def test_without_a_package_the_user_is_sent_to_deploy_package(
    script: Script, gcloud: Gcloud, contract: Contract, tmp_path: Path
) -> None:
    done = script("deploy", *arguments(contract, tmp_path / "function"))
    assert done.returncode == 1
    assert "run deploy/package" in done.stderr
    assert not [call for call in gcloud.calls() if call[0] == "functions"]


def test_a_stale_package_is_refused_by_the_name_of_what_changed(
    script: Script, contract: Contract, package: Path, tmp_path: Path
) -> None:
    old = tmp_path / "function"
    shutil.copytree(package, old)
    inputs = package.with_name("function.inputs").read_text().splitlines()
    aged = [
        f"{'0' * 64}  function/main.py" if line.endswith(" function/main.py") else line for line in inputs
    ]
    old.with_name("function.inputs").write_text("\n".join(aged) + "\n")
    done = script("deploy", *arguments(contract, old))
    assert done.returncode == 1
    assert "the package is older than function/main.py; run deploy/package" in done.stderr


def test_without_gcloud_the_error_says_where_to_get_it(
    script: Script, contract: Contract, package: Path, tmp_path: Path
) -> None:
    done = script("deploy", *arguments(contract, package), path=str(tmp_path))
    assert done.returncode == 1
    assert "gcloud is not on PATH; install the Google Cloud CLI" in done.stderr


def test_a_gcloud_too_old_for_direct_egress_is_recognised_before_anything_is_uploaded(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    gcloud.answers("version", "528.0.0")
    done = script("deploy", *arguments(contract, package))
    assert done.returncode == 1
    assert "needs gcloud 558.0.0, this is 528.0.0" in done.stderr
    assert "FUNCTION_EGRESS=connector" in done.stderr
    assert [call[0] for call in gcloud.calls()] == ["version"]


def test_an_old_gcloud_will_do_for_a_connector(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    gcloud.answers("version", "528.0.0")
    done = script("deploy", *arguments(contract.set(FUNCTION_EGRESS="connector"), package))
    assert done.returncode == 0, done.stderr


def test_nothing_is_deployed_while_nothing_reads_the_dead_letters(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    gcloud.answers("pubsub topics list-subscriptions projects/acme-mesh/topics/user-events-dead-letter", "")
    done = script("deploy", *arguments(contract, package))
    assert done.returncode == 1
    assert (
        "DEAD_LETTER_TOPIC (projects/acme-mesh/topics/user-events-dead-letter) has no subscription"
        in done.stderr
    )
    assert not [call for call in gcloud.calls() if call[0] == "functions"]


def test_the_ack_deadline_covers_the_time_that_the_function_may_take(contract: Contract) -> None:
    values = meshcontract.load(contract.path)
    assert int(values["SUBSCRIPTION_ACK_DEADLINE_S"]) >= int(values["FUNCTION_TIMEOUT_S"])


def lookup(script: Script, contract: Contract, package: Path, *more: str) -> list[str]:
    """Deploys the second entry point; the flags it was deployed with."""
    done = script("deploy", "--entry-point=lookup", *more, *arguments(contract, package))
    assert done.returncode == 0, done.stderr
    return script.gcloud.call("functions", "deploy")


def test_the_lookup_is_a_second_private_function_of_the_same_package(
    script: Script, contract: Contract, package: Path
) -> None:
    flags = lookup(script, contract, package)
    assert flags[2] == "meshpass-enrichment-lookup"
    assert {
        "--entry-point=lookup",
        "--trigger-http",
        "--ingress-settings=internal-only",
        "--service-account=meshpass-lookup@acme-mesh.iam.gserviceaccount.com",
        "--set-secrets=/etc/meshpass/gateway-ca.pem=gateway-ca:latest",
        "--network=meshpass",
        f"--source={package}",
    } <= set(flags)
    assert not [
        flag for flag in flags if flag.startswith(("--retry", "--trigger-topic", "--trigger-service"))
    ]


def test_with_googles_identity_the_function_gets_an_audience_and_neither_claims_nor_a_key(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    contract.set(
        MESH_AUTH="google-id-token",
        FUNCTION_SUBJECT="100000000000000000003",
        SIGNING_KEY_FILE="/etc/key/key.pem",
        SIGNING_KEY_SECRET_ID="projects/acme-mesh/secrets/s/versions/3",
        LOG_SUCCESS_SAMPLE="100",
    )
    script("deploy", *arguments(contract, package))
    deployed = yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    assert (deployed["MESH_AUTH"], deployed["LOG_SUCCESS_SAMPLE"]) == ("google-id-token", "100")
    assert [name for name in deployed if name.startswith(("JWT_", "SIGNING_"))] == ["JWT_AUDIENCE"]
    flags = gcloud.call("functions", "deploy", "meshpass-enrichment")
    assert not [flag for flag in flags if "/etc/key/key.pem" in flag]


def test_dead_letters_that_would_come_back_as_events_are_refused(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    contract.set(DEAD_LETTER_TOPIC="projects/acme-mesh/topics/user-events")
    done = script("deploy", *arguments(contract, package))
    assert done.returncode != 0
    assert "DEAD_LETTER_TOPIC is TRIGGER_TOPIC too" in done.stderr
    assert gcloud.calls() == []


def test_the_lookup_is_given_the_name_of_what_it_serves_and_the_other_function_is_not(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    contract.set(LOOKUP="account")
    lookup(script, contract, package)
    assert yaml.safe_load((gcloud.folder / "env.yaml").read_text())["LOOKUP"] == "account"
    script("deploy", *arguments(contract, package))
    assert "LOOKUP" not in yaml.safe_load((gcloud.folder / "env.yaml").read_text())


def test_the_lookup_knows_neither_the_table_nor_the_topic(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    lookup(script, contract, package)
    of_the_lookup = yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    script("deploy", *arguments(contract, package))
    of_the_other = yaml.safe_load((gcloud.folder / "env.yaml").read_text())
    missing = {"BIGQUERY_TABLE", "DEAD_LETTER_TOPIC", "SUBSCRIPTION_ACK_DEADLINE_S", "TRIGGER_TOPIC"}
    assert of_the_lookup == {name: value for name, value in of_the_other.items() if name not in missing}
    assert missing < set(of_the_other)


def test_each_caller_that_the_contract_names_may_call_the_lookup(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    members = ["serviceAccount:orders@acme-mesh.iam.gserviceaccount.com", "group:billing@acme.example"]
    gcloud.allows("user:earlier@acme.example")
    lookup(script, contract.set(LOOKUP_INVOKERS=",".join(members)), package)
    grants = [call for call in gcloud.calls() if call[1] == "add-invoker-policy-binding"]
    assert grants == [
        [
            "functions",
            "add-invoker-policy-binding",
            "meshpass-enrichment-lookup",
            "--project=acme-mesh",
            "--region=europe-west1",
            f"--member={member}",
        ]
        for member in members
    ]
    verbs = [call[1] for call in gcloud.calls() if call[0] == "functions"]
    assert verbs == ["describe", "deploy", "add-invoker-policy-binding", "add-invoker-policy-binding"]


def test_without_invokers_nothing_is_granted(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    lookup(script, contract.set(LOOKUP_INVOKERS=None), package)
    assert gcloud.writes() == ["functions deploy meshpass-enrichment-lookup"]


def test_the_lookup_s_name_and_ingress_can_be_chosen(
    script: Script, contract: Contract, package: Path
) -> None:
    flags = lookup(
        script, contract.set(LOOKUP_FUNCTION_NAME="profiles", LOOKUP_INGRESS="internal-and-gclb"), package
    )
    assert flags[2] == "profiles"
    assert "--ingress-settings=internal-and-gclb" in flags


def test_the_lookup_needs_an_account_of_its_own_and_the_other_does_not(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    contract.set(LOOKUP_SERVICE_ACCOUNT=None, REGION=None)
    done = script("deploy", "--entry-point=lookup", *arguments(contract, package))
    assert done.returncode == 1
    assert "LOOKUP_SERVICE_ACCOUNT is missing" in done.stderr
    assert "REGION is missing" in done.stderr
    assert gcloud.calls() == []
    assert script("deploy", *arguments(contract.set(REGION="europe-west1"), package)).returncode == 0


def test_the_subscription_is_left_alone_when_the_lookup_is_deployed(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    lookup(script, contract, package)
    assert not [call for call in gcloud.calls() if call[0] in {"pubsub", "eventarc"}]


def test_each_function_keeps_an_environment_file_of_its_own(
    script: Script, contract: Contract, package: Path
) -> None:
    place = f"{package}.acme-mesh.europe-west1"
    assert f"--env-vars-file={place}.meshpass-enrichment-lookup.env.yaml" in lookup(script, contract, package)
    script("deploy", *arguments(contract, package))
    assert f"--env-vars-file={place}.meshpass-enrichment.env.yaml" in script.gcloud.call(
        "functions", "deploy", "meshpass-enrichment"
    )


LONG = "a" * 300
PATHS = [
    ("deploy", "--dry-run", "--source=."),
    ("deploy", "--dry-run", "--source=/"),
    ("deploy", "--dry-run", f"--source={LONG}"),
    ("deploy", f"--contract={LONG}"),
    ("package", "--output=/proc/none/function"),
    ("sbom", "--output="),
    ("sbom", "--output=."),
    ("sbom", "--source=/"),
    ("smoke", "--contract="),
    ("write-alerts", "--output=/proc/none"),
    ("contract", "--contract=."),
    ("rollback", "--contract="),
]


@pytest.mark.parametrize("words", PATHS, ids=lambda words: " ".join(words)[:40])
def test_a_path_that_cannot_be_used_is_named_in_one_line(script: Script, words: tuple[str, ...]) -> None:
    done = script(*words)
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert f"deploy/{words[0]}: " in done.stderr.splitlines()[-1]


def test_help_names_the_page_that_explains(script: Script) -> None:
    assert "docs/deploy.md" in script("deploy", "--help").stdout
