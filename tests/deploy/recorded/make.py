"""Writes tests/deploy/recorded/base: what gcloud and bq answer about a deployment that is as the contract says.

    .venv/bin/python -m tests.deploy.recorded.make

Run it when the contract, the function's environment or its table changed. The shapes are those of Google's APIs as
gcloud prints them with --format=json; test_verify_shapes.py holds them to gcloud's own message classes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import meshcontract

from deploy.steps import alerts
from deploy.steps.cloud import questions
from deploy.steps.deploy import entry_points
from deploy.steps.verify.deployment import Deployment
from deploy.steps.verify.table_commands import wanted_table
from tests.deploy.harness import CONTRACT, ROOT

BASE = Path(__file__).parent / "base"
PROJECT, NUMBER, REGION = "acme-mesh", "123456789012", "europe-west1"
PACKAGE = "0123456789ab"
TIME = "2026-11-02T09:30:00.000000Z"
JWKS = json.loads((ROOT / "infra/mesh/overlays/example/keys/enrichment.json").read_text())
SUBJECTS = {"function": "FUNCTION_SUBJECT", "lookup": "LOOKUP_SUBJECT"}
RETIRED = {
    "kty": "EC",
    "crv": "P-256",
    "x": "8mDZzxn5Zun9HNYJQ6k2LDxC3B1NE0wiwqNHfDUgM3M",
    "y": "a0ZBFPtlv8Bx2qFzUmB6cBSb1lXkB8ItJBXcXc3ZrkQ",
    "alg": "ES256",
    "use": "sig",
    "kid": "old",
}


def contract() -> dict[str, str]:
    """The contract of the base, with the placeholder project named."""
    return meshcontract.parse(CONTRACT)[0] | {
        key: value.replace("example-project", PROJECT)
        for key, value in meshcontract.parse(CONTRACT)[0].items()
    }


def checked(values: dict[str, str]) -> dict[str, str]:
    """A contract with its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contract.env"
        file.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return meshcontract.load(file)


def policy(**roles: list[str]) -> dict[str, Any]:
    """A policy; a role is written with `_` for `.`."""
    bindings = [
        {"members": sorted(members), "role": f"roles/{role.replace('__', '.')}"}
        for role, members in roles.items()
    ]
    return {"bindings": bindings, "etag": "BwYkX1p0ZGE=", "version": 1}


