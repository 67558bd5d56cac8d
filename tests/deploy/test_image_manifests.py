"""Files that run the image elsewhere: what Kubernetes and systemd say of them, and that both are locked down."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import meshcontract
import pytest
import yaml

from deploy.steps.environment import main
from deploy.steps.package.kinds import SERVE, WORK
from tests.deploy.harness import CONTRACT, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.harness import Contract

FOLDER = ROOT / "deploy" / "image"
KUBERNETES_VERSION = "1.33"
OBJECTS: list[dict[str, Any]] = [*yaml.safe_load_all((FOLDER / "worker.yaml").read_text())]
VALUES = meshcontract.load(CONTRACT)


def of(kind: str) -> dict[str, Any]:
    (found,) = [one for one in OBJECTS if one["kind"] == kind]
    return found


@pytest.mark.parametrize("kind", [one["kind"] for one in OBJECTS])
def test_kubernetes_strict_schema_takes_each_object(kind: str) -> None:
    kubernetes_validate.validate(of(kind), KUBERNETES_VERSION, strict=True)


def test_the_printed_configmap_is_one_and_is_what_the_deployment_reads(
    contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    account = "PULL_WORKER_SERVICE_ACCOUNT"
    main(
        [
            "--for=work",
            "--format=configmap",
            f"--contract={contract.set(**{account: 'meshpass-worker@acme-mesh.iam.gserviceaccount.com'}).path}",
        ]
    )
    printed = json.loads(capsys.readouterr().out)
    kubernetes_validate.validate(printed, KUBERNETES_VERSION, strict=True)
    (container,) = of("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": printed["metadata"]["name"]}}]
    folder = printed["data"]["GKE_GATEWAY_CA_FILE"].rpartition("/")[0]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [folder]


def test_a_pod_is_as_the_restricted_standard_wants_it_and_has_no_token_of_kubernetes() -> None:
    pod = of("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"].items() >= {"runAsNonRoot": True, "runAsUser": 65532}.items()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_a_pod_has_time_to_drain() -> None:
    pod = of("Deployment")["spec"]["template"]["spec"]
    (drain,) = [int(one["value"]) for one in pod["containers"][0]["env"] if one["name"] == "WORK_DRAIN_S"]
    assert pod["terminationGracePeriodSeconds"] >= drain + 2
    unit = service()
    (in_unit,) = re.findall(r"WORK_DRAIN_S=(\d+)", unit["Service"]["Environment"])
    assert int(unit["Service"]["TimeoutStopSec"]) >= int(in_unit) + 2


def test_nothing_comes_in_and_the_gateway_and_google_are_the_only_ways_out() -> None:
    policy = of("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    ways: dict[str, set[int]] = {}
    for rule in policy["egress"]:
        for peer in rule["to"]:
            where = (
                peer["ipBlock"]["cidr"]
                if "ipBlock" in peer
                else peer["podSelector"]["matchLabels"]["k8s-app"]
            )
            assert "ipBlock" in peer or peer["namespaceSelector"]["matchLabels"] == {
                "kubernetes.io/metadata.name": "kube-system"
            }
            ways.setdefault(where, set()).update(port["port"] for port in rule["ports"])
    assert ways == {
        "kube-dns": {53},
        "node-local-dns": {53},
        "169.254.20.10/32": {53},
        f"{VALUES['GKE_GATEWAY_ADDRESS']}/32": {443},
        "199.36.153.8/30": {443},
        # Cloud DNS, and the metadata server: with Dataplane V2 here, without it at the next address.
        "169.254.169.254/32": {53, 80, 8080},
        "169.254.169.252/32": {987, 988},
    }
    selected = policy["podSelector"]["matchLabels"]
    assert of("Deployment")["spec"]["template"]["metadata"]["labels"].items() >= selected.items()


def service() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(FOLDER / "meshpass-worker.service")
    return parser


def test_the_unit_runs_as_no_user_of_the_machine_and_answers_it_alone() -> None:
    unit = service()["Service"]
    assert unit["ExecStart"].endswith("-m enrichment work --host=127.0.0.1")
    assert (
        unit.items()
        >= {
            "DynamicUser": "yes",
            "NoNewPrivileges": "yes",
            "ProtectSystem": "strict",
            "RestartPreventExitStatus": "2",
            "CapabilityBoundingSet": "",
        }.items()
    )


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd is not installed: whether it knows every line of the unit is not shown",
)
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "meshpass-worker.service"
    text = (FOLDER / "meshpass-worker.service").read_text()
    unit.write_text(text.replace("/opt/meshpass/.venv/bin/python", shutil.which("python3") or ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert "Unknown" not in done.stderr


def test_the_image_is_not_root_has_no_shell_and_takes_hashed_wheels_alone() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert [stage.partition("@")[0] for stage in stages] == [
        "docker.io/library/python",
        "gcr.io/distroless/python3-debian12:nonroot",
    ]
    assert stages[0].partition("@sha256:")[2] in (ROOT / "cloudbuild.yaml").read_text()
    assert "--require-hashes" in text
    assert "--only-binary=:all:" in text
    assert re.search(r"^USER 65532:65532$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["/usr/bin/python3.11", "-m", "enrichment"]' in text
    assert (SERVE.python, WORK.python) == ("3.11", "3.11")
