"""Types of names in Google Cloud, each with the source of its rule."""

from __future__ import annotations

from meshcontract.value_types import (
    ACK_DEADLINE_S,
    FULL_TOPIC,
    FUNCTION_TIMEOUT_S,
    PROJECT_ID,
    PROJECT_OR_NUMBER,
    PUBSUB_NAME,
    PUBSUB_RESERVED,
    RECREATED_HOLD_S,
    SUCCESS_SAMPLE,
    TABLE,
    Type,
    choice,
    joined,
    list_of,
)

__all__ = [
    "ACK_DEADLINE_S",
    "BUCKET",
    "CA_SECRET",
    "CLUSTER",
    "CONNECTOR",
    "CPU",
    "FULL_TOPIC",
    "FUNCTION",
    "FUNCTION_TIMEOUT_S",
    "GOOGLE_APIS",
    "LOOKUP",
    "MACHINE_TYPE",
    "MEMBERS",
    "MEMORY",
    "MOUNT",
    "NETWORK",
    "PROJECT",
    "RECREATED_HOLD_S",
    "REGION",
    "REPOSITORY",
    "SECRET_VERSION",
    "SERVICE_ACCOUNT",
    "SUBNET",
    "SUBSCRIPTION",
    "SUCCESS_SAMPLE",
    "TABLE",
    "TOPIC",
    "UNIQUE_ID",
]

_REGION = "[a-z]+(?:-[a-z]+)+[0-9]{1,2}"
_NAME = "[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ID = "[A-Za-z0-9_-]{1,255}"
_EMAIL = "[A-Za-z0-9][A-Za-z0-9._%+-]*@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:[.][a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"

PROJECT = Type("a project id", "a project id, such as acme-mesh-prod", PROJECT_ID)
REGION = Type("a region", "a region, such as europe-west1", _REGION)

# https://cloud.google.com/iam/docs/service-accounts-create
SERVICE_ACCOUNT = Type(
    "a service account made for this",
    "NAME@PROJECT.iam.gserviceaccount.com; a default account has more rights than this one needs",
    f"[a-z][a-z0-9-]{{4,28}}[a-z0-9]@{PROJECT_ID}[.]iam[.]gserviceaccount[.]com",
)
UNIQUE_ID = Type(
    "the unique id of a service account",
    "the digits that `gcloud iam service-accounts describe ACCOUNT --format='value(uniqueId)'` prints",
    "[1-9][0-9]{0,20}",
)

FUNCTION = Type(
    "the name of a function", "1 to 63 lower-case letters, digits and hyphens, with a letter first", _NAME
)
CLUSTER = Type(
    "the name of a GKE cluster",
    "1 to 40 lower-case letters, digits and hyphens, with a letter first",
    "[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?",
)
REPOSITORY = Type(
    "the name of a repository", "1 to 63 lower-case letters, digits and hyphens, with a letter first", _NAME
)
NETWORK = Type(
    "a VPC network",
    "NETWORK, or projects/HOST/global/networks/NETWORK of a Shared VPC",
    f"(?:projects/{PROJECT_ID}/global/networks/)?{_NAME}",
)
SUBNET = Type(
    "a subnet",
    "SUBNET, or projects/HOST/regions/REGION/subnetworks/SUBNET of a Shared VPC",
    f"(?:projects/{PROJECT_ID}/regions/{_REGION}/subnetworks/)?{_NAME}",
)
# "less than 21 characters", and "hyphens (-) count as two characters":
# https://docs.cloud.google.com/vpc/docs/configure-serverless-vpc-access
_MOST_OF_CONNECTOR = 20


def _connector_problem(value: str) -> str:
    counted = len(value.rpartition("/")[2].replace("-", "--"))
    if counted <= _MOST_OF_CONNECTOR:
        return ""
    return f"its name counts {counted} characters, a hyphen as two, and {_MOST_OF_CONNECTOR} are the most"


CONNECTOR = Type(
    "a connector",
    "CONNECTOR of at most 20 characters (a hyphen counts two), or projects/HOST/locations/REGION/connectors/CONNECTOR "
    "of a Shared VPC",
    f"(?:projects/{PROJECT_ID}/locations/{_REGION}/connectors/)?[a-z](?:[a-z0-9-]{{0,18}}[a-z0-9])?",
    check=_connector_problem,
    conditions=('length(replace(reverse(split("/", VALUE))[0], "-", "--")) <= 20',),
)
GOOGLE_APIS = choice("private.googleapis.com", "restricted.googleapis.com")

TOPIC = Type(
    "a topic",
    "TOPIC or projects/PROJECT/topics/TOPIC",
    f"(?:projects/{PROJECT_ID}/topics/)?{PUBSUB_NAME}",
    hidden=PUBSUB_RESERVED,
)
SUBSCRIPTION = Type(
    "the name of a subscription",
    "3 to 255 letters, digits, `-`, `_`, `.`, `+` and `%`, with a letter first",
    PUBSUB_NAME,
    hidden=(("goog", "names that begin with goog are Google's own"),),
)
# A secret may lie in another project, which may be one with a domain in its id.
_SECRETS_PROJECT = f"(?:(?:[a-z0-9.-]+:)?{PROJECT_OR_NUMBER})"
# https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions; an alias is a version.
SECRET_VERSION = Type(
    "the full name of a secret's version",
    "projects/P/secrets/S/versions/V, or projects/P/locations/L/secrets/S/versions/V for a regional secret",
    f"projects/{_SECRETS_PROJECT}/(?:locations/[a-z0-9-]+/)?secrets/{_ID}/versions/{_ID}",
    hidden=(
        (
            "projects/[^/]+/locations/secrets/",
            "it names no location",
        ),
    ),
)
CA_SECRET = Type(
    "a secret",
    "SECRET, SECRET:VERSION or projects/P/secrets/S/versions/V, with a number or 'latest' as the version",
    f"(?:projects/{_SECRETS_PROJECT}/secrets/)?{_ID}(?:(?::|/versions/)(?:latest|[1-9][0-9]*))?",
)