def entry_point(values: dict[str, str], entry: entry_points.EntryPoint) -> dict[str, Any]:
    """What the APIs answer about a function and its service."""
    name = values[entry.deployed_as]
    revision = f"{name}-00007-xib"
    url = f"https://{name}-a1b2c3d4e5-ew.a.run.app"
    flags = Deployment(values, [entry]).expected_flags(entry)
    environment = {**entry_points.environment(values, entry), "LOG_EXECUTION_ID": "true"}
    run_ingress = {"internal-only": "internal", "internal-and-gclb": "internal-and-cloud-load-balancing"}
    ca_folder, _, ca_file = values["GKE_GATEWAY_CA_FILE"].rpartition("/")
    service_url = f"https://{name}-{NUMBER}.{REGION}.run.app"
    annotations = {
        "autoscaling.knative.dev/maxScale": values["FUNCTION_MAX_INSTANCES"],
        "run.googleapis.com/network-interfaces": json.dumps(
            [{"network": values["VPC_NETWORK"], "subnetwork": values["VPC_SUBNET"]}], separators=(",", ":")
        ),
        "run.googleapis.com/startup-cpu-boost": "true",
        "run.googleapis.com/vpc-access-egress": "private-ranges-only",
    }
    spec = {
        "containerConcurrency": int(values["FUNCTION_CONCURRENCY"]),
        "containers": [
            {
                "env": [{"name": key, "value": value} for key, value in environment.items()],
                "image": f"{REGION}-docker.pkg.dev/{PROJECT}/meshpass/{name}@sha256:{'1f' * 32}",
                "ports": [{"containerPort": 8080, "name": "http1"}],
                "resources": {"limits": {"cpu": "1", "memory": values["FUNCTION_MEMORY"]}},
            }
        ],
        "serviceAccountName": values[entry.account],
        "timeoutSeconds": int(values["FUNCTION_TIMEOUT_S"]),
    }
    ready = [{"lastTransitionTime": TIME, "status": "True", "type": "Ready"}]
    old = f"{name}-00006-wab"

    def revision_of(called: str, created: str) -> dict[str, Any]:
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Revision",
            "metadata": {
                "annotations": annotations,
                "creationTimestamp": created,
                "generation": 1,
                "labels": {"goog-managed-by": "cloudfunctions", "serving.knative.dev/service": name},
                "name": called,
                "namespace": NUMBER,
                "selfLink": f"/apis/serving.knative.dev/v1/namespaces/{NUMBER}/revisions/{called}",
            },
            "spec": spec,
            "status": {"conditions": ready, "observedGeneration": 1},
        }

    return {
        f"function-{entry.name}": {
            "buildConfig": {
                "build": f"projects/{NUMBER}/locations/{REGION}/builds/2f6b8c1d-0000-4000-8000-000000000001",
                "dockerRegistry": "ARTIFACT_REGISTRY",
                "dockerRepository": f"projects/{PROJECT}/locations/{REGION}/repositories/gcf-artifacts",
                "entryPoint": flags["--entry-point"],
                "runtime": flags["--runtime"],
                "serviceAccount": flags["--build-service-account"],
            },
            "createTime": TIME,
            "environment": "GEN_2",
            "labels": {"app": "meshpass", "package": PACKAGE},
            "name": f"projects/{PROJECT}/locations/{REGION}/functions/{name}",
            "serviceConfig": {
                "allTrafficOnLatestRevision": True,
                "availableCpu": values["FUNCTION_CPU"],
                "availableMemory": values["FUNCTION_MEMORY"],
                "environmentVariables": environment,
                "ingressSettings": {
                    "internal-only": "ALLOW_INTERNAL_ONLY",
                    "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB",
                }[flags["--ingress-settings"]],
                "maxInstanceCount": int(values["FUNCTION_MAX_INSTANCES"]),
                "maxInstanceRequestConcurrency": int(values["FUNCTION_CONCURRENCY"]),
                "revision": revision,
                "secretVolumes": [
                    {
                        "mountPath": ca_folder,
                        "projectId": PROJECT,
                        "secret": values["GKE_GATEWAY_CA_SECRET"],
                        "versions": [{"path": ca_file, "version": "latest"}],
                    }
                ],
                "service": f"projects/{PROJECT}/locations/{REGION}/services/{name}",
                "serviceAccountEmail": values[entry.account],
                "timeoutSeconds": int(values["FUNCTION_TIMEOUT_S"]),
                "uri": url,
            },
            "state": "ACTIVE",
            "updateTime": TIME,
            "url": f"https://{REGION}-{PROJECT}.cloudfunctions.net/{name}",
        },
        f"service-{entry.name}": {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {
                "annotations": {
                    "cloudfunctions.googleapis.com/function-id": name,
                    "run.googleapis.com/ingress": run_ingress[flags["--ingress-settings"]],
                    "run.googleapis.com/ingress-status": run_ingress[flags["--ingress-settings"]],
                    "run.googleapis.com/urls": json.dumps([service_url, url], separators=(",", ":")),
                },
                "creationTimestamp": TIME,
                "generation": 7,
                "labels": {"goog-managed-by": "cloudfunctions"},
                "name": name,
                "namespace": NUMBER,
            },
            "spec": {
                "template": {"metadata": {"annotations": annotations, "name": revision}, "spec": spec},
                "traffic": [{"latestRevision": True, "percent": 100}],
            },
            "status": {
                "conditions": ready,
                "latestCreatedRevisionName": revision,
                "latestReadyRevisionName": revision,
                "observedGeneration": 7,
                "traffic": [{"latestRevision": True, "percent": 100, "revisionName": revision}],
                "url": url,
            },
        },
        f"revisions-{entry.name}": [
            revision_of(revision, "2026-11-02T09:30:00.000000Z"),
            revision_of(old, "2026-10-19T09:30:00.000000Z"),
        ],
    }


