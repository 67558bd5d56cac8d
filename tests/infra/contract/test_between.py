"""Values that are right alone and cannot work together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshcontract
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.deploy.harness import Contract

    Problems = Callable[..., list[str]]

_VERSION = "projects/acme-mesh/secrets/s/versions/3"
_WORKERS: dict[str, str | None] = {
    "PULL_WORKER_SERVICE_ACCOUNT": "meshpass-worker@acme-mesh.iam.gserviceaccount.com",
    "DATAFLOW_SERVICE_ACCOUNT": "meshpass-dataflow@acme-mesh.iam.gserviceaccount.com",
}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            {"MESH_AUTH": "google-id-token", "FUNCTION_SUBJECT": None},
            "FUNCTION_SUBJECT is missing; MESH_AUTH=google-id-token needs it",
        ),
        ({"JWT_SUBJECT": None}, "JWT_SUBJECT is missing; MESH_AUTH=signed-jwt needs it"),
        ({"JWT_SCOPE": None}, "JWT_SCOPE is missing"),
        (
            {"REPORTS_SUBJECT": "100000000000000000011"},
            "REPORTS_SUBJECT is FUNCTION_SUBJECT too, and each account has an id of its own",
        ),
        (
            {"LOOKUP_SERVICE_ACCOUNT": "meshpass-enrichment@acme-mesh.iam.gserviceaccount.com"},
            "LOOKUP_SERVICE_ACCOUNT is FUNCTION_SERVICE_ACCOUNT too: one writes rows, the other reaches neither",
        ),
        (
            {"TRIGGER_SERVICE_ACCOUNT": "meshpass-enrichment@acme-mesh.iam.gserviceaccount.com"},
            "TRIGGER_SERVICE_ACCOUNT is FUNCTION_SERVICE_ACCOUNT too",
        ),
        (
            {"BUILD_SERVICE_ACCOUNT": "meshpass-trigger@acme-mesh.iam.gserviceaccount.com"},
            "BUILD_SERVICE_ACCOUNT is TRIGGER_SERVICE_ACCOUNT too",
        ),
        ({"SIGNING_KEY_SECRET_ID": None}, "SIGNING_KEY_SECRET_ID is missing"),
        (
            {"FUNCTION_EGRESS": "connector", "VPC_CONNECTOR": None},
            "VPC_CONNECTOR is missing; FUNCTION_EGRESS=connector",
        ),
        ({"VPC_SUBNET": None}, "VPC_SUBNET is missing; FUNCTION_EGRESS=direct needs it"),
        ({"GKE_GATEWAY_CA_SECRET": None}, "GKE_GATEWAY_CA_SECRET is missing; GKE_GATEWAY_CA_FILE needs it"),
        ({"GKE_GATEWAY_CA_FILE": None}, "GKE_GATEWAY_CA_FILE is missing"),
        (
            {"PSEUDONYM_KEY_FILE": "/etc/pseudonyms/key"},
            "PSEUDONYM_KEY_SECRET_ID is missing; PSEUDONYM_KEY_FILE",
        ),
        (
            {"GKE_GATEWAY_URL": "http://10.128.0.5"},
            "GKE_GATEWAY_URL is http://, so tokens would cross the network",
        ),
        (
            {"GKE_GATEWAY_URL": "https://10.128.0.6"},
            "leads to 10.128.0.6, and GKE_GATEWAY_ADDRESS is 10.128.0.5",
        ),
        (
            {"GKE_GATEWAY_URL": "https://8.8.8.8", "GKE_GATEWAY_ADDRESS": None},
            "leads to 8.8.8.8: it is a public",
        ),
        ({"GKE_GATEWAY_TLS": "off"}, "GKE_GATEWAY_URL is https://, and GKE_GATEWAY_TLS=off says"),
        (
            {"GKE_GATEWAY_TLS": "off", "GKE_GATEWAY_URL": "http://gateway.internal"},
            "http:// to the name gateway.internal, which may lead anywhere",
        ),
        (
            {"GKE_GATEWAY_TLS": "off", "GKE_GATEWAY_URL": "http://10.128.0.5"},
            "GKE_GATEWAY_CA_FILE has no use with GKE_GATEWAY_TLS=off",
        ),
        (
            {"GKE_GATEWAY_ADDRESS": "10.200.0.5", "GKE_GATEWAY_URL": "https://10.200.0.5"},
            "GKE_GATEWAY_ADDRESS 10.200.0.5 is not in NODE_RANGE, 10.128.0.0/20",
        ),
        (
            {"GKE_GATEWAY_ADDRESS": "10.128.0.1", "GKE_GATEWAY_URL": "https://10.128.0.1"},
            "is one of the four that Google keeps of every subnet",
        ),
        ({"POD_RANGE": "10.128.8.0/21"}, "POD_RANGE 10.128.8.0/21 overlaps NODE_RANGE, 10.128.0.0/20"),
        ({"SERVICE_RANGE": "10.64.0.0/16"}, "SERVICE_RANGE 10.64.0.0/16 overlaps POD_RANGE"),
        (
            {"FUNCTION_EGRESS_RANGE": "10.128.1.0/24"},
            "FUNCTION_EGRESS_RANGE 10.128.1.0/24 overlaps NODE_RANGE",
        ),
        ({"CONNECTOR_RANGE": "10.8.0.16/28"}, "overlaps CONNECTOR_RANGE, 10.8.0.16/28"),
        ({"PROXY_RANGE": "10.72.0.0/23"}, "PROXY_RANGE 10.72.0.0/23 overlaps SERVICE_RANGE"),
        ({"LOAD_BALANCER_RANGE": "10.128.0.0/24"}, "LOAD_BALANCER_RANGE 10.128.0.0/24 overlaps NODE_RANGE"),
        (
            {"FUNCTION_EGRESS": "connector", "CONNECTOR_RANGE": "10.9.0.0/28"},
            "FUNCTION_EGRESS_RANGE 10.8.0.0/24 is not CONNECTOR_RANGE, 10.9.0.0/28",
        ),
        (
            {"FUNCTION_EGRESS_RANGE": "10.8.0.0/26"},
            (
                "2 functions x 20 instances x 2 addresses = 80, and a /26 has 64 - 4 reserved = 60. Write a /25, or "
                "FUNCTION_MAX_INSTANCES=15 or less."
            ),
        ),
        (
            {"FUNCTION_EGRESS_RANGE": "10.8.0.0/26", "FUNCTION_MAX_INSTANCES": "16"},
            "2 functions x 16 instances x 2 addresses = 64, and a /26 has 64 - 4 reserved = 60",
        ),
        (
            {
                "FUNCTION_EGRESS_RANGE": "10.8.0.0/26",
                "FUNCTION_MAX_INSTANCES": "31",
                "LOOKUP_SERVICE_ACCOUNT": None,
                "LOOKUP_INVOKERS": None,
            },
            "1 function x 31 instances x 2 addresses = 62",
        ),
        (
            {"FUNCTION_MAX_INSTANCES": "100"},
            "= 400, and a /24 has 256 - 4 reserved = 252. Write FUNCTION_MAX_INSTANCES=63 or less.",
        ),
        (
            {"FUNCTION_EGRESS_RANGE": "10.8.0.0/27"},
            "10.8.0.0/27 is narrower than the /26 of Direct VPC egress",
        ),
        (
            {"VPC_SUBNET": "projects/host-project/regions/europe-west1/subnetworks/f"},
            "VPC_SUBNET and VPC_NETWORK lie in different projects",
        ),
        (
            {
                "VPC_NETWORK": "projects/host-project/global/networks/n",
                "VPC_SUBNET": "projects/other-project/regions/europe-west1/subnetworks/f",
            },
            "VPC_SUBNET and VPC_NETWORK lie in different projects",
        ),
        (
            {
                "VPC_NETWORK": "projects/host-project/global/networks/n",
                "VPC_SUBNET": "projects/host-project/regions/europe-west4/subnetworks/f",
            },
            "VPC_SUBNET lies in europe-west4, and REGION is europe-west1",
        ),
        ({"SIGNING_KEY_FILE": "/etc/key/key.pem"}, "SIGNING_KEY_SECRET_ID has an alias as its version"),
        (
            {"SIGNING_KEY_FILE": "/etc/meshpass/key.pem", "SIGNING_KEY_SECRET_ID": _VERSION},
            "SIGNING_KEY_FILE and GKE_GATEWAY_CA_FILE lie in one folder",
        ),
        (
            {"SIGNING_KEY_FILE": "/etc/meshpass/keys/key.pem", "SIGNING_KEY_SECRET_ID": _VERSION},
            "SIGNING_KEY_FILE and GKE_GATEWAY_CA_FILE lie in one folder",
        ),
        (
            {"PSEUDONYM_KEY_FILE": "/etc/meshpass/key", "PSEUDONYM_KEY_SECRET_ID": _VERSION},
            "PSEUDONYM_KEY_FILE and GKE_GATEWAY_CA_FILE lie in one folder",
        ),
        (
            {
                "SIGNING_KEY_FILE": "/etc/keys/signing.pem",
                "SIGNING_KEY_SECRET_ID": "projects/acme-mesh/locations/europe-west4/secrets/s/versions/3",
            },
            "SIGNING_KEY_SECRET_ID is a regional secret, which cannot be mounted",
        ),
        ({"LOOKUP_FUNCTION_NAME": "meshpass-enrichment"}, "LOOKUP_FUNCTION_NAME is FUNCTION_NAME too"),
        ({"FUNCTION_NAME": "a" * 60}, "LOOKUP_FUNCTION_NAME follows from FUNCTION_NAME and is 'aaa"),
        ({"FUNCTION_NAME": "ab"}, "SUBSCRIPTION_NAME follows from FUNCTION_NAME and is 'ab'"),
        ({"FUNCTION_SUBJECT": "1", "LOOKUP_SUBJECT": "1"}, "LOOKUP_SUBJECT is FUNCTION_SUBJECT too"),
        (
            {"TRIGGER_TOPIC": "projects/another-one/topics/user-events"},
            "TRIGGER_TOPIC must lie in GOOGLE_CLOUD",
        ),
        ({"TRIGGER_TOPIC": "user-events-undelivered"}, "UNDELIVERED_TOPIC is TRIGGER_TOPIC too"),
        (
            {"UNDELIVERED_TOPIC": "projects/acme-mesh/topics/user-events-dead-letter"},
            "UNDELIVERED_TOPIC is DEAD_LETTER_TOPIC too",
        ),
        (
            {"DEAD_LETTER_TOPIC": "projects/123456789012/topics/user-events"},
            "DEAD_LETTER_TOPIC has the number of a project",
        ),
        ({"FUNCTION_MIN_INSTANCES": "21"}, "FUNCTION_MIN_INSTANCES is 21, above FUNCTION_MAX_INSTANCES, 20"),
        ({"FUNCTION_TIMEOUT_S": "91"}, "FUNCTION_TIMEOUT_S is 91, above SUBSCRIPTION_ACK_DEADLINE_S, 90"),
        (
            {
                "FUNCTION_TIMEOUT_S": "541",
                "SUBSCRIPTION_ACK_DEADLINE_S": "600",
                "FUNCTION_TRIGGER": "eventarc",
            },
            "a function with an event trigger has 540 s at most",
        ),
        (
            {**_WORKERS, "FUNCTION_EGRESS": "connector"},
            "PULL_WORKER_SERVICE_ACCOUNT needs FUNCTION_EGRESS=direct",
        ),
        (
            {**_WORKERS, "FUNCTION_EGRESS": "connector", "PULL_WORKER_SERVICE_ACCOUNT": None},
            "DATAFLOW_SERVICE_ACCOUNT needs FUNCTION_EGRESS=direct",
        ),
        (
            {**_WORKERS, "FUNCTION_EGRESS_RANGE": "10.8.0.0/25", "PULL_WORKER_INSTANCES": "20"},
            (
                "x 2 addresses + 40 of the pull worker + 11 of Dataflow = 131, and a /25 has 128 - 4 reserved = 124. "
                "Write a /24, or FUNCTION_MAX_INSTANCES=18 or less."
            ),
        ),
        (
            {**_WORKERS, "DATAFLOW_MAX_WORKERS": "500"},
            "+ 501 of Dataflow = 583, and a /24 has 256 - 4 reserved = 252. Write fewer workers.",
        ),
        (
            {**_WORKERS, "DATAFLOW_SUBSCRIPTION": "meshpass-enrichment-worker"},
            "DATAFLOW_SUBSCRIPTION is PULL_WORKER_SUBSCRIPTION too, and two readers of one subscription share",
        ),
        (
            {**_WORKERS, "PULL_WORKER_SUBSCRIPTION": "meshpass-enrichment"},
            "PULL_WORKER_SUBSCRIPTION is SUBSCRIPTION_NAME too",
        ),
        (
            {**_WORKERS, "DATAFLOW_SERVICE_ACCOUNT": "meshpass-worker@acme-mesh.iam.gserviceaccount.com"},
            "DATAFLOW_SERVICE_ACCOUNT is PULL_WORKER_SERVICE_ACCOUNT too",
        ),
        (
            {"DATAFLOW_SUBJECT": "7", "PULL_WORKER_SUBJECT": "7"},
            "DATAFLOW_SUBJECT is PULL_WORKER_SUBJECT too",
        ),
        (
            {**_WORKERS, "FUNCTION_NAME": "a" * 56},
            "DATAFLOW_JOB follows from FUNCTION_NAME and is 'aaa",
        ),
        ({"SUBSCRIPTION_MAX_RETRY_DELAY_S": "5"}, "SUBSCRIPTION_MIN_RETRY_DELAY_S is 10, above"),
        ({"FUNCTION_CPU": ".5"}, "FUNCTION_CPU is .5, and more than one event at a time needs a whole vCPU"),
        (
            {"FUNCTION_CPU": "8"},
            "FUNCTION_MEMORY is 512Mi, and Cloud Run takes 4096Mi to 32768Mi with FUNCTION_CPU=8",
        ),
        (
            {"FUNCTION_MEMORY": "5Gi"},
            "FUNCTION_MEMORY is 5Gi, and Cloud Run takes 128Mi to 4096Mi with FUNCTION_CPU=1",
        ),
        ({"FUNCTION_MEMORY": "100M"}, "FUNCTION_MEMORY is 100M"),
        (
            {"FUNCTION_CPU": ".4", "FUNCTION_CONCURRENCY": "1", "FUNCTION_MEMORY": "1Gi"},
            "takes 128Mi to 512Mi with FUNCTION_CPU=.4",
        ),
    ],
)
def test_values_that_cannot_work_together_are_refused(
    problems: Problems, values: dict[str, str | None], complaint: str
) -> None:
    found = problems(**values)
    assert any(complaint in each for each in found), found


@pytest.mark.parametrize(
    "values",
    [
        {"GKE_GATEWAY_URL": "https://10.128.0.5:8443"},
        {"GKE_GATEWAY_URL": "https://gateway.internal"},
        {
            "GKE_GATEWAY_TLS": "off",
            "GKE_GATEWAY_URL": "http://10.128.0.5",
            "GKE_GATEWAY_CA_FILE": None,
            "GKE_GATEWAY_CA_SECRET": None,
        },
        {
            "GKE_GATEWAY_ADDRESS": "10.200.0.5",
            "GKE_GATEWAY_URL": "https://10.200.0.5",
            "LOAD_BALANCER_RANGE": "10.200.0.0/24",
        },
        {"LOAD_BALANCER_RANGE": "10.128.0.0/20"},
        {
            "FUNCTION_EGRESS": "connector",
            "FUNCTION_EGRESS_RANGE": "10.9.0.0/28",
            "CONNECTOR_RANGE": "10.9.0.0/28",
            "FUNCTION_MAX_INSTANCES": "100",
        },
        {"FUNCTION_EGRESS_RANGE": "10.8.0.0/26", "FUNCTION_MAX_INSTANCES": "15"},
        {
            "FUNCTION_EGRESS_RANGE": "10.8.0.0/26",
            "LOOKUP_SERVICE_ACCOUNT": None,
            "FUNCTION_MAX_INSTANCES": "30",
        },
        {"FUNCTION_EGRESS_RANGE": None},
        {
            "VPC_NETWORK": "projects/host-project/global/networks/n",
            "VPC_SUBNET": "projects/host-project/regions/europe-west1/subnetworks/f",
        },
        {"VPC_SUBNET": "projects/acme-mesh/regions/europe-west1/subnetworks/f"},
        {"REPORTS_SUBJECT": "100000000000000000002"},
        {"SIGNING_KEY_FILE": "/etc/signing/key.pem", "SIGNING_KEY_SECRET_ID": _VERSION},
        {"SIGNING_KEY_SECRET_ID": "projects/acme-mesh/locations/europe-west4/secrets/s/versions/active"},
        {
            "MESH_AUTH": "google-id-token",
            "FUNCTION_SUBJECT": "1",
            "SIGNING_KEY_SECRET_ID": None,
            "JWT_SCOPE": None,
        },
        {"FUNCTION_CPU": ".5", "FUNCTION_CONCURRENCY": "1"},
        {"FUNCTION_CPU": "8", "FUNCTION_MEMORY": "4Gi"},
        {"FUNCTION_TIMEOUT_S": "600", "SUBSCRIPTION_ACK_DEADLINE_S": "600"},
        {"TRIGGER_TOPIC": "projects/acme-mesh/topics/user-events"},
        _WORKERS,
        # Names that follow are not checked where nothing uses them.
        {"FUNCTION_NAME": "a" * 56},
    ],
)
def test_values_that_work_together_are_taken(problems: Problems, values: dict[str, str | None]) -> None:
    assert problems(**values) == []


def test_the_second_entry_point_needs_an_account_and_its_id(problems: Problems) -> None:
    keyless: dict[str, str | None] = {
        "MESH_AUTH": "google-id-token",
        "FUNCTION_SUBJECT": "1",
        "LOOKUP_SUBJECT": None,
    }
    assert problems(**keyless) == []
    (found,) = problems("LOOKUP_SERVICE_ACCOUNT", **keyless)
    assert found.startswith("LOOKUP_SUBJECT is missing; MESH_AUTH=google-id-token needs it")
    (found,) = problems("LOOKUP_SERVICE_ACCOUNT", LOOKUP_SERVICE_ACCOUNT=None, LOOKUP_SUBJECT="2")
    assert found.startswith("LOOKUP_SERVICE_ACCOUNT is missing; this deployment needs it")


@pytest.mark.parametrize("worker", ["PULL_WORKER", "DATAFLOW"])
def test_a_worker_without_a_key_needs_the_id_of_its_account(problems: Problems, worker: str) -> None:
    keyless: dict[str, str | None] = {"MESH_AUTH": "google-id-token", "FUNCTION_SUBJECT": "1", **_WORKERS}
    account, subject = f"{worker}_SERVICE_ACCOUNT", f"{worker}_SUBJECT"
    assert problems(**keyless) == []
    (found,) = problems(account, **keyless)
    assert found.startswith(f"{subject} is missing; MESH_AUTH=google-id-token needs it")
    assert problems(account, **keyless, **{subject: "7"}) == []


def test_names_of_workers_follow_from_the_function_where_there_is_an_account(contract: Contract) -> None:
    names = ("PULL_WORKER_SUBSCRIPTION", "DATAFLOW_JOB", "DATAFLOW_SUBSCRIPTION", "DATAFLOW_BUCKET")
    assert [meshcontract.load(contract.path)[name] for name in names] == ["", "", "", ""]
    values = meshcontract.load(contract.set(**_WORKERS, DATAFLOW_JOB="acme-stream").path)
    assert [values[name] for name in names] == [
        "meshpass-enrichment-worker",
        "acme-stream",
        "acme-stream",
        "acme-mesh-dataflow",
    ]


def test_a_value_that_is_wrong_alone_is_not_reported_again_with_others(problems: Problems) -> None:
    (found,) = problems(FUNCTION_MAX_INSTANCES="many")
    assert "FUNCTION_MAX_INSTANCES is 'many'" in found
    (found,) = problems(FUNCTION_MAX_INSTANCES=None, GKE_GATEWAY_ADDRESS="8.8.8.8")
    assert "GKE_GATEWAY_ADDRESS is '8.8.8.8': it is a public address" in found
