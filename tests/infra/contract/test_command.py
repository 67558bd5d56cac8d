"""The command deploy/contract: what it shows, exports, hands to Terraform and takes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import meshcontract
import pytest
from meshcontract.command import main, tfvars, update

from tests.deploy.harness import CONTRACT, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.harness import Contract


def run(contract: Contract, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "deploy/contract"), "--contract", str(contract.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_shows_every_key_and_where_its_value_comes_from(
    contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--contract", str(contract.path)], CONTRACT)
    shown = capsys.readouterr().out
    for key in meshcontract.KEYS:
        assert f"\n{key} " in f"\n{shown}"
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    assert lines["FUNCTION_MEMORY"] == ["512Mi", "(default)"]
    assert lines["REGION"] == ["europe-west1"]
    assert shown.endswith("values are right\n")


def test_it_names_the_keys_that_still_have_the_placeholder(capsys: pytest.CaptureFixture[str]) -> None:
    main([], CONTRACT)
    assert "these still name the placeholder project: " in capsys.readouterr().out


def test_it_lists_every_problem_and_fails_without_a_traceback(contract: Contract) -> None:
    done = run(contract.set(REGION="x", FUNCTION_CPU="3"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 3
    assert "REGION is 'x'" in done.stderr
    assert "FUNCTION_CPU is '3'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_it_exports_a_shell_takes_with_the_defaults(contract: Contract) -> None:
    script = (
        'set -eu; eval "$("$@" --export)"; echo "$REGION $LOOKUP_FUNCTION_NAME $FUNCTION_MEMORY $ORDERS_HOST"'
    )
    command = [sys.executable, str(ROOT / "deploy/contract"), "--contract", str(contract.path)]
    done = subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, text=True, check=True)
    assert done.stdout == "europe-west1 meshpass-enrichment-lookup 512Mi orders.internal\n"


def test_a_shell_does_not_go_on_with_a_contract_that_has_problems(contract: Contract) -> None:
    script = 'set -e; eval "$("$@" --export)"; echo "went on"'
    contract.set(REGION="x")
    command = [sys.executable, str(ROOT / "deploy/contract"), "--contract", str(contract.path)]
    done = subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "REGION is 'x'" in done.stderr


def test_json_has_values_problems_and_keys(contract: Contract) -> None:
    done = run(contract.set(REGION="x"), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["values"]["FUNCTION_MEMORY"] == "512Mi"
    assert [problem["key"] for problem in found["problems"]] == ["REGION"]
    assert found["keys"]["GKE_GATEWAY_HOST"]["readers"] == ["deploy", "function", "mesh", "terraform"]


def test_terraforms_variables_have_their_types(contract: Contract) -> None:
    values = meshcontract.load(contract.set(LOOKUP_INVOKERS="user:a@acme.example,user:b@acme.example").path)
    found = tfvars(values)
    assert found["function_max_instances"] == 20
    assert found["lookup_invokers"] == ["user:a@acme.example", "user:b@acme.example"]
    assert found["node_range"] == "10.128.0.0/20"
    assert "connector_range" not in found
    assert not set(found) & {"jwt_issuer", "function_memory"}


def test_terraform_gets_a_contract_that_lacks_what_it_will_give_back(contract: Contract) -> None:
    done = run(contract.set(MESH_AUTH="google-id-token"), "--tfvars")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mesh_auth"] == "google-id-token"


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs.json"


def write(outputs: Path, **values: object) -> Path:
    outputs.write_text(
        json.dumps({name: {"value": value, "sensitive": False} for name, value in values.items()})
    )
    return outputs


def test_what_terraform_gives_back_is_written_and_the_rest_stays(contract: Contract, outputs: Path) -> None:
    contract.set(FUNCTION_SUBJECT=None)
    link = contract.path.with_name("link.env")
    link.symlink_to(contract.path)
    contract.path.chmod(0o640)
    before = contract.path.read_text()
    given = write(
        outputs,
        gke_gateway_address="10.128.0.5",
        function_subject="100000000000000000003",
        reports_subject=100000000000000000004,
        billing_subject="1",  # the contract has no such key
        nat_addresses=["34.1.2.3"],
        lookup_subject=None,
    )
    changed = update(link, given)
    assert changed == {
        "REPORTS_SUBJECT": "100000000000000000004",
        "FUNCTION_SUBJECT": "100000000000000000003",
    }
    assert link.is_symlink()
    assert contract.path.stat().st_mode & 0o777 == 0o640
    after = contract.path.read_text()
    reports = "REPORTS_SUBJECT=10000000000000000000"
    assert after.startswith(before.rstrip("\n").replace(f"{reports}1", f"{reports}4"))
    assert meshcontract.load(link)["FUNCTION_SUBJECT"] == "100000000000000000003"
    assert update(link, given) == {}
    update(link, write(outputs, function_subject="4"))
    assert contract.path.read_text() == after.replace("100000000000000000003", "4")
    assert sorted(path.name for path in contract.path.parent.iterdir()) == [
        "contract.env",
        "link.env",
        "outputs.json",
    ]


@pytest.mark.parametrize(
    "name", ["region", "mesh_auth", "lookup_invokers", "Function_Subject", "funct\u0131on_subject"]
)
def test_an_output_changes_no_key_but_those_that_terraform_may_give_back(
    contract: Contract, outputs: Path, name: str
) -> None:
    """The letter U+0131 is an I in upper case."""
    assert update(contract.path, write(outputs, **{name: "1"})) == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "cannot read"),
        ("[]", "is not what `terraform output -json` prints"),
        ("[" * 100_000, "cannot read"),
        ('{"function_subject": "1"}', "is not what `terraform output -json` prints"),
        (
            '{"function_subject": {"value": "1; rm -rf /"}}',
            "function_subject is '1; rm -rf /', which is not",
        ),
        ('{"function_subject": {"value": "1", "sensitive": true}}', "function_subject is a secret output"),
        (
            '{"gke_gateway_address": {"value": "8.8.8.8"}}',
            "gke_gateway_address is '8.8.8.8': it is a public address",
        ),
        ('{"gke_gateway_address": {"value": "10.200.0.9"}}', "10.200.0.9 is not in NODE_RANGE"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    contract: Contract, outputs: Path, text: str, complaint: str
) -> None:
    before = contract.path.read_bytes()
    outputs.write_text(text)
    with pytest.raises(meshcontract.ContractError) as caught:
        update(contract.path, outputs)
    assert complaint in str(caught.value)
    assert contract.path.read_bytes() == before
    assert sorted(path.name for path in contract.path.parent.iterdir()) == ["contract.env", "outputs.json"]


def test_the_script_can_be_run_and_its_output_cut_short(contract: Contract) -> None:
    assert os.access(ROOT / "deploy/contract", os.X_OK)
    script = f"{sys.executable} {ROOT}/deploy/contract --contract {contract.path} --json | head -c 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{", "")
