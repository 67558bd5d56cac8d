"""The pull worker and Dataflow, as Terraform makes them: off by default, private, with the least that each needs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.terraform.evaluate import kind_of
from tests.infra.terraform.grants import grants
from tests.infra.terraform.roots import CONTRACT, EVERYTHING, PROJECT, google

WORKER = {"pull_worker_service_account": EVERYTHING["pull_worker_service_account"]}
DATAFLOW = {"dataflow_service_account": EVERYTHING["dataflow_service_account"]}
CA_FILE = {"GKE_GATEWAY_CA_FILE": "/etc/meshpass/gateway-ca.pem"}
IMAGE = {"pull_worker_image": EVERYTHING["pull_worker_image"], "pull_worker_environment": CA_FILE}


def one(plan: Any, kind: str, part: str) -> dict[str, Any]:  # noqa: ANN401
    (found,) = [of for address, of in plan.all(kind).items() if part in address]
    return dict(found)


def reached(plan: Any, member: str) -> set[tuple[str, str]]:  # noqa: ANN401
    return {(grant.role, grant.on) for grant in grants(plan) if grant.member == f"`{member}`"}


def test_both_are_off_until_the_contract_names_their_accounts() -> None:
    addresses = " ".join(google().resources)
    assert "module.pull_worker" not in addresses
    assert "module.dataflow" not in addresses
    assert "dataflow-to-dataflow" not in addresses
    assert google().outputs["pull_worker_subject"] is None
    assert google().outputs["dataflow_subject"] is None


def test_the_worker_reaches_its_subscription_its_table_and_its_secrets_and_nothing_of_the_project() -> None:
    events = CONTRACT["TRIGGER_TOPIC"]
    assert reached(google(**WORKER), "pull_worker") == {
        ("roles/pubsub.subscriber", "subscription `meshpass-enrichment-worker`"),
        ("roles/pubsub.viewer", "subscription `meshpass-enrichment-worker`"),
        ("roles/pubsub.publisher", f"topic `{events}-dead-letter`"),
        ("roles/bigquery.dataEditor", "table `user_events`"),
        ("roles/secretmanager.secretAccessor", "secret `gateway-ca`"),
        ("roles/secretmanager.secretAccessor", "secret `meshpass-signing-key`"),
        ("roles/artifactregistry.reader", "repository `meshpass`"),
    }


def test_dataflows_workers_have_one_role_on_the_project_the_one_that_has_no_smaller_scope() -> None:
    events = CONTRACT["TRIGGER_TOPIC"]
    assert reached(google(**DATAFLOW), "dataflow") == {
        ("roles/dataflow.worker", "the project"),
        ("roles/pubsub.subscriber", "subscription `meshpass-enrichment-dataflow`"),
        ("roles/pubsub.viewer", "subscription `meshpass-enrichment-dataflow`"),
        ("roles/pubsub.publisher", f"topic `{events}-dead-letter`"),
        ("roles/bigquery.dataEditor", "table `user_events`"),
        ("roles/secretmanager.secretAccessor", "secret `gateway-ca`"),
        ("roles/secretmanager.secretAccessor", "secret `meshpass-signing-key`"),
        ("roles/artifactregistry.reader", "repository `meshpass`"),
        ("roles/storage.objectUser", f"bucket `{PROJECT}-dataflow`"),
        ("roles/storage.legacyBucketReader", f"bucket `{PROJECT}-dataflow`"),
    }


def test_a_backfill_gets_a_right_on_each_source_that_is_named_and_on_no_other() -> None:
    named = {name: EVERYTHING[name] for name in EVERYTHING if name.startswith("dataflow_")}
    more = reached(google(**named), "dataflow") - reached(google(**DATAFLOW), "dataflow")
    events = CONTRACT["TRIGGER_TOPIC"]
    assert more == {
        ("roles/bigquery.jobUser", "the project"),
        ("roles/bigquery.dataViewer", "table `events`"),
        ("roles/storage.objectViewer", "bucket `acme-archive`"),
        ("roles/pubsub.subscriber", f"subscription `{events}-dead-letter`"),
        ("roles/pubsub.subscriber", f"subscription `{events}-undelivered`"),
    }


def test_without_a_signing_key_no_worker_reads_one() -> None:
    plan = google(**WORKER, **DATAFLOW, mesh_auth="google-id-token")
    assert not {grant for grant in grants(plan) if "signing" in grant.on}


def test_who_launches_jobs_acts_as_their_account_and_as_no_other() -> None:
    plan = google(**DATAFLOW, dataflow_launchers=["group:data@example.com"])
    assert reached(plan, "group:data@example.com") == {
        ("roles/dataflow.developer", "the project"),
        ("roles/compute.networkViewer", "the project"),
        ("roles/iam.serviceAccountUser", "account `dataflow`"),
        ("roles/storage.objectUser", f"bucket `{PROJECT}-dataflow`"),
        ("roles/storage.legacyBucketReader", f"bucket `{PROJECT}-dataflow`"),
        ("roles/pubsub.viewer", "subscription `meshpass-enrichment-dataflow`"),
        ("roles/artifactregistry.reader", "repository `meshpass`"),
    }


def test_a_custom_role_takes_the_place_of_the_one_that_reads_every_bucket() -> None:
    role = f"projects/{PROJECT}/roles/meshpassDataflowWorker"
    roles = reached(google(**DATAFLOW, dataflow_worker_role=role), "dataflow")
    assert {name for name, on in roles if on == "the project"} == {role}
    assert {name for name, on in roles if on.startswith("bucket ")} == {
        "roles/storage.objectUser",
        "roles/storage.legacyBucketReader",
    }


def test_no_object_of_the_bucket_can_be_public_and_events_do_not_stay_in_temporary_files() -> None:
    bucket = one(google(**DATAFLOW), "google_storage_bucket", "dataflow")
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["force_destroy"] is False
    assert bucket["location"] == CONTRACT["REGION"]
    (rule,) = bucket["lifecycle_rule"]
    assert rule["condition"] == [{"age": 30, "matches_prefix": ["temp/", "source/"]}]
    assert bucket["soft_delete_policy"] == [{"retention_duration_seconds": 0}]


def test_dataflows_subscription_has_nothing_that_its_reader_does_not_support() -> None:
    found = one(google(**DATAFLOW), "google_pubsub_subscription", "dataflow")
    assert found["topic"] == f"projects/{PROJECT}/topics/{CONTRACT['TRIGGER_TOPIC']}"
    assert (found["enable_exactly_once_delivery"], found["enable_message_ordering"]) == (False, False)
    assert not {"dead_letter_policy", "retry_policy", "push_config"} & found.keys()
    assert found["expiration_policy"] == [{"ttl": ""}]


def test_the_workers_subscription_hands_over_what_it_cannot_deliver_and_never_expires() -> None:
    plan = google(**WORKER, pull_worker_delivery={"ordering": True, "max_delivery_attempts": 7})
    found = one(plan, "google_pubsub_subscription", "pull_worker")
    assert found["dead_letter_policy"] == [
        {"dead_letter_topic": CONTRACT["UNDELIVERED_TOPIC"], "max_delivery_attempts": 7}
    ]
    assert found["expiration_policy"] == [{"ttl": ""}]
    assert (found["enable_message_ordering"], found["enable_exactly_once_delivery"]) == (True, False)
    agent = {grant.on for grant in grants(plan) if grant.member == "Pub/Sub's service agent"}
    assert "subscription `meshpass-enrichment-worker`" in agent


def test_the_worker_pool_is_private_and_mounts_the_gateways_ca_where_the_environment_says() -> None:
    plan = google(**WORKER, **IMAGE, gke_gateway_ca_secret="gateway-ca:3", pull_worker_instances=4)
    pool = one(plan, "google_cloud_run_v2_worker_pool", "pull_worker")
    assert pool["scaling"] == [{"scaling_mode": "MANUAL", "manual_instance_count": 4}]
    (template,) = pool["template"]
    (access,) = template["vpc_access"]
    assert access == {
        "egress": "PRIVATE_RANGES_ONLY",
        "network_interfaces": [{"network": CONTRACT["VPC_NETWORK"], "subnetwork": CONTRACT["VPC_SUBNET"]}],
    }
    (container,) = template["containers"]
    assert container["args"] == ["work"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables == CA_FILE | {
        "PULL_SUBSCRIPTION": f"projects/{PROJECT}/subscriptions/meshpass-enrichment-worker",
        "PORT": "8080",
    }
    assert container["volume_mounts"] == [{"name": "gateway-ca", "mount_path": "/etc/meshpass"}]
    (volume,) = template["volumes"]
    assert volume["secret"][0]["items"] == [{"path": "gateway-ca.pem", "version": "3"}]
    assert [container[probe][0]["http_get"][0]["path"] for probe in ("startup_probe", "liveness_probe")] == [
        "/ready",
        "/live",
    ]


def test_a_worker_pool_without_a_private_ca_mounts_nothing() -> None:
    plan = google(**WORKER, pull_worker_image=IMAGE["pull_worker_image"], pull_worker_environment={"A": "b"})
    (template,) = one(plan, "google_cloud_run_v2_worker_pool", "pull_worker")["template"]
    assert not template.get("volumes")
    assert not template["containers"][0].get("volume_mounts")


def test_terraform_makes_no_machine_and_no_job() -> None:
    kinds = {kind_of(address) for address in google(**WORKER, **DATAFLOW).resources}
    assert not {kind for kind in kinds if "dataflow_" in kind or "instance" in kind}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({**WORKER, "pull_worker_image": "repository/image:latest"}, "@sha256:DIGEST"),
        ({**WORKER, **IMAGE, "pull_worker_environment": {}}, "environment must be set with image"),
        ({**WORKER, "pull_worker_environment": {"SIGNING_KEY_FILE": "/k"}}, "environment must name keys by"),
        ({**WORKER, "pull_worker_deployers": ["allUsers"]}, "deployers must be members that are someone"),
        ({**WORKER, "pull_worker_delivery": {"max_delivery_attempts": 4}}, "5 to 100"),
        ({**DATAFLOW, "dataflow_launchers": ["allUsers"]}, "launchers must be members that are someone"),
        ({**DATAFLOW, "dataflow_worker_role": "roles/owner"}, "worker_role must be roles/dataflow.worker, or a custom"),
        (
            {"dataflow_service_account": "meshpass-dataflow@other-one.iam.gserviceaccount.com"},
            "service_account must be NAME@PROJECT",
        ),
        (
            {**DATAFLOW, "function_egress": "connector", "connector_range": "10.8.3.0/28"},
            "dataflow_worker_account needs direct_egress",
        ),
    ],
)  # fmt: skip
def test_a_value_that_cannot_work_is_refused(changes: dict[str, Any], word: str) -> None:
    assert any(word in refusal for refusal in google(**changes).refusals), google(**changes).refusals
