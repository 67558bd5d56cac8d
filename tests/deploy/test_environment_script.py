"""What deploy/environment prints: the function's environment for a driver that runs elsewhere, and no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy.steps import RefusalError
from deploy.steps.environment import main

if TYPE_CHECKING:
    from tests.deploy.harness import Contract

WORKER = "meshpass-worker@acme-mesh.iam.gserviceaccount.com"
PUSH_LIMITS = {"FUNCTION_TIMEOUT_S", "SUBSCRIPTION_ACK_DEADLINE_S"}


def printed(capsys: pytest.CaptureFixture[str], contract: Contract, driver: str, form: str) -> str:
    main([f"--for={driver}", f"--format={form}", f"--contract={contract.path}"])
    return capsys.readouterr().out


def test_each_format_has_the_same_variables(contract: Contract, capsys: pytest.CaptureFixture[str]) -> None:
    contract.set(PULL_WORKER_SERVICE_ACCOUNT=WORKER)
    wanted = yaml.safe_load(printed(capsys, contract, "work", "yaml"))
    assert wanted["PULL_SUBSCRIPTION"] == "projects/acme-mesh/subscriptions/meshpass-enrichment-worker"
    assert wanted["BIGQUERY_TABLE"] == "acme-mesh.enrichment.user_events"
    assert json.loads(printed(capsys, contract, "work", "json")) == wanted
    assert json.loads(printed(capsys, contract, "work", "tfvars")) == {"pull_worker_environment": wanted}
    assert json.loads(printed(capsys, contract, "work", "configmap"))["data"] == wanted
    lines = printed(capsys, contract, "work", "env").splitlines()
    assert dict(line.split("=", 1) for line in lines) == wanted


def test_a_driver_gets_the_limits_of_a_push_only_where_there_is_one(
    contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    contract.set(PULL_WORKER_SERVICE_ACCOUNT=WORKER)
    assert set(json.loads(printed(capsys, contract, "serve", "json"))) >= PUSH_LIMITS
    assert not set(json.loads(printed(capsys, contract, "work", "json"))) & PUSH_LIMITS


@pytest.mark.parametrize("driver", ["serve", "work"])
def test_a_key_is_named_by_its_secret_and_never_by_a_file(
    contract: Contract, capsys: pytest.CaptureFixture[str], driver: str
) -> None:
    secret = "projects/acme-mesh/secrets/meshpass-signing-key/versions/3"
    contract.set(
        SIGNING_KEY_FILE="/etc/key/key.pem",
        SIGNING_KEY_SECRET_ID=secret,
        PULL_WORKER_SERVICE_ACCOUNT=WORKER,
    )
    found = json.loads(printed(capsys, contract, driver, "json"))
    assert found["SIGNING_KEY_SECRET_ID"] == secret
    assert "SIGNING_KEY_FILE" not in found


def test_a_worker_without_an_account_in_the_contract_is_refused(contract: Contract) -> None:
    from meshcontract import ContractError

    with pytest.raises(ContractError, match="PULL_WORKER_SERVICE_ACCOUNT is missing"):
        main(["--for=work", f"--contract={contract.path}"])


def test_terraform_gets_nothing_for_serve(contract: Contract) -> None:
    with pytest.raises(RefusalError, match="tfvars is for `work`"):
        main(["--for=serve", "--format=tfvars", f"--contract={contract.path}"])
