"""Files that follow from the table: they are up to date, and say what the table says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import jsonschema
import meshcontract
import pytest
from meshcontract import generated
from meshcontract.command import tfvars

from tests.deploy.harness import ROOT
from tests.infra.contract.test_values import BRIDGE, VALUES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.harness import Contract

# Rules that no pattern can say: a range's host bits, a hyphen that counts as two characters.
_BEYOND_PATTERNS = {"10.8.0.1/26", "10.0.0.1/20", "100.64.0.0/9", "10.96.1.1/24", "a-b-c-d-e-f-g-h"}
_READ = [name for name, key in meshcontract.KEYS.items() if "terraform" in key.readers]


def test_every_generated_file_is_up_to_date() -> None:
    files = generated.files(ROOT)
    assert {path.relative_to(ROOT).as_posix() for path in files} == {
        "docs/contract.md",
        "infra/mesh/contract/values/contract.schema.json",
        "infra/mesh/lambda-bridge/contract/bridge.schema.json",
        "infra/terraform/contract.tf",
    }
    for path, text in files.items():
        assert path.read_text() == text, f"{path} is out of date: run `make manifests`"
    assert (
        ROOT / "infra/contract.schema.json"
    ).resolve() == ROOT / "infra/mesh/contract/values/contract.schema.json"


def test_the_page_has_every_key_once_with_its_default() -> None:
    page = (ROOT / "docs/contract.md").read_text()
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^|`]*)`? \|", page, re.MULTILINE))
    assert {name: default.strip() for name, default in listed.items()} == {
        name: "needed" if key.default is None else key.default for name, key in meshcontract.KEYS.items()
    }


@pytest.fixture(scope="module")
def contract_validator() -> jsonschema.protocols.Validator:
    return jsonschema.Draft202012Validator(json.loads(generated.contract_schema()))


@pytest.mark.parametrize("key", VALUES)
def test_the_schema_says_of_each_value_what_its_type_says(
    contract_validator: jsonschema.protocols.Validator, key: str
) -> None:
    right, wrong = VALUES[key]
    for value in right:
        assert contract_validator.is_valid({key: value}), value
    for value in set(filter(None, wrong)) - _BEYOND_PATTERNS:
        assert not contract_validator.is_valid({key: value}), value


def test_the_schema_knows_keys_that_a_user_adds_and_no_character_of_a_shell(
    contract_validator: jsonschema.protocols.Validator,
) -> None:
    assert contract_validator.is_valid({"BILLING_SUBJECT": "1", "MORE": "a/b"})
    for values in (
        {"BILLING_SUBJECT": "*"},
        {"MORE": "$(id)"},
        {"BILLING_RANGE": "0.0.0.0/0"},
        {"more": "a"},
    ):
        assert not contract_validator.is_valid(values), values


def test_the_schema_of_the_bridge_says_of_each_value_what_its_type_says() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(generated.bridge_schema()))
    for key, (right, wrong) in BRIDGE.items():
        assert all(validator.is_valid({key: value}) for value in right), key
        refused = [value for value in wrong if value not in _BEYOND_PATTERNS]
        assert not [value for value in refused if validator.is_valid({key: value})], key


def test_there_is_a_variable_for_each_key_that_terraform_reads() -> None:
    text = generated.variables_file()
    assert re.findall(r'^variable "([a-z_]+)" \{$', text, re.MULTILINE) == [name.lower() for name in _READ]
    assert text.count("validation {") >= len(_READ)


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("terraform") is None:
        pytest.skip(
            "terraform is not installed: it would have judged each value by the generated validations"
        )
    folder = tmp_path_factory.mktemp("terraform")
    (folder / "contract.tf").write_text(generated.variables_file())
    (folder / "none.tfrc").touch()
    assert _terraform(folder, "init", "-input=false").returncode == 0
    return folder


def _terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TF_CLI_CONFIG_FILE": str(folder / "none.tfrc"),
            "CHECKPOINT_DISABLE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_terraform_takes_the_contract_and_the_file_is_formatted(terraform: Path, contract: Contract) -> None:
    values = tfvars(meshcontract.load(contract.path))
    (terraform / "right.tfvars.json").write_text(json.dumps(values))
    done = _terraform(terraform, "plan", "-input=false", "-no-color", "-var-file=right.tfvars.json")
    assert done.returncode == 0, done.stderr
    assert _terraform(terraform, "fmt", "-check", "contract.tf").returncode == 0


@pytest.mark.parametrize("number", range(3))
def test_terraform_refuses_each_wrong_value(terraform: Path, number: int) -> None:
    """Each run has a wrong value for every variable, and an error for every one is expected."""
    wrong: dict[str, object] = {}
    for name in _READ:
        of = meshcontract.KEYS[name].type
        refused = [value for value in VALUES[name][1] if value.strip()]
        value = refused[number % len(refused)]
        wrong[name.lower()] = {"number": of.most + 1, "list(string)": value.split(",")}.get(
            of.terraform, value
        )
    (terraform / "wrong.tfvars.json").write_text(json.dumps(wrong))
    done = _terraform(terraform, "plan", "-input=false", "-no-color", "-var-file=wrong.tfvars.json")
    assert done.returncode != 0
    found = {name.lower() for name in re.findall(r"^([A-Z_]+) must be ", done.stderr, re.MULTILINE)}
    assert sorted(set(wrong) - found) == []