def answers(values: dict[str, str]) -> dict[str, Any]:
    """Every answer about the base."""
    account = {name: f"serviceAccount:{values[key]}" for name, key in questions.ACCOUNTS.items()}
    agent = f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
    topics = {name: questions.topic(values, key) for name, key in questions.TOPICS.items()}
    subscriptions = f"projects/{PROJECT}/subscriptions"
    functions = [
        entry_point(values, entry_points.ENRICH),
        entry_point(values, entry_points.LOOKUP),
    ]
    url = functions[0]["function-enrich"]["serviceConfig"]["uri"]
    own = {
        "ackDeadlineSeconds": int(values["SUBSCRIPTION_ACK_DEADLINE_S"]),
        "deadLetterPolicy": {
            "deadLetterTopic": values["UNDELIVERED_TOPIC"],
            "maxDeliveryAttempts": int(values["SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS"]),
        },
        "expirationPolicy": {},
        "messageRetentionDuration": "604800s",
        "name": f"{subscriptions}/{values['SUBSCRIPTION_NAME']}",
        "pushConfig": {
            "oidcToken": {"audience": url, "serviceAccountEmail": values["TRIGGER_SERVICE_ACCOUNT"]},
            "pushEndpoint": url,
        },
        "retryPolicy": {
            "maximumBackoff": f"{values['SUBSCRIPTION_MAX_RETRY_DELAY_S']}s",
            "minimumBackoff": f"{values['SUBSCRIPTION_MIN_RETRY_DELAY_S']}s",
        },
        "state": "ACTIVE",
        "topic": topics["trigger"],
    }
    readers = {
        name: {
            "ackDeadlineSeconds": 10,
            "expirationPolicy": {},
            "messageRetentionDuration": "2678400s",
            "name": f"{subscriptions}/{topics[name].rpartition('/')[2]}",
            "pushConfig": {},
            "state": "ACTIVE",
            "topic": topics[name],
        }
        for name in ("dead-letter", "undelivered")
    }
    schema = wanted_table()
    _, dataset, table = values["BIGQUERY_TABLE"].split(".")
    reference = {"datasetId": dataset, "projectId": PROJECT}
    key = JWKS["keys"][0]
    found: dict[str, Any] = {
        "project": {
            "createTime": TIME,
            "lifecycleState": "ACTIVE",
            "name": "acme mesh",
            "projectId": PROJECT,
            "projectNumber": NUMBER,
        },
        "project-policy": policy(
            cloudbuild__builds__builder=[account["build"]],
            owner=["user:ada@acme.example"],
            run__serviceAgent=[
                f"serviceAccount:service-{NUMBER}@serverless-robot-prod.iam.gserviceaccount.com"
            ],
        ),
        **functions[0],
        **functions[1],
        "service-policy-enrich": policy(run__invoker=[account["trigger"]]),
        "service-policy-lookup": policy(run__invoker=values["LOOKUP_INVOKERS"].split(",")),
        "subscription": own,
        "subscription-policy": policy(pubsub__subscriber=[agent]),
        "subscriptions": [own, *readers.values()],
        "table": {
            "clustering": schema["clustering"],
            "creationTime": "1793611800000",
            "etag": "kT0z9Q==",
            "id": f"{PROJECT}:{dataset}.{table}",
            "kind": "bigquery#table",
            "lastModifiedTime": "1793611800000",
            "location": REGION,
            "numBytes": "0",
            "numRows": "0",
            "schema": {"fields": [dict(item) for item in schema["schema"]["fields"]]},
            "tableReference": {**reference, "tableId": table},
            "timePartitioning": schema["timePartitioning"],
            "type": "TABLE",
        },
        "table-policy": policy(bigquery__dataEditor=[account["function"]]),
        "dataset": {
            "access": [
                {"role": "WRITER", "specialGroup": "projectWriters"},
                {"role": "OWNER", "specialGroup": "projectOwners"},
                {"role": "READER", "specialGroup": "projectReaders"},
            ],
            "creationTime": "1793611800000",
            "datasetReference": reference,
            "id": f"{PROJECT}:{dataset}",
            "kind": "bigquery#dataset",
            "location": REGION,
        },
        "view": {
            "id": f"{PROJECT}:{dataset}.{table}_deduplicated",
            "kind": "bigquery#table",
            "tableReference": {**reference, "tableId": f"{table}_deduplicated"},
            "type": "VIEW",
            "view": {
                "query": f"SELECT *\nFROM `{values['BIGQUERY_TABLE']}`\nQUALIFY ROW_NUMBER() OVER (\n"
                "  PARTITION BY `event_id`\n"
                "  ORDER BY `enriched_at`, `publish_time`, `message_id`, `trace_id`\n) = 1",
                "useLegacySql": False,
            },
        },
        "secret-signing-key": {
            "annotations": {
                "meshpass-key-1": json.dumps({"jwk": RETIRED, "ended": "retired"}, separators=(",", ":")),
                "meshpass-key-2": json.dumps({"jwk": key}, separators=(",", ":")),
                "meshpass-promoted-at": "2026-10-19T09:30:00+00:00",
            },
            "createTime": TIME,
            "etag": '"162d1f4b3c5a60"',
            "name": f"projects/{NUMBER}/secrets/meshpass-signing-key",
            "replication": {"automatic": {}},
            "versionAliases": {"active": "2"},
        },
        "secret-versions-signing-key": [
            version("meshpass-signing-key", 2, "ENABLED"),
            version("meshpass-signing-key", 1, "DISABLED"),
        ],
        "secret-policy-signing-key": policy(
            secretmanager__secretAccessor=[account["function"], account["lookup"]]
        ),
        "secret-gateway-ca": {
            "createTime": TIME,
            "etag": '"162d1f4b3c5a61"',
            "name": f"projects/{NUMBER}/secrets/gateway-ca",
            "replication": {"automatic": {}},
        },
        "secret-versions-gateway-ca": [version("gateway-ca", 1, "ENABLED")],
        "secret-policy-gateway-ca": policy(
            secretmanager__secretAccessor=[account["function"], account["lookup"]]
        ),
        "addresses": [
            {
                "address": questions.gateway_address(values),
                "addressType": "INTERNAL",
                "creationTimestamp": "2026-10-01T01:30:00.000-07:00",
                "id": "4242424242424242",
                "kind": "compute#address",
                "name": "meshpass-gateway",
                "networkTier": "PREMIUM",
                "purpose": "SHARED_LOADBALANCER_VIP",
                "region": f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/regions/{REGION}",
                "status": "IN_USE",
            }
        ],
        "subnet": {
            "ipCidrRange": values["FUNCTION_EGRESS_RANGE"],
            "kind": "compute#subnetwork",
            "name": values["VPC_SUBNET"],
            "network": f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/meshpass",
            "privateIpGoogleAccess": True,
            "purpose": "PRIVATE",
            "region": f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/regions/{REGION}",
        },
        "alerts": [
            alert(index, path, values) for index, path in enumerate(sorted(alerts.POLICIES.glob("*.json")))
        ],
    }
    for name, topic in topics.items():
        found[f"topic-{name}"] = {"labels": {"app": "meshpass"}, "name": topic}
        found[f"topic-policy-{name}"] = {"etag": "ACAB", "version": 1}
        found[f"readers-{name}"] = [own["name"] if name == "trigger" else readers[name]["name"]]
    found["topic-policy-dead-letter"] = policy(pubsub__publisher=[account["function"]])
    found["topic-policy-undelivered"] = policy(pubsub__publisher=[agent])
    for index, (name, key_name) in enumerate(questions.ACCOUNTS.items(), start=1):
        email = values[key_name]
        found[f"account-{name}"] = {
            "email": email,
            "etag": "MDEwMjE5MjA=",
            "name": f"projects/{PROJECT}/serviceAccounts/{email}",
            "oauth2ClientId": f"11000000000000000000{index}",
            "projectId": PROJECT,
            "uniqueId": values.get(SUBJECTS.get(name, ""), "") or f"11000000000000000000{index}",
        }
        found[f"account-keys-{name}"] = []
        found[f"account-policy-{name}"] = policy(iam__serviceAccountUser=["user:ada@acme.example"])
    return found


