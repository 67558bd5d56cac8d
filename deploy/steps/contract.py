"""Reading and checking of ``infra/contract.env``; all problems are reported together, with the key's name.

The file is plain ``KEY=VALUE``. It also holds keys of other components, which are ignored. A key that looks like a
misspelling of a missing key is reported.
"""

from __future__ import annotations

import difflib
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import ROOT, RefusalError, relative
from .ranges import range_problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

DEFAULT_PATH = ROOT / "infra" / "contract.env"
PLACEHOLDER_PROJECT = "example-project"


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


_MAX_FUNCTION_NAME = 63
_WIDEST_EGRESS_RANGE = 24
_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
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
    "REGION": Key(r"[a-z]+(-[a-z]+)+\d+", "a region, such as europe-west1"),
    "FUNCTION_NAME": Key(_NAME.pattern, _NAME.form),
    "FUNCTION_SERVICE_ACCOUNT": _ACCOUNT,
    "TRIGGER_SERVICE_ACCOUNT": _ACCOUNT,
    "BUILD_SERVICE_ACCOUNT": _ACCOUNT,
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
    "IDENTITY": Key(r"signed-jwt|google", "signed-jwt or google", "signed-jwt"),
    "LOG_SUCCESS_SAMPLE": Key(r"[1-9]\d{0,6}", "a whole number", default=""),
    "TABLE_RECREATED_HOLD_S": Key(r"\d{1,4}", "whole seconds", default=""),
    "FUNCTION_EGRESS": Key(r"direct|connector", "direct or connector"),
    # For the mesh. The deployment does not use it, but a range that is too wide would open the gateway.
    "FUNCTION_EGRESS_RANGE": Key(_TEXT.pattern, _TEXT.form, default=""),
    "VPC_NETWORK": _NAME,
    "VPC_SUBNET": _NAME,
    "VPC_CONNECTOR": Key(
        rf"(projects/{_PROJECT}/locations/[a-z0-9-]+/connectors/)?{_NAME.pattern}", "a connector", ""
    ),
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


def load(path: Path, also: Collection[str] = ()) -> dict[str, str]:
    """Read and check a contract.

    Args:
        path: the ``KEY=VALUE`` file.
        also: optional keys that this deployment needs.

    Returns:
        Every key of ``KEYS``, defaults filled in; an optional key that is absent is the empty string.

    Raises:
        RefusalError: the file is unreadable, or names all keys that are missing or wrong.
    """
    values, found = parse(path)
    found += problems(values, also)
    if found:
        listed = "\n".join(f"  {problem}" for problem in found)
        raise RefusalError(
            f"{relative(path)} cannot be deployed from; correct these and run again:\n{listed}"
        )
    return _with_defaults(values)