# A mount takes the place of its whole folder, so no folder is taken that the image or the platform fills. The API
# restricts some of them itself: https://docs.cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions#SecretVolume
_FILLED = {
    "/(?:etc|var|opt|srv|mnt|media|home|root)?/?[^/]*$": "the mount would hide all of that folder",
    "/etc/(?:ssl|ca-certificates|pki)(?:/|$)": "the mount would hide the system's certificates",
    "/etc/(?:alternatives|apt|cron[.a-z]*|default|dpkg|init[.]d|ld[.]so[.]conf[.]d|pam[.]d|profile[.]d|python[0-9.]*"
    "|rc[0-9S][.]d|security|skel|systemd|terminfo)(?:/|$)": "the mount would hide settings of the system",
    "/workspace(?:/|$)": "the mount would hide the function's own code",
    "/(?:layers|cnb)(?:/|$)": "the mount would hide Python and its packages",
    "/(?:bin|sbin|lib[0-9a-z]*|usr|boot)(?:/|$)": "the mount would hide programs and libraries of the system",
    "/(?:proc|sys|dev|run|pod|cloudsql)(?:/|$)": "the platform keeps its own files there",
    "/(?:tmp|var/tmp)(?:/|$)": "programs write their files there",
    "/(?:var/(?:cache|lib|log|run|spool|lock)|home/[^/]+|opt/python[0-9.]*)(?:/|$)": "it would hide the system's files",
}
MOUNT = Type(
    "an absolute path of a file in a folder of its own",
    "the path of a file in a new folder, such as /etc/meshpass/gateway-ca.pem",
    "/(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)+[A-Za-z0-9_-](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?",
    hidden=tuple(_FILLED.items()),
)

# The pool of GKE's workloads is PROJECT.svc.id.goog.
# https://docs.cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#principal-id-examples
_POOL = (
    f"iam[.]googleapis[.]com/projects/[0-9]+/locations/global/workloadIdentityPools/"
    f"(?:[a-z0-9-]+|{PROJECT_ID}[.]svc[.]id[.]goog)"
)
_PATH = "[A-Za-z0-9_.:@%+=/-]+"
MEMBER = joined(
    Type("", "", f"(?:serviceAccount|group|user):{_EMAIL}"),
    Type("", "", rf"serviceAccount:{PROJECT_ID}[.]svc[.]id[.]goog\[[a-z0-9-]+/[a-z0-9.-]+\]"),
    Type("", "", f"principal://{_POOL}/subject/{_PATH}"),
    Type("", "", f"principalSet://{_POOL}/(?:group|namespace|attribute[.][a-z0-9_]+)/{_PATH}"),
    noun="a member of IAM that is someone",
    form="serviceAccount:EMAIL, group:EMAIL, user:EMAIL, principal://... or principalSet://...",
)
MEMBERS = list_of(
    MEMBER,
    "members of IAM",
    "members separated by commas, each serviceAccount:EMAIL, group:EMAIL, user:EMAIL, principal://... or "
    "principalSet://... (never allUsers, allAuthenticatedUsers or a whole pool)",
)

# Fractions in steps of 0.001, and whole numbers that Cloud Run offers.
# https://docs.cloud.google.com/run/docs/configuring/services/cpu
CPU = Type(
    "a number of vCPUs that Cloud Run has",
    "1, 2, 4, 6 or 8, or a fraction from 0.08 to 0.999",
    "[12468]|0?[.](?:0[89][0-9]?|[1-9][0-9]{0,2})",
)
MEMORY = Type(
    "an amount of memory", "a number with M, G, Mi or Gi, such as 512Mi", "[1-9][0-9]{0,5}(?:M|G|Mi|Gi)"
)

LOOKUP = Type(
    "the name of a lookup", "the name of a lookup in pipeline.toml, such as profile", "[a-z_][a-z0-9_]{0,62}"
)

# https://cloud.google.com/storage/docs/buckets#naming, without dots and underscores: a name with a dot is a domain that
# must be verified, and an underscore is no part of a host name.
BUCKET = Type(
    "the name of a bucket",
    "3 to 63 lower-case letters, digits and hyphens, with a letter or digit first and last",
    "[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    hidden=(
        ("goog", "names that begin with goog are Google's own"),
        (".*google", "a name must not hold the word google"),
    ),
)
# https://cloud.google.com/compute/docs/machine-resource: SERIES-KIND-VCPUS. Machines with a shared core are too small.
MACHINE_TYPE = Type(
    "a machine type", "SERIES-KIND-VCPUS, such as n2-standard-2", "[a-z][0-9][a-z]?-[a-z]+-[1-9][0-9]{0,2}"
)