def version(secret: str, number: int, state: str) -> dict[str, Any]:
    """One version of a secret."""
    return {
        "createTime": TIME,
        "etag": f'"162d1f4b3c5a7{number}"',
        "name": f"projects/{NUMBER}/secrets/{secret}/versions/{number}",
        "replicationStatus": {"automatic": {}},
        "state": state,
    }


def alert(index: int, path: Path, values: dict[str, str]) -> dict[str, Any]:
    """One alert policy as Cloud Monitoring gives it back."""
    written = json.loads(alerts.rendered(path.read_text(), values))
    name = f"projects/{PROJECT}/alertPolicies/77000000000000000{index:02}"
    for condition in written["conditions"]:
        # The API leaves a number out that is 0.
        if condition.get("conditionThreshold", {}).get("thresholdValue") == 0:
            del condition["conditionThreshold"]["thresholdValue"]
    conditions = [
        {**condition, "name": f"{name}/conditions/88000000000000000{index:02}"}
        for condition in written["conditions"]
    ]
    channel = f"projects/{PROJECT}/notificationChannels/99000000000000000"
    return {
        **written,
        "conditions": conditions,
        "enabled": True,
        "name": name,
        "notificationChannels": [channel],
    }


def main() -> None:
    """Write the folder anew."""
    shutil.rmtree(BASE, ignore_errors=True)
    (BASE / "answers").mkdir(parents=True)
    written = contract()
    values = checked(written)
    found = answers(values)
    for name, data in found.items():
        _write(BASE / "answers" / f"{name}.json", data)
    _write(BASE / "manifest.json", {"answers": {name: {} for name in sorted(found)}, "package": PACKAGE})
    _write(BASE / "jwks.json", JWKS)
    (BASE / "contract.env").write_text("".join(f"{key}={value}\n" for key, value in written.items()))


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