def parse(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the file's keys and values as written, and what is wrong with its lines.

    Quotes are refused because kustomize would keep them as part of the value where a shell drops them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError(f"cannot read the contract {relative(path)}: {error}") from error
    values: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            wrong.append(f"line {number}: is not KEY=VALUE")
        elif key in values:
            wrong.append(f"line {number}: {key} is written a second time")
        elif value != value.strip() or value[:1] in {"'", '"'}:
            wrong.append(f"line {number}: {key} has quotes or spaces around its value; write the value bare")
        else:
            values[key] = value
    return values, wrong


def problems(values: Mapping[str, str], also: Collection[str] = ()) -> list[str]:
    """Return all problems of the values that would make a deployment fail, one sentence each."""
    return [*_key_problems(values, also), *_pair_problems(_with_defaults(values))]


def placeholders(values: Mapping[str, str]) -> list[str]:
    """Return the keys whose value still names the placeholder project of the repository."""
    return [key for key in KEYS if PLACEHOLDER_PROJECT in values.get(key, "")]


def _with_defaults(values: Mapping[str, str]) -> dict[str, str]:
    filled = {name: values.get(name) or key.default or "" for name, key in KEYS.items()}
    filled["LOOKUP_FUNCTION_NAME"] = filled["LOOKUP_FUNCTION_NAME"] or f"{filled['FUNCTION_NAME']}-lookup"
    return filled


def _key_problems(values: Mapping[str, str], also: Collection[str]) -> Iterator[str]:
    strangers = [key for key in values if key not in KEYS]
    for name, key in KEYS.items():
        value = values.get(name, "")
        if value and not re.fullmatch(key.pattern, value):
            yield f"{name} must be {key.form}; it is {value!r}"
        elif not value:
            alike = difflib.get_close_matches(name, strangers, n=1, cutoff=0.85)
            if alike:
                yield f"{alike[0]} is not known; did you mean {name}?"
            elif key.default is None or name in also:
                yield f"{name} is missing; it must be {key.form}"


def _pair_problems(values: Mapping[str, str]) -> Iterator[str]:
    egress = values["FUNCTION_EGRESS"]
    wanted = {"direct": ["VPC_NETWORK", "VPC_SUBNET"], "connector": ["VPC_CONNECTOR"]}.get(egress, [])
    for name in wanted:
        if not values[name]:
            yield f"{name} is missing; FUNCTION_EGRESS={egress} needs it"

    if reach := values["FUNCTION_EGRESS_RANGE"]:
        expected = "the subnet that the function's traffic leaves from"
        if problem := range_problem(reach, _WIDEST_EGRESS_RANGE, expected):
            yield f"FUNCTION_EGRESS_RANGE: {problem}"

    if bool(values["GKE_GATEWAY_CA_SECRET"]) != bool(values["GKE_GATEWAY_CA_FILE"]):
        yield "GKE_GATEWAY_CA_SECRET and GKE_GATEWAY_CA_FILE go together: a secret and the file it becomes"
    yield from _mount_problems(values)

    if values["FUNCTION_NAME"] == values["LOOKUP_FUNCTION_NAME"]:
        yield "LOOKUP_FUNCTION_NAME must not be FUNCTION_NAME: each would be deployed over the other"
    if len(values["LOOKUP_FUNCTION_NAME"]) > _MAX_FUNCTION_NAME:
        yield f"LOOKUP_FUNCTION_NAME must have at most {_MAX_FUNCTION_NAME} characters; FUNCTION_NAME-lookup has more"

    project, trigger = values["GOOGLE_CLOUD_PROJECT"], values["TRIGGER_TOPIC"]
    if trigger.startswith("projects/") and not trigger.startswith(f"projects/{project}/"):
        yield f"TRIGGER_TOPIC must lie in GOOGLE_CLOUD_PROJECT ({project}): gcloud takes its topic from there"
    topics = {
        "TRIGGER_TOPIC": trigger
        if trigger.startswith("projects/")
        else f"projects/{project}/topics/{trigger}",
        "DEAD_LETTER_TOPIC": values["DEAD_LETTER_TOPIC"],
        "UNDELIVERED_TOPIC": values["UNDELIVERED_TOPIC"],
    }
    if all(topics.values()) and len(set(topics.values())) < len(topics):
        yield f"{', '.join(topics)} must be three topics: an event would come back to where it failed"

    yield from _number_problems(values)


def _mount_problems(values: Mapping[str, str]) -> Iterator[str]:
    for key in ("SIGNING_KEY", "PSEUDONYM_KEY"):
        secret = values[f"{key}_SECRET_ID"]
        if values[f"{key}_FILE"] and not re.search(r"/versions/(latest|\d+)$", secret):
            yield f"{key}_SECRET_ID must end in a version number or 'latest' when {key}_FILE mounts it"
        # A mount names a project and a secret, and no location (SecretVolume of the Cloud Functions API).
        if values[f"{key}_FILE"] and "/locations/" in secret:
            yield f"{key}_SECRET_ID is a regional secret, which cannot be mounted: leave {key}_FILE out"
    mounts = ("PSEUDONYM_KEY_FILE", "SIGNING_KEY_FILE", "GKE_GATEWAY_CA_FILE")
    for one, other in itertools.combinations([name for name in mounts if values[name]], 2):
        if values[one].rpartition("/")[0] == values[other].rpartition("/")[0]:
            yield f"{one} and {other} must lie in folders of their own: a mount holds one secret"


def _number_problems(values: Mapping[str, str]) -> Iterator[str]:
    limits = {
        "FUNCTION_TIMEOUT_S": (1, 540, "an event function's limit"),
        "FUNCTION_CONCURRENCY": (1, 1000, "Cloud Run's limit"),
        "SUBSCRIPTION_ACK_DEADLINE_S": (10, 600, "Pub/Sub's limits"),
        "SUBSCRIPTION_MIN_RETRY_DELAY_S": (0, 600, "Pub/Sub's limits"),
        "SUBSCRIPTION_MAX_RETRY_DELAY_S": (0, 600, "Pub/Sub's limits"),
        "SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS": (5, 100, "Pub/Sub's limits"),
    }
    numbers = {name: int(values[name]) for name in limits if values[name].isdecimal()}
    for name, number in numbers.items():
        low, high, whose = limits[name]
        if not low <= number <= high:
            yield f"{name} must be {low} to {high} ({whose}); it is {number}"

    def exceeds(more: str, less: str) -> bool:
        return more in numbers and less in numbers and numbers[more] > numbers[less]

    if exceeds("FUNCTION_TIMEOUT_S", "SUBSCRIPTION_ACK_DEADLINE_S"):
        yield "SUBSCRIPTION_ACK_DEADLINE_S must not be below FUNCTION_TIMEOUT_S: events would come twice"
    if exceeds("SUBSCRIPTION_MIN_RETRY_DELAY_S", "SUBSCRIPTION_MAX_RETRY_DELAY_S"):
        yield "SUBSCRIPTION_MIN_RETRY_DELAY_S must not be above SUBSCRIPTION_MAX_RETRY_DELAY_S"
    if re.fullmatch(r"0*\.\d+", values["FUNCTION_CPU"]) and values["FUNCTION_CONCURRENCY"] != "1":
        yield "FUNCTION_CPU must be 1 or more when FUNCTION_CONCURRENCY is above 1 (Cloud Run's rule)"
