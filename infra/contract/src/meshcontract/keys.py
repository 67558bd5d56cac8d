"""Every key of the contract: its type, default, meaning and readers. Generated files follow from this table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshcontract import cloud_types as cloud
from meshcontract import mesh_types as mesh
from meshcontract.value_types import Type, choice, private_range, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GROUPS", "KEYS", "OWN_KEYS", "RENAMED", "Key", "own_type"]

DEPLOY, FUNCTION, MESH, TERRAFORM = "deploy", "function", "mesh", "terraform"


@dataclass(frozen=True)
class Key:
    """One key of the contract.

    Attributes:
        group: The part of the table that it belongs to.
        type: What its value may be.
        default: The value when the key is absent; None makes the key required, "" makes it optional.
        meaning: What it is for.
        readers: Who reads it: deploy, function, mesh, terraform.
        returned: Whether Terraform may give the value back, as an output of the same name in lower case.
    """

    group: str
    type: Type
    default: str | None
    meaning: str
    readers: frozenset[str] = field(default=frozenset())
    returned: bool = False

    @property
    def form(self) -> str:
        """What to write."""
        return self.type.form


GROUPS = {
    "token": "The caller's token: what the SDK signs, or Google issues, and both proxies demand",
    "gateway": "The gateway: a virtual host behind a reserved internal address",
    "cloud": "The cloud under it",
    "network": "Ranges of the network, which must not overlap",
    "function": "The function, and what it reads and writes",
    "delivery": "Delivery of events",
    "size": "Sizes, the same for both entry points",
    "lookup": "The second entry point, GET /lookup/{key}",
    "worker": "The pull worker, for more events than instances of the function take",
    "dataflow": "Dataflow jobs, for a stream of many thousand events a second and for a backfill",
}
"""The parts of the table, in order."""


def _key(
    group: str, of: Type, default: str | None, meaning: str, *readers: str, returned: bool = False
) -> Key:
    return Key(group, of, default, meaning, frozenset(readers), returned)


# GKE's own limits are not checked here; these keep a range from being the whole private network.
_CLUSTER_RANGE = (9, 28)

KEYS: Mapping[str, Key] = {
    "MESH_AUTH": _key(
        "token", choice("signed-jwt", "google-id-token"), "signed-jwt",
        "How the function proves who it is: google-id-token (recommended, no key anywhere), or signed-jwt (with a key)",
        DEPLOY, FUNCTION, TERRAFORM,
    ),
    "JWT_ISSUER": _key(
        "token", mesh.ISSUER, "", "`iss` of the function's tokens; needed with signed-jwt", DEPLOY, FUNCTION, MESH
    ),
    "JWT_SUBJECT": _key(
        "token", mesh.SUBJECT, "",
        "`sub` of the function's tokens, which the policies name; needed with signed-jwt", DEPLOY, FUNCTION, MESH,
    ),
    "JWT_AUDIENCE": _key(
        "token", mesh.AUDIENCE, None, "`aud` of the function's tokens", DEPLOY, FUNCTION, MESH
    ),
    "JWT_SCOPE": _key(
        "token", mesh.SCOPE, "",
        "The scope that the policies demand of the function; needed with signed-jwt", DEPLOY, FUNCTION, MESH,
    ),
    "JWT_FURTHER_SCOPES": _key(
        "token", mesh.SCOPES, "",
        "Scopes that the function's token has in addition to JWT_SCOPE, for further services; separated by commas here "
        "and by spaces in the token", DEPLOY,
    ),
    "FUNCTION_SUBJECT": _key(
        "token", cloud.UNIQUE_ID, "",
        "The unique id of FUNCTION_SERVICE_ACCOUNT, which the policies name; needed with google-id-token",
        DEPLOY, MESH, returned=True,
    ),
    "SIGNING_KEY_SECRET_ID": _key(
        "token", cloud.SECRET_VERSION, "",
        "The secret with the signing key; needed with signed-jwt", DEPLOY, FUNCTION, TERRAFORM,
    ),
    "SIGNING_KEY_FILE": _key(
        "token", cloud.MOUNT, "",
        "Mounts SIGNING_KEY_SECRET_ID as this file, in place of reading it by the API", DEPLOY, FUNCTION,
    ),
    "GKE_GATEWAY_HOST": _key(
        "gateway", mesh.HOST, None, "The name of user-profile in URL, TLS and routes", DEPLOY, FUNCTION, MESH, TERRAFORM
    ),
    "GKE_GATEWAY_ADDRESS": _key(
        "gateway", mesh.PRIVATE_ADDRESS, "",
        "The address of the gateway's internal load balancer", DEPLOY, MESH, TERRAFORM, returned=True,
    ),
    "GKE_GATEWAY_URL": _key(
        "gateway", mesh.URL, None, "Where the function connects to", DEPLOY, FUNCTION, returned=True
    ),
    "GKE_GATEWAY_TLS": _key(
        "gateway", choice("on", "off"), "on",
        "`off` only for the overlay without TLS: then the URL is http://, and tokens cross the network readable",
        DEPLOY,
    ),
    "GKE_GATEWAY_CA_SECRET": _key(
        "gateway", cloud.CA_SECRET, "",
        "The secret with the private CA of the gateway's certificate", DEPLOY, TERRAFORM, returned=True,
    ),
    "GKE_GATEWAY_CA_FILE": _key(
        "gateway", cloud.MOUNT, "", "The file that this secret is mounted as; the system's CAs if absent",
        DEPLOY, FUNCTION,
    ),
    "GOOGLE_CLOUD_PROJECT": _key(
        "cloud", cloud.PROJECT, None, "The project of all of it", DEPLOY, FUNCTION, TERRAFORM
    ),
    "REGION": _key("cloud", cloud.REGION, None, "The region of all of it", DEPLOY, TERRAFORM),
    "VPC_NETWORK": _key(
        "cloud", cloud.NETWORK, "", "The network; needed with Direct VPC egress", DEPLOY, TERRAFORM
    ),
    "VPC_SUBNET": _key(
        "cloud", cloud.SUBNET, "", "The subnet that functions leave from; needed with Direct VPC egress",
        DEPLOY, TERRAFORM,
    ),
    "VPC_CONNECTOR": _key(
        "cloud", cloud.CONNECTOR, "", "The connector; needed with FUNCTION_EGRESS=connector", DEPLOY, TERRAFORM
    ),
    "FUNCTION_EGRESS": _key(
        "cloud", choice("direct", "connector"), None,
        "Direct VPC egress, or Serverless VPC Access", DEPLOY, TERRAFORM,
    ),
    "CLUSTER_NAME": _key("cloud", cloud.CLUSTER, "meshpass", "The GKE cluster", TERRAFORM),
    "ARTIFACT_REPOSITORY": _key(
        "cloud", cloud.REPOSITORY, "meshpass", "The repository of the functions' images", DEPLOY, TERRAFORM
    ),
    "GOOGLE_APIS_HOST": _key(
        "cloud", cloud.GOOGLE_APIS, "private.googleapis.com",
        "The name of Private Google Access that DNS, routes, firewall and sidecars use; restricted inside VPC Service "
        "Controls", MESH, TERRAFORM,
    ),
    "FUNCTION_EGRESS_RANGE": _key(
        "network", private_range(24, 28, "the subnet that the functions' traffic leaves from"), "",
        "The only range that the internal load balancer admits", DEPLOY, MESH, TERRAFORM,
    ),
    "NODE_RANGE": _key(
        "network", private_range(*_CLUSTER_RANGE, "the subnet of the cluster's nodes"), "10.128.0.0/20",
        "The cluster's subnet", DEPLOY, TERRAFORM,
    ),
    "LOAD_BALANCER_RANGE": _key(
        "network", private_range(*_CLUSTER_RANGE, "the subnet of the gateway's address"), "",
        "The subnet that GKE_GATEWAY_ADDRESS lies in; NODE_RANGE if absent", DEPLOY, TERRAFORM,
    ),
    "POD_RANGE": _key(
        "network", private_range(*_CLUSTER_RANGE, "the cluster's pods"), "10.64.0.0/20",
        "The secondary range of the cluster's pods", DEPLOY, TERRAFORM,
    ),
    "SERVICE_RANGE": _key(
        "network", private_range(*_CLUSTER_RANGE, "the cluster's Services"), "10.72.0.0/20",
        "The secondary range of the cluster's Services", DEPLOY, TERRAFORM,
    ),
    "CONNECTOR_RANGE": _key(
        "network", private_range(28, 28, "the connector's subnet"), "",
        "The connector's subnet, a /28", DEPLOY, TERRAFORM,
    ),
    "PROXY_RANGE": _key(
        "network", private_range(9, 26, "the proxy-only subnet"), "",
        "The proxy-only subnet of the internal load balancer before lookup", DEPLOY, TERRAFORM,
    ),
    "FUNCTION_NAME": _key("function", cloud.FUNCTION, None, "The function", DEPLOY, TERRAFORM),
    "FUNCTION_SERVICE_ACCOUNT": _key(
        "function", cloud.SERVICE_ACCOUNT, None, "The account that it runs as", DEPLOY, TERRAFORM
    ),
    "BUILD_SERVICE_ACCOUNT": _key(
        "function", cloud.SERVICE_ACCOUNT, None, "The account that builds its image", DEPLOY, TERRAFORM
    ),
    "BIGQUERY_TABLE": _key("function", cloud.TABLE, None, "Where rows go", DEPLOY, FUNCTION, TERRAFORM),
    "BIGQUERY_WRITER": _key(
        "function", choice("insert-all", "storage-write"), "",
        "What writes rows; insert-all if absent", DEPLOY, FUNCTION,
    ),
    "STORAGE_WRITE_STREAM": _key(
        "function", choice("default", "committed", "cdc"), "",
        "The stream that takes them, with storage-write alone; default if absent", DEPLOY, FUNCTION,
    ),
    "PSEUDONYM_KEY_SECRET_ID": _key(
        "function", cloud.SECRET_VERSION, "",
        "The key of hmac_sha256() in pipeline.toml", DEPLOY, FUNCTION, TERRAFORM,
    ),
    "PSEUDONYM_KEY_FILE": _key(
        "function", cloud.MOUNT, "", "Mounts PSEUDONYM_KEY_SECRET_ID as this file", DEPLOY, FUNCTION
    ),
    "LOG_SUCCESS_SAMPLE": _key(
        "function", cloud.SUCCESS_SAMPLE, "",
        "One in so many success lines is logged; all if absent", DEPLOY, FUNCTION,
    ),
    "TABLE_RECREATED_HOLD_S": _key(
        "function", cloud.RECREATED_HOLD_S, "",
        "How old a recreated table must be before rows are written; 600 if absent", DEPLOY, FUNCTION,
    ),
    "FUNCTION_TRIGGER": _key(
        "delivery", choice("push", "eventarc"), "push",
        "Who makes the subscription: the deployment, or Eventarc", DEPLOY, TERRAFORM,
    ),
    "TRIGGER_SERVICE_ACCOUNT": _key(
        "delivery", cloud.SERVICE_ACCOUNT, None, "The account that delivers events", DEPLOY, TERRAFORM
    ),
    "TRIGGER_TOPIC": _key(
        "delivery", cloud.TOPIC, None, "Where events come from", DEPLOY, FUNCTION, TERRAFORM
    ),
    "SUBSCRIPTION_NAME": _key(
        "delivery", cloud.SUBSCRIPTION, "", "The push subscription; FUNCTION_NAME if absent", DEPLOY, TERRAFORM
    ),
    "DEAD_LETTER_TOPIC": _key(
        "delivery", cloud.FULL_TOPIC, None,
        "Events that the function itself found to be bad, with the reason", DEPLOY, FUNCTION, TERRAFORM,
    ),
    "UNDELIVERED_TOPIC": _key(
        "delivery", cloud.FULL_TOPIC, None, "Events that Pub/Sub gave up delivering", DEPLOY, TERRAFORM
    ),
    "SUBSCRIPTION_ACK_DEADLINE_S": _key(
        "delivery", cloud.ACK_DEADLINE_S, "90",
        "How long Pub/Sub waits for an answer; never below FUNCTION_TIMEOUT_S", DEPLOY, FUNCTION,
    ),
    "SUBSCRIPTION_MIN_RETRY_DELAY_S": _key(
        "delivery", whole(0, 600, "seconds", "Pub/Sub's"), "10", "The first wait before another attempt", DEPLOY
    ),
    "SUBSCRIPTION_MAX_RETRY_DELAY_S": _key(
        "delivery", whole(0, 600, "seconds", "Pub/Sub's"), "600", "The longest wait between attempts", DEPLOY
    ),
    # 100 attempts with the backoff at its 600 s ceiling last about 15 hours: an outage of the mesh that is
    # shorter than that sends no valid event to the undelivered topic.
    "SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS": _key(
        "delivery", whole(5, 100, "attempts", "Pub/Sub's"), "100",
        "Attempts before an event goes to UNDELIVERED_TOPIC", DEPLOY,
    ),
    # 1 vCPU because more than one event at a time needs a whole one; 512Mi because Google's clients and gRPC leave
    # little of the default 256M.
    "FUNCTION_MEMORY": _key("size", cloud.MEMORY, "512Mi", "Memory of one instance", DEPLOY),
    "FUNCTION_CPU": _key("size", cloud.CPU, "1", "vCPUs of one instance", DEPLOY),
    "FUNCTION_CONCURRENCY": _key(
        "size", whole(1, 1000, "events", "Cloud Run's"), "80", "Events at a time in one instance", DEPLOY
    ),
    "FUNCTION_MIN_INSTANCES": _key(
        "size", whole(0, 1000, "instances"), "0", "Instances that are always there", DEPLOY
    ),
    "FUNCTION_MAX_INSTANCES": _key(
        "size", whole(1, 1000, "instances"), "20",
        "Instances at most; with Direct VPC egress each takes two addresses of FUNCTION_EGRESS_RANGE",
        DEPLOY, TERRAFORM,
    ),
    "FUNCTION_TIMEOUT_S": _key(
        "size", cloud.FUNCTION_TIMEOUT_S, "60",
        "How long one event or request may take; at most 540 with Eventarc", DEPLOY, FUNCTION,
    ),
    "LOOKUP": _key(
        "lookup", cloud.LOOKUP, "",
        "The lookup of pipeline.toml that it serves; needed where several take one key", DEPLOY, FUNCTION,
    ),
    "LOOKUP_FUNCTION_NAME": _key(
        "lookup", cloud.FUNCTION, "", "Its name; FUNCTION_NAME with -lookup if absent", DEPLOY, TERRAFORM
    ),
    "LOOKUP_SERVICE_ACCOUNT": _key(
        "lookup", cloud.SERVICE_ACCOUNT, "",
        "An account of its own, which reaches neither the table nor a topic", DEPLOY, TERRAFORM,
    ),
    "LOOKUP_SUBJECT": _key(
        "lookup", cloud.UNIQUE_ID, "",
        "The unique id of that account; needed to deploy it with google-id-token", DEPLOY, MESH, returned=True,
    ),
    "LOOKUP_INVOKERS": _key(
        "lookup", cloud.MEMBERS, "", "Who may call it, separated by commas", DEPLOY, TERRAFORM
    ),
    "LOOKUP_INGRESS": _key(
        "lookup", choice("internal-only", "internal-and-gclb"), "internal-only",
        "`internal-and-gclb` to put an external load balancer in front of it", DEPLOY,
    ),
    "PULL_WORKER_NAME": _key(
        "worker", cloud.FUNCTION, "", "Its name; FUNCTION_NAME with -worker if absent", DEPLOY, TERRAFORM
    ),
    "PULL_WORKER_SERVICE_ACCOUNT": _key(
        "worker", cloud.SERVICE_ACCOUNT, "",
        "An account of its own; without it Terraform makes nothing for the worker", DEPLOY, TERRAFORM,
    ),
    "PULL_WORKER_SUBJECT": _key(
        "worker", cloud.UNIQUE_ID, "",
        "The unique id of that account, which the policies name with google-id-token", DEPLOY, MESH, returned=True,
    ),
    "PULL_WORKER_SUBSCRIPTION": _key(
        "worker", cloud.SUBSCRIPTION, "", "The subscription that it pulls from; PULL_WORKER_NAME if absent",
        DEPLOY, TERRAFORM,
    ),
    "PULL_WORKER_INSTANCES": _key(
        "worker", whole(1, 100, "instances"), "1",
        "Instances in Cloud Run; each takes two addresses of FUNCTION_EGRESS_RANGE", DEPLOY, TERRAFORM,
    ),
    "DATAFLOW_JOB": _key(
        "dataflow", cloud.FUNCTION, "", "The streaming job; FUNCTION_NAME with -dataflow if absent", DEPLOY, TERRAFORM
    ),
    "DATAFLOW_SERVICE_ACCOUNT": _key(
        "dataflow", cloud.SERVICE_ACCOUNT, "",
        "The account of the jobs' workers; without it Terraform makes nothing for Dataflow", DEPLOY, TERRAFORM,
    ),
    "DATAFLOW_SUBJECT": _key(
        "dataflow", cloud.UNIQUE_ID, "",
        "The unique id of that account, which the policies name with google-id-token", DEPLOY, MESH, returned=True,
    ),
    "DATAFLOW_SUBSCRIPTION": _key(
        "dataflow", cloud.SUBSCRIPTION, "", "The subscription of the streaming job; DATAFLOW_JOB if absent",
        DEPLOY, TERRAFORM,
    ),
    "DATAFLOW_BUCKET": _key(
        "dataflow", cloud.BUCKET, "",
        "The bucket of templates, of what jobs stage, and of journals; GOOGLE_CLOUD_PROJECT with -dataflow if absent",
        DEPLOY, TERRAFORM,
    ),
    "DATAFLOW_MAX_WORKERS": _key(
        "dataflow", whole(1, 1000, "workers"), "10",
        "Workers of a job at most; each takes an address of FUNCTION_EGRESS_RANGE", DEPLOY,
    ),
    "DATAFLOW_MACHINE_TYPE": _key(
        "dataflow", cloud.MACHINE_TYPE, "n2-standard-2", "The machine type of a worker", DEPLOY
    ),
}  # fmt: skip

RENAMED: Mapping[str, str] = {"IDENTITY": "MESH_AUTH"}
"""Keys of earlier versions, by the key that took their place."""

OWN_KEYS: Mapping[str, Type] = {
    "_SUBJECT": mesh.SUBJECT,
    "_EMAIL": mesh.EMAIL,
    "_ISSUER": mesh.ISSUER,
    "_AUDIENCE": mesh.AUDIENCE,
    "_SCOPE": mesh.SCOPE,
    "_HOST": mesh.HOST,
    "_ADDRESS": mesh.PRIVATE_ADDRESS,
    "_RANGE": private_range(20, 32, "what it stands for"),
    "_SERVICE_ACCOUNT": cloud.SERVICE_ACCOUNT,
}
"""Types of keys that a user adds, such as REPORTS_SUBJECT for a further caller, by the end of their names."""


def own_type(name: str) -> Type | None:
    """Return the type of a key that the table does not have; None for one that is any word."""
    return next((of for ending, of in OWN_KEYS.items() if name.endswith(ending)), None)
