"""The roots with the shipped example's values, evaluated without terraform."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import meshcontract
from meshcontract.command import tfvars
from meshlab.env_file import read_env_file

from tests.infra.terraform.evaluate import Plan, evaluate

__all__ = ["BRIDGE", "CONTRACT", "EVERYTHING", "PROJECT", "ROOT", "aws", "google", "variables"]

ROOT = Path(__file__).parents[3]
GOOGLE = ROOT / "infra/terraform"
AWS = GOOGLE / "aws"
CONTRACT = read_env_file(ROOT / "infra/contract.env")
BRIDGE = read_env_file(ROOT / "infra/mesh/lambda-bridge/contract/bridge.env")
PROJECT = CONTRACT["GOOGLE_CLOUD_PROJECT"]

EVERYTHING: dict[str, Any] = {
    "proxy_range": "10.8.2.0/24",
    "function_deployed": True,
    "lookup_deployed": True,
    "pipeline_service_account": f"meshpass-pipeline@{PROJECT}.iam.gserviceaccount.com",
    "publishers": [f"serviceAccount:shop@{PROJECT}.iam.gserviceaccount.com"],
    "table_readers": ["group:analysts@example.com"],
    "request_log_readers": ["group:privacy@example.com"],
    "notification_emails": ["oncall@example.com"],
    "billing_account": "012345-6789AB-CDEF01",
    "pseudonym_key_secret_id": f"projects/{PROJECT}/secrets/pseudonym-key/versions/1",
    "pull_worker_service_account": f"meshpass-worker@{PROJECT}.iam.gserviceaccount.com",
    "pull_worker_deployers": ["group:platform@example.com"],
    "pull_worker_image": f"europe-west1-docker.pkg.dev/{PROJECT}/meshpass/enrichment@sha256:{'0' * 64}",
    "pull_worker_environment": {"GKE_GATEWAY_CA_FILE": "/etc/meshpass/gateway-ca.pem"},
    "dataflow_service_account": f"meshpass-dataflow@{PROJECT}.iam.gserviceaccount.com",
    "dataflow_launchers": ["group:data@example.com"],
    "dataflow_redrives": True,
    "dataflow_source_tables": [f"{PROJECT}.archive.events"],
    "dataflow_source_buckets": ["acme-archive"],
    "lookup_host": "lookup.internal",
    "lookup_certificates": [f"projects/{PROJECT}/locations/europe-west1/certificates/lookup"],
    "lookup_callers": ["serviceAccount:desk@acme-desk.iam.gserviceaccount.com"],
    "lookup_consumers": {
        "acme-desk": {
            "endpoint": {
                "network": "projects/acme-desk/global/networks/desk",
                "subnet": "projects/acme-desk/regions/europe-west1/subnetworks/desk",
            }
        }
    },
}
"""Values that turn on every part of the root that is off by default."""


def variables(folder: Path) -> set[str]:
    """Return the names of a folder's variables."""
    import re

    return {
        name
        for file in folder.glob("*.tf")
        for name in re.findall(r'^variable "(\w+)"', file.read_text(), re.MULTILINE)
    }


@functools.cache
def _google(changes: str) -> Plan:
    given = tfvars(meshcontract.load(ROOT / "infra/contract.env", before_terraform=True))
    return evaluate(GOOGLE, given | json.loads(changes))


def google(**changes: Any) -> Plan:  # noqa: ANN401
    """Evaluate Google's root with the contract's values and others in place of some of them."""
    return _google(json.dumps(changes, sort_keys=True))


@functools.cache
def aws() -> Plan:
    """Evaluate AWS's root with the bridge's values."""
    known = variables(AWS)
    given: dict[str, Any] = {key.lower(): value for key, value in BRIDGE.items() if key.lower() in known}
    account, region = BRIDGE["AWS_ACCOUNT_ID"], BRIDGE["AWS_REGION"]
    return evaluate(
        AWS,
        given
        | {
            "vpc_id": "vpc-0123456789abcdef0",
            "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
            "gateway_security_group_id": "sg-0123456789abcdef0",
            "certificate_arn": f"arn:aws:acm:{region}:{account}:certificate/0",
            "zone_id": "Z0123456789",
            "package_file": str(GOOGLE / "modules/aws-lambda/tests/package.zip"),
        },
    )
