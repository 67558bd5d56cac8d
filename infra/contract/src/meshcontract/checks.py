"""Rules of the contract: for single values, and between them. All problems are found at once."""

from __future__ import annotations

import difflib
import itertools
import re
from typing import TYPE_CHECKING

from meshcontract.env_file import parse
from meshcontract.errors import ContractError
from meshcontract.keys import KEYS, RENAMED
from meshcontract.ranges import private_range_problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

__all__ = ["PLACEHOLDER_PROJECT", "load", "placeholders", "problems"]

PLACEHOLDER_PROJECT = "example-project"
_MAX_FUNCTION_NAME = 63
_RANGES = {
    "FUNCTION_EGRESS_RANGE": (24, "the subnet that the function's traffic leaves from"),
    "NODE_RANGE": (9, "the subnet of the cluster's nodes"),
    "POD_RANGE": (9, "the secondary range of the cluster's pods"),
    "SERVICE_RANGE": (9, "the secondary range of the cluster's Services"),
    "CONNECTOR_RANGE": (28, "the subnet of the connector"),
    "PROXY_RANGE": (9, "the proxy-only subnet of the internal load balancer"),
}
"""By key: the shortest prefix that is taken, and what the range stands for."""


def load(path: Path, also: Collection[str] = ()) -> dict[str, str]:
    """Read and check a contract.

    Args:
        path: the ``KEY=VALUE`` file.
        also: optional keys that this deployment needs.

    Returns:
        Every key of ``KEYS``, defaults filled in; an optional key that is absent is the empty string.

    Raises:
        ContractError: the file is unreadable, or names all keys that are missing or wrong.
    """
    values, found = parse(path)
    found += problems(values, also)
    if found:
        listed = "\n".join(f"  {problem}" for problem in found)
        raise ContractError(f"{path} cannot be deployed from; correct these and run again:\n{listed}")
    return _with_defaults(values)


def problems(values: Mapping[str, str], also: Collection[str] = ()) -> list[str]:
    """Return all problems of the values that would make a deployment fail, one sentence each."""
    return [*_key_problems(values, also), *_pair_problems(_with_defaults(values))]


def placeholders(values: Mapping[str, str]) -> list[str]:
    """Return the keys whose value still names the placeholder project of the repository."""
    return [key for key in KEYS if PLACEHOLDER_PROJECT in values.get(key, "")]


def _with_defaults(values: Mapping[str, str]) -> dict[str, str]:
    filled = {name: values.get(name) or key.default or "" for name, key in KEYS.items()}
    filled["SUBSCRIPTION_NAME"] = filled["SUBSCRIPTION_NAME"] or filled["FUNCTION_NAME"]
    filled["LOOKUP_FUNCTION_NAME"] = filled["LOOKUP_FUNCTION_NAME"] or f"{filled['FUNCTION_NAME']}-lookup"
    return filled


def _key_problems(values: Mapping[str, str], also: Collection[str]) -> Iterator[str]:
    strangers = [key for key in values if key not in KEYS]
    for old, new in RENAMED.items():
        if old in values:
            yield f"{old} is now {new}; write {new}, which is {KEYS[new].form}"
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

    for name, (widest, expected) in _RANGES.items():
        if values[name] and (problem := private_range_problem(values[name], widest, expected)):
            yield f"{name}: {problem}"

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
