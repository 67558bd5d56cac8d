"""Every key of the contract: what its value may be, and its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEYS", "RENAMED", "Key"]


@dataclass(frozen=True)
class Key:
    """One key of the contract.

    Attributes:
        pattern: what the whole value must match.
        form: the same in words, for the error message.
        default: the value when the key is absent; None makes the key required, "" makes it optional.
    """

    pattern: str
    form: str
    default: str | None = None


_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
_REGION = r"[a-z]+(-[a-z]+)+\d+"
_ID = r"[A-Za-z0-9_-]{1,255}"
_TOPIC = r"[A-Za-z][A-Za-z0-9_.~+%-]{2,254}"
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_TEXT = Key(r".+", "a value that is not empty")
_ACCOUNT = Key(
    rf"[a-z0-9-]+@{_PROJECT}\.iam\.gserviceaccount\.com",
    "a service account made for this: NAME@PROJECT.iam.gserviceaccount.com",
)
_FULL_TOPIC = Key(rf"projects/{_PROJECT}/topics/{_TOPIC}", "projects/PROJECT/topics/TOPIC")
_NAME = Key(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", "lower-case letters, digits and hyphens", default="")
_SECRET_VERSION = Key(
    rf"projects/[^/]+/(locations/[a-z0-9-]+/)?secrets/{_ID}/versions/{_ID}",
    "projects/P/secrets/S/versions/V, or projects/P/locations/L/secrets/S/versions/V for a regional secret",
)
_UNIQUE_ID = Key(r"[0-9]{1,21}", "the unique id of a service account: its digits", default="")
_RANGE = Key(r".+", "a private range such as 10.8.0.0/26", default="")
_MOUNT = Key(
    r"(/[A-Za-z0-9_.-]*[A-Za-z0-9_-]){2,}", "an absolute path of a file in a folder of its own", default=""
)

_MEMBER = (
    r"((serviceAccount|group|user):[^\s,@]+@[^\s,@]+"
    r"|serviceAccount:[^\s,@]+\.svc\.id\.goog\[[^\s,\]]+\]"
    r"|principal(Set)?://iam\.googleapis\.com/[^\s,]+)"
)

KEYS: Mapping[str, Key] = {
    "GOOGLE_CLOUD_PROJECT": Key(_PROJECT, "a project id, such as acme-mesh-prod"),
    "REGION": Key(_REGION, "a region, such as europe-west1"),
    "FUNCTION_NAME": Key(_NAME.pattern, _NAME.form),
    "FUNCTION_SERVICE_ACCOUNT": _ACCOUNT,
    "TRIGGER_SERVICE_ACCOUNT": _ACCOUNT,
    "BUILD_SERVICE_ACCOUNT": _ACCOUNT,
    # push: a push subscription of the deployment's own; eventarc: the one that Eventarc makes for its trigger.
    "FUNCTION_TRIGGER": Key(r"push|eventarc", "push or eventarc", "push"),
    "SUBSCRIPTION_NAME": Key(_TOPIC, "the name of a subscription", default=""),
    "ARTIFACT_REPOSITORY": Key(_NAME.pattern, _NAME.form, "meshpass"),
    "TRIGGER_TOPIC": Key(
        rf"(projects/{_PROJECT}/topics/)?{_TOPIC}", "TOPIC or projects/PROJECT/topics/TOPIC"
    ),
    "DEAD_LETTER_TOPIC": _FULL_TOPIC,
    "UNDELIVERED_TOPIC": _FULL_TOPIC,
    "BIGQUERY_TABLE": Key(rf"{_PROJECT}\.\w+\.[\w-]+", "PROJECT.DATASET.TABLE"),
    "SIGNING_KEY_SECRET_ID": _SECRET_VERSION,
    "SIGNING_KEY_FILE": _MOUNT,
    # For hmac_sha256() in pipeline.toml, so only for the entry point that writes rows.
    "PSEUDONYM_KEY_SECRET_ID": Key(_SECRET_VERSION.pattern, _SECRET_VERSION.form, default=""),
    "PSEUDONYM_KEY_FILE": _MOUNT,
    "GKE_GATEWAY_URL": Key(
        rf"https://{_HOST}(:\d+)?", "https://ADDRESS or https://ADDRESS:PORT, without a path"
    ),
    "GKE_GATEWAY_HOST": Key(_HOST, "a host name"),
    "GKE_GATEWAY_CA_SECRET": Key(
        rf"(projects/[^/]+/secrets/)?{_ID}((:|/versions/)(latest|[1-9]\d*))?",
        "SECRET, SECRET:VERSION or projects/P/secrets/S/versions/V with a number or 'latest' as the version",
        default="",
    ),
    "GKE_GATEWAY_CA_FILE": _MOUNT,
    "JWT_ISSUER": _TEXT,
    "JWT_SUBJECT": Key(_TEXT.pattern, _TEXT.form, default=""),
    "JWT_AUDIENCE": _TEXT,
    "JWT_SCOPE": _TEXT,
    "MESH_AUTH": Key(r"signed-jwt|google-id-token", "signed-jwt or google-id-token", "signed-jwt"),
    # The unique id of a service account, which Google's tokens have as their subject.
    "FUNCTION_SUBJECT": _UNIQUE_ID,
    "LOOKUP_SUBJECT": _UNIQUE_ID,
    "LOG_SUCCESS_SAMPLE": Key(r"[1-9]\d{0,6}", "a whole number", default=""),
    "TABLE_RECREATED_HOLD_S": Key(r"\d{1,4}", "whole seconds", default=""),
    "FUNCTION_EGRESS": Key(r"direct|connector", "direct or connector"),
    # For the mesh. The deployment does not use it, but a range that is too wide would open the gateway.
    "FUNCTION_EGRESS_RANGE": Key(_TEXT.pattern, _TEXT.form, default=""),
    "VPC_NETWORK": Key(
        rf"(projects/{_PROJECT}/global/networks/)?{_NAME.pattern}",
        "NETWORK, or projects/PROJECT/global/networks/NETWORK of a Shared VPC",
        default="",
    ),
    "VPC_SUBNET": Key(
        rf"(projects/{_PROJECT}/regions/{_REGION}/subnetworks/)?{_NAME.pattern}",
        "SUBNET, or projects/PROJECT/regions/REGION/subnetworks/SUBNET of a Shared VPC",
        default="",
    ),
    "VPC_CONNECTOR": Key(
        rf"(projects/{_PROJECT}/locations/[a-z0-9-]+/connectors/)?{_NAME.pattern}", "a connector", ""
    ),
    # The cluster and its ranges. The deployment does not use them.
    "CLUSTER_NAME": Key(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", "a name of lower-case letters", "meshpass"),
    "NODE_RANGE": Key(_RANGE.pattern, _RANGE.form, "10.128.0.0/20"),
    "POD_RANGE": Key(_RANGE.pattern, _RANGE.form, "10.64.0.0/20"),
    "SERVICE_RANGE": Key(_RANGE.pattern, _RANGE.form, "10.72.0.0/20"),
    "CONNECTOR_RANGE": _RANGE,
    "PROXY_RANGE": _RANGE,
    # For the second entry point. Only its deployment needs the account.
    "LOOKUP": Key(r"[a-z_][a-z0-9_]{0,62}", "the name of a lookup in pipeline.toml, such as profile", ""),
    "LOOKUP_FUNCTION_NAME": _NAME,
    "LOOKUP_SERVICE_ACCOUNT": Key(_ACCOUNT.pattern, _ACCOUNT.form, default=""),
    # The pattern excludes allUsers and allAuthenticatedUsers, because they have no colon.
    "LOOKUP_INVOKERS": Key(
        rf"{_MEMBER}(,{_MEMBER})*",
        "members separated by commas, each serviceAccount:NAME, group:NAME, user:NAME, principal://... or "
        "principalSet://... (never allUsers or allAuthenticatedUsers)",
        default="",
    ),
    "LOOKUP_INGRESS": Key(
        r"internal-only|internal-and-gclb", "internal-only or internal-and-gclb", "internal-only"
    ),
    # Sizes, the same for both entry points. 1 vCPU because more than one event at a time needs a whole one; 512Mi
    # because Google's clients and gRPC leave little of the default 256M.
    "FUNCTION_MEMORY": Key(r"\d+(k|M|G|Ki|Mi|Gi)", "an amount such as 512Mi", "512Mi"),
    "FUNCTION_CPU": Key(r"\d*\.?\d+", "a number of vCPUs such as 1 or .5", "1"),
    "FUNCTION_CONCURRENCY": Key(r"[1-9]\d{0,3}", "a number of events, 1 to 1000", "80"),
    "FUNCTION_MIN_INSTANCES": Key(r"\d+", "a number of instances", "0"),
    "FUNCTION_MAX_INSTANCES": Key(r"[1-9]\d*", "a number of instances", "20"),
    "FUNCTION_TIMEOUT_S": Key(r"[1-9]\d*", "whole seconds", "60"),
    # 100 attempts with the backoff at its 600 s ceiling last about 15 hours: an outage of the mesh that is
    # shorter than that sends no valid event to the undelivered topic.
    "SUBSCRIPTION_ACK_DEADLINE_S": Key(r"[1-9]\d*", "whole seconds", "90"),
    "SUBSCRIPTION_MIN_RETRY_DELAY_S": Key(r"\d+", "whole seconds", "10"),
    "SUBSCRIPTION_MAX_RETRY_DELAY_S": Key(r"\d+", "whole seconds", "600"),
    "SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS": Key(r"[1-9]\d*", "a number of attempts", "100"),
}

RENAMED: Mapping[str, str] = {"IDENTITY": "MESH_AUTH"}
"""Keys of earlier versions, by the key that took their place."""
