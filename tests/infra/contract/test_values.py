"""Each key's value: right ones beside wrong ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import meshcontract
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshcontract.bridge import BRIDGE_KEYS
from meshcontract.value_types import whole

if TYPE_CHECKING:
    from tests.deploy.harness import Contract

SUBJECT = (
    ["svc@acme-mesh.iam.gserviceaccount.com", "100000000000000000001", "orders:api", "a"],
    ["*", "svc*", "*svc", "issuer/subject", " ", "a b", "a,b", "a" * 256],
)
RANGE = (
    ["10.8.0.0/24", "172.16.4.0/26", "192.168.9.0/28", "100.64.0.0/25", "198.18.0.0/24", "240.0.0.0/24"],
    [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.8.0.0/23",
        "8.8.8.0/24",
        "172.32.0.0/24",
        "100.128.0.0/24",
        "banana",
        "10.8.0.0",
        "10.8.0.1/26",
        "10.8.0.0/29",
        "fd00::/64",
        "10.8.0.0/255.255.255.0",
        "010.8.0.0/24",
        "10.8.0.300/26",
        "255.255.255.0/24",
        "127.0.0.0/24",
        "10.8.0.0/26,0.0.0.0/0",
    ],
)
WIDE_RANGE = (
    ["10.0.0.0/9", "10.128.0.0/20", "10.1.1.0/28"],
    [
        "10.0.0.0/8",
        "0.0.0.0/0",
        "35.0.0.0/20",
        "x",
        "10.0.0.1/20",
        "10.8.0.00/24",
        "100.64.0.0/9",
        "255.0.0.0/24",
    ],
)
ACCOUNT = (
    ["meshpass@acme-mesh.iam.gserviceaccount.com"],
    [
        "123-compute@developer.gserviceaccount.com",
        "acme-mesh@appspot.gserviceaccount.com",
        "ann@acme.example",
        "a@acme-mesh.iam.gserviceaccount.com",
        "meshpass@acme-mesh.iam.gserviceaccount.com.evil.example",
        "meshpass",
    ],
)
CLAIM = (
    [
        "user-profile-service",
        "https://user-profile.internal",
        "https://auth.acme.example/tenant/",
        "svc@acme.example",
    ],
    [
        "*",
        "user*",
        "https://*",
        "http://acme.example",
        "https://acme.example/*",
        "a b",
        "/x",
        "'a'",
        "https://a.b:65536",
    ],
)
HOST = (
    ["user-profile.internal", "a.b.c.example", "xn--bcher-kva.example", "1.a"],
    [
        "User-Profile.internal",
        "user-profile.internal.",
        "10.128.0.5",
        "user_profile.internal",
        "-a.internal",
        "a-.internal",
        "user-profile.internal:443",
        "*.internal",
        "internal",
        f"{'a' * 64}.internal",
        ".".join(["a" * 60] * 5),
        "::1",
        "https://a.internal",
        "a..b",
        "a.1",
    ],
)
SECRET = (
    [
        "projects/acme-mesh/secrets/s/versions/active",
        "projects/123456789012/secrets/s/versions/3",
        "projects/acme-mesh/locations/europe-west4/secrets/s/versions/latest",
        "projects/acme.example:old-project/secrets/s/versions/1",
    ],
    [
        "s",
        "projects/../secrets/s/versions/1",
        "projects/-/secrets/s/versions/1",
        "projects/Acme/secrets/s/versions/1",
        "projects/acme-mesh/secrets/s",
        "projects/p/locations/secrets/s/versions/3",
        "projects/a/b/secrets/s/versions/1",
    ],
)
FULL_TOPIC = (
    ["projects/acme-mesh/topics/user-events.v2", "projects/acme-mesh/topics/a+b%20"],
    [
        "user-events",
        "projects/acme-mesh/topics/goog-events",
        "projects/acme-mesh/topics/ab",
        "projects/p/topics/events",
        "projects/acme-mesh/subscriptions/events",
        "projects/acme-mesh/topics/a~b",
    ],
)
MOUNT = (
    ["/etc/meshpass/gateway-ca.pem", "/etc/secrets/key", "/meshpass/key.pem", "/mnt/keys/a/k"],
    [
        "/etc/ssl/certs/ca.pem",
        "/etc/ssl/ca.pem",
        "/etc/ca.pem",
        "/ca.pem",
        "/workspace/ca.pem",
        "/workspace/certs/ca.pem",
        "/proc/x/y",
        "/sys/x/y",
        "/dev/shm/key",
        "/usr/share/key",
        "/usr/local/share/ca-certificates/a.crt",
        "/bin/x",
        "/lib64/x",
        "/tmp/key",
        "/var/tmp/key",
        "/var/log/key",
        "/var/run/secrets/key",
        "/run/secrets/key",
        "/layers/x/y",
        "/cnb/x",
        "/home/cnb/key",
        "/root/key",
        "/opt/key",
        "/cloudsql/x",
        "relative/key",
        "/etc/meshpass/../ssl/ca.pem",
        "/etc//key",
        "/etc/meshpass/",
        "/etc/./key",
    ],
)
MEMBERS = (
    [
        "serviceAccount:orders@acme-mesh.iam.gserviceaccount.com",
        "serviceAccount:acme-mesh.svc.id.goog[orders/api]",
        (
            "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/acme-mesh.svc.id.goog/subject"
            "/ns/orders/sa/api"
        ),
        (
            "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/acme-mesh.svc.id.goog"
            "/namespace/orders"
        ),
        "group:billing@acme.example,user:ann@acme.example",
        "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.team/x",
    ],
    [
        "allUsers",
        "allAuthenticatedUsers",
        "user:ann@acme.example,allUsers",
        "domain:acme.example",
        "user:ann",
        "user:*@acme.example",
        "user:ann@acme.example,",
        ",user:ann@acme.example",
        "user:ann@acme.example, user:bob@acme.example",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/*",
        "allUsers:x@acme.example",
        "deleted:user:ann@acme.example",
        "projectEditor:acme-mesh",
    ],
)

VALUES: dict[str, tuple[list[str], list[str]]] = {
    "MESH_AUTH": (
        ["signed-jwt", "google-id-token"],
        ["google", "none", "Signed-jwt", "signed-jwt,google-id-token"],
    ),
    "JWT_ISSUER": CLAIM,
    "JWT_SUBJECT": SUBJECT,
    "JWT_AUDIENCE": CLAIM,
    "JWT_SCOPE": (
        ["read:user-profile", "https://a.example/auth/x"],
        ["*", "read:*", "read:a,read:b", "read a", " "],
    ),
    "JWT_FURTHER_SCOPES": (["read:orders", "read:a,write:a"], ["read:a,", "read:a,*", "a,,b", "a b"]),
    "FUNCTION_SUBJECT": (
        ["1", "100000000000000000001"],
        ["1" * 22, "a1", "*", "svc@acme.example", "0", "007"],
    ),
    "LOOKUP_SUBJECT": (["1"], ["x"]),
    "SIGNING_KEY_SECRET_ID": SECRET,
    "SIGNING_KEY_FILE": MOUNT,
    "GKE_GATEWAY_HOST": HOST,
    "GKE_GATEWAY_ADDRESS": (
        ["10.128.0.5", "172.31.0.9", "100.64.0.9"],
        [
            "8.8.8.8",
            "0.0.0.0",
            "127.0.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "fd00::1",
            "a.internal",
            "10.0.0",
            "10.0.0.0/8",
            "255.255.255.255",
            "10.0.0.01",
            "10.0.0.256",
            "10.0.0.1.",
            "10.0.0.1/32",
            "::ffff:10.0.0.1",
        ],
    ),
    "GKE_GATEWAY_URL": (
        ["https://10.128.0.5", "https://10.128.0.5:8443", "https://gateway.internal"],
        [
            "ftp://10.128.0.5",
            "10.128.0.5",
            "https://10.128.0.5/",
            "https://10.128.0.5/v1",
            "https://u@10.128.0.5",
            "https://10.128.0.5:0",
            "https://10.128.0.5:65536",
            "https://Gateway.internal",
            "https://",
            "https://10.128.0.5?x",
            "https://10.128.0.256",
            "https://10.128.0.05",
            "https://10.128.0.5:080",
        ],
    ),
    "GKE_GATEWAY_TLS": (["on", "off"], ["On", "true", "no"]),
    "GKE_GATEWAY_CA_SECRET": (
        ["gateway-ca", "gateway-ca:3", "projects/acme-mesh/secrets/s/versions/latest"],
        ["a/b", "gateway-ca:active", "s:0", "gateway,ca"],
    ),
    "GKE_GATEWAY_CA_FILE": MOUNT,
    "GOOGLE_CLOUD_PROJECT": (
        ["acme-mesh"],
        ["Acme", "acme", "1acme-mesh", "a" * 31, "acme-mesh-", "123456789012"],
    ),
    "REGION": (
        ["europe-west1", "northamerica-northeast2", "europe-west12"],
        ["europe", "Europe-west1", "europe-west1-b", "eu-1-west"],
    ),
    "VPC_NETWORK": (
        ["meshpass", "projects/host-project/global/networks/shared"],
        [
            "Mesh",
            "networks/shared",
            "projects/host-project/global/networks/",
            "projects/host-project/regions/r/networks/x",
        ],
    ),
    "VPC_SUBNET": (
        ["functions", "projects/host-project/regions/europe-west1/subnetworks/functions"],
        ["a_b", "projects/host-project/subnetworks/functions", "https://compute/v1/projects/x"],
    ),
    "VPC_CONNECTOR": (
        ["c", "a" * 20, "a-b-c-d-e-f-g", "projects/host-project/locations/europe-west1/connectors/c"],
        ["C", "connectors/c", "a" * 21, "a-b-c-d-e-f-g-h"],
    ),
    "FUNCTION_EGRESS": (["direct", "connector"], ["nat", "all"]),
    "CLUSTER_NAME": (["meshpass", "a" * 40], ["a" * 41, "Mesh", "1a", "a-"]),
    "ARTIFACT_REPOSITORY": (["meshpass"], ["Mesh", "a/b"]),
    "GOOGLE_APIS_HOST": (
        ["private.googleapis.com", "restricted.googleapis.com"],
        ["www.googleapis.com", "privateXgoogleapis.com"],
    ),
    "FUNCTION_EGRESS_RANGE": RANGE,
    "NODE_RANGE": WIDE_RANGE,
    "LOAD_BALANCER_RANGE": WIDE_RANGE,
    "POD_RANGE": WIDE_RANGE,
    "SERVICE_RANGE": WIDE_RANGE,
    "CONNECTOR_RANGE": (["10.9.0.0/28"], ["10.9.0.0/27", "10.9.0.0/29", "8.8.8.0/28"]),
    "PROXY_RANGE": (["10.9.0.0/26", "10.9.0.0/23"], ["10.9.0.0/27", "10.0.0.0/8"]),
    "FUNCTION_NAME": (["meshpass-enrichment"], ["Mesh", "a" * 64, "a_b", "-a"]),
    "FUNCTION_SERVICE_ACCOUNT": ACCOUNT,
    "BUILD_SERVICE_ACCOUNT": ACCOUNT,
    "BIGQUERY_TABLE": (
        ["acme-mesh.enrichment.user_events", "acme-mesh.d.table-2"],
        [
            "events",
            "enrichment.user_events",
            "acme-mesh.en-richment.t",
            "acme-mesh.d.t`;drop",
            "p.d.t",
            "acme-mesh.d.t.x",
            f"acme-mesh.{'d' * 1024}.{'t' * 1050}",
        ],
    ),
    "PSEUDONYM_KEY_SECRET_ID": SECRET,
    "PSEUDONYM_KEY_FILE": MOUNT,
    "LOG_SUCCESS_SAMPLE": (["1", "1000000"], ["0", "1000001", "0.5", "01", "-1", "x"]),
    "BIGQUERY_WRITER": (["insert-all", "storage-write"], ["insertAll", "google-client"]),
    "STORAGE_WRITE_STREAM": (["default", "committed", "cdc"], ["pending", "_default"]),
    "TABLE_RECREATED_HOLD_S": (["0", "3600"], ["3601", "-1", "1m"]),
    "FUNCTION_TRIGGER": (["push", "eventarc"], ["pull", "Push"]),
    "TRIGGER_SERVICE_ACCOUNT": ACCOUNT,
    "TRIGGER_TOPIC": (
        ["user-events", "projects/acme-mesh/topics/events"],
        ["ab", "1events", "goog-x", "topics/events", "a/b"],
    ),
    "SUBSCRIPTION_NAME": (["meshpass-enrichment"], ["ab", "goog-x", "projects/acme-mesh/subscriptions/s"]),
    "DEAD_LETTER_TOPIC": FULL_TOPIC,
    "UNDELIVERED_TOPIC": FULL_TOPIC,
    "SUBSCRIPTION_ACK_DEADLINE_S": (["10", "600"], ["9", "601", "1m", ""]),
    "SUBSCRIPTION_MIN_RETRY_DELAY_S": (["0", "600"], ["601", "-1"]),
    "SUBSCRIPTION_MAX_RETRY_DELAY_S": (["0", "600"], ["601"]),
    "SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS": (["5", "100"], ["4", "101"]),
    "FUNCTION_MEMORY": (["512Mi", "1Gi", "256M", "2G"], ["1k", "lots", "512", "0Mi", "512mi", "1.5Gi"]),
    "FUNCTION_CPU": (
        ["1", "2", "4", "6", "8", ".5", "0.08", "0.999"],
        ["3", "5", "7", "16", "0", "0.07", "1.5", "-1", "1000m"],
    ),
    "FUNCTION_CONCURRENCY": (["1", "1000"], ["0", "1001"]),
    "FUNCTION_MIN_INSTANCES": (["0", "10"], ["-1", "1001"]),
    "FUNCTION_MAX_INSTANCES": (["1", "100"], ["0", "1001"]),
    "FUNCTION_TIMEOUT_S": (["1", "3600"], ["0", "3601"]),
    "LOOKUP": (["profile", "_x"], ["An Account", "Profile"]),
    "LOOKUP_FUNCTION_NAME": (["lookup"], ["Lookup"]),
    "LOOKUP_SERVICE_ACCOUNT": ACCOUNT,
    "LOOKUP_INVOKERS": MEMBERS,
    "LOOKUP_INGRESS": (["internal-only", "internal-and-gclb"], ["all"]),
    "PULL_WORKER_NAME": (["meshpass-worker"], ["Worker", "a_b"]),
    "PULL_WORKER_SERVICE_ACCOUNT": ACCOUNT,
    "PULL_WORKER_SUBJECT": (["100000000000000000013"], ["0", "x", "1" * 22]),
    "PULL_WORKER_SUBSCRIPTION": (["meshpass-worker"], ["ab", "projects/acme-mesh/subscriptions/s"]),
    "PULL_WORKER_INSTANCES": (["1", "100"], ["0", "101"]),
    "DATAFLOW_JOB": (["meshpass-dataflow"], ["Job", "a_b", "-a"]),
    "DATAFLOW_SERVICE_ACCOUNT": ACCOUNT,
    "DATAFLOW_SUBJECT": (["100000000000000000014"], ["0", "x", "1" * 22]),
    "DATAFLOW_SUBSCRIPTION": (["meshpass-dataflow"], ["ab", "projects/acme-mesh/subscriptions/s"]),
    "DATAFLOW_BUCKET": (
        ["acme-mesh-dataflow", "a1b"],
        ["ab", "a.b.c", "A-b", "gs://acme", "-abc", "goog-x", "my-google-bucket", "a" * 64, "a_b_c"],
    ),
    "DATAFLOW_MAX_WORKERS": (["1", "1000"], ["0", "1001"]),
    "DATAFLOW_MACHINE_TYPE": (
        ["n2-standard-2", "n1-highmem-16", "t2d-standard-4"],
        ["f1-micro", "e2-small", "n2-standard-0", "N2-standard-2", "n2-standard"],
    ),
}

BRIDGE: dict[str, tuple[list[str], list[str]]] = {
    "BRIDGE_HOST": HOST,
    "BRIDGE_CLIENT_IDENTITY": (
        ["spiffe://gke.example/ns/n/sa/s"],
        ["gke.example/ns/n", "spiffe://*", "spiffe://a", "spiffe://a/*"],
    ),
    "BRIDGE_CLIENT_PRINCIPAL": (["gke.example/ns/n/sa/s"], ["*", "spiffe://a/b", "a/*", "a"]),
    "EKS_GATEWAY_ADDRESS": HOST,
    "GKE_SOURCE_RANGE": (["10.64.0.0/20", "10.64.0.4/32"], ["10.64.0.0/19", "0.0.0.0/0"]),
    "EKS_GATEWAY_RANGE": (["10.96.0.0/24"], ["8.8.8.0/24"]),
    "ALB_HOST": HOST,
    "ALB_RANGE": (["10.96.1.0/24"], ["10.96.1.1/24"]),
    "AWS_ACCOUNT_ID": (["123456789012"], ["12345678901", "acme"]),
    "AWS_REGION": (["eu-west-1", "us-gov-west-1"], ["eu-west1", "*"]),
    "LAMBDA_FUNCTION_ARN": (
        ["arn:aws:lambda:eu-west-1:123456789012:function:lambda-bridge"],
        ["*", "arn:aws:lambda:eu-west-1:123456789012:function:*", "arn:aws:s3:::bucket"],
    ),
    "TARGET_GROUP_ARN": (
        ["arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/lambda-bridge/0123456789abcdef"],
        ["*", "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/*/0123456789abcdef"],
    ),
}


def test_every_key_has_right_and_wrong_values_here() -> None:
    assert set(VALUES) == set(meshcontract.KEYS)
    assert set(BRIDGE) == set(BRIDGE_KEYS)


@pytest.mark.parametrize("key", VALUES)
def test_right_values_are_taken_and_wrong_ones_are_refused_with_what_to_write(key: str) -> None:
    of = meshcontract.KEYS[key].type
    right, wrong = VALUES[key]
    for value in right:
        assert of.problem(value) == ""
        # What Terraform and JSON Schema can say says the same.
        assert re.search(f"^(?:{of.pattern})$", value)
    for value in filter(None, wrong):
        problem = of.problem(value)
        assert ascii(value)[:50] in problem
        assert problem.endswith(f". Write {of.form}.")


@pytest.mark.parametrize("key", BRIDGE)
def test_right_values_of_the_bridge_are_taken_and_wrong_ones_are_refused(key: str) -> None:
    right, wrong = BRIDGE[key]
    assert [value for value in right if BRIDGE_KEYS[key].problem(value)] == []
    assert [value for value in wrong if not BRIDGE_KEYS[key].problem(value)] == []


@pytest.mark.parametrize("key", list(VALUES)[::7])
def test_a_wrong_value_in_the_file_is_refused_with_its_key(contract: Contract, key: str) -> None:
    contract.set(**{key: VALUES[key][1][0]})
    with pytest.raises(meshcontract.ContractError, match=rf"line \d+: {key} is '"):
        meshcontract.read(contract.path)


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 20000))
def test_the_pattern_of_a_whole_number_has_exactly_its_numbers(least: int, wide: int, number: int) -> None:
    of = whole(least, least + wide, "things")
    assert (re.fullmatch(of.pattern, str(number)) is not None) == (least <= number <= least + wide)
    assert not re.fullmatch(of.pattern, f"0{number}")
    assert not re.fullmatch(of.pattern, f"-{number}")


@given(st.text(max_size=40))
def test_no_value_is_too_strange_to_be_judged(value: str) -> None:
    for name, key in meshcontract.KEYS.items():
        problem = key.type.problem(value)
        assert problem == "" or problem.isprintable(), name


@pytest.mark.parametrize("key", [name for name, key in meshcontract.KEYS.items() if "token" in key.group])
def test_no_claim_has_a_wildcard(key: str) -> None:
    for value in ("*", "a*", "*a", "a*b", "https://a.example/*"):
        assert meshcontract.KEYS[key].type.problem(value)
