"""Rules between values of the contract. Each takes values of the right types, with the defaults filled in.

A rule yields the keys that it is about, the first of which is named in the message, and what is wrong.
"""

from __future__ import annotations

import itertools
import re
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    Values = Mapping[str, str]
    Found = Iterator[tuple[tuple[str, ...], str]]

__all__ = ["RULES", "addresses_needed", "needed"]

_FROM_A_SIGNED_TOKEN = ("JWT_ISSUER", "JWT_SUBJECT", "JWT_SCOPE", "SIGNING_KEY_SECRET_ID")
_RANGES = (
    "NODE_RANGE",
    "LOAD_BALANCER_RANGE",
    "POD_RANGE",
    "SERVICE_RANGE",
    "CONNECTOR_RANGE",
    "PROXY_RANGE",
)

# Network, default gateway, second-to-last and broadcast address of a subnet.
# https://docs.cloud.google.com/vpc/docs/subnets#unusable-ip-addresses-in-every-subnet
_RESERVED_ADDRESSES = 4
# "Cloud Run uses 2X the number of IP addresses as the number of instances", in steady state.
# https://docs.cloud.google.com/run/docs/configuring/vpc-direct-vpc#direct-vpc-ip-allocation
_ADDRESSES_AN_INSTANCE = 2
# "The subnet must be /26 or larger": the same page.
_NARROWEST_DIRECT = 26
# What launches a job from a flex template is one more machine.
# https://cloud.google.com/dataflow/docs/guides/templates/using-flex-templates
_DATAFLOW_LAUNCHER = 1
# Cloud Run's longest push request, and the limit of a function with an event trigger.
# https://docs.cloud.google.com/functions/quotas#time_limits
_MOST_EVENTARC_S = 540
_MIB = {"M": 10**6 / 2**20, "G": 10**9 / 2**20, "Mi": 1, "Gi": 1024}
# https://docs.cloud.google.com/run/docs/configuring/services/cpu: vCPUs to the least and most MiB.
_MEMORY_OF_CPU = {
    "1": (128, 4096),
    "2": (128, 8192),
    "4": (2048, 16384),
    "6": (4096, 24576),
    "8": (4096, 32768),
}


def needed(values: Values, also: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the keys that other values make necessary, each with why."""
    for name in also:
        yield name, "this deployment needs it"
    if values["MESH_AUTH"] == "google-id-token":
        yield (
            "FUNCTION_SUBJECT",
            "MESH_AUTH=google-id-token needs it, because the policies name the account by it",
        )
        if "LOOKUP_SERVICE_ACCOUNT" in also:
            yield (
                "LOOKUP_SUBJECT",
                "MESH_AUTH=google-id-token needs it, because the policies name the account by it",
            )
    else:
        for name in _FROM_A_SIGNED_TOKEN:
            yield name, "MESH_AUTH=signed-jwt needs it"
    for account in ("PULL_WORKER_SERVICE_ACCOUNT", "DATAFLOW_SERVICE_ACCOUNT"):
        if account in also and values["MESH_AUTH"] == "google-id-token":
            yield (
                account.replace("_SERVICE_ACCOUNT", "_SUBJECT"),
                "MESH_AUTH=google-id-token needs it, because the policies name the account by it",
            )
    by_egress = {"direct": ("VPC_NETWORK", "VPC_SUBNET"), "connector": ("VPC_CONNECTOR",)}
    for name in by_egress.get(values["FUNCTION_EGRESS"], ()):
        yield name, f"FUNCTION_EGRESS={values['FUNCTION_EGRESS']} needs it"
    for one, other in (
        ("GKE_GATEWAY_CA_SECRET", "GKE_GATEWAY_CA_FILE"),
        ("GKE_GATEWAY_CA_FILE", "GKE_GATEWAY_CA_SECRET"),
        ("SIGNING_KEY_FILE", "SIGNING_KEY_SECRET_ID"),
        ("PSEUDONYM_KEY_FILE", "PSEUDONYM_KEY_SECRET_ID"),
    ):
        if values[one]:
            yield other, f"{one} needs it: a secret and the file that it becomes go together"


def _gateway(values: Values) -> Found:
    scheme, _, rest = values["GKE_GATEWAY_URL"].partition("://")
    host = rest.partition(":")[0]
    is_address = re.fullmatch(r"[0-9.]+", host) is not None
    tls = values["GKE_GATEWAY_TLS"]
    keys = ("GKE_GATEWAY_URL", "GKE_GATEWAY_TLS")
    if scheme == "http" and tls == "on":
        yield (
            keys,
            (
                "is http://, so tokens would cross the network readable. Write https://, or GKE_GATEWAY_TLS=off "
                "for the overlay without TLS."
            ),
        )
    if scheme == "https" and tls == "off":
        yield keys, "is https://, and GKE_GATEWAY_TLS=off says that the gateway has no TLS. Change either."
    if scheme == "http" and tls == "off" and not is_address:
        yield (
            keys,
            f"is http:// to the name {host}, which may lead anywhere. Write the gateway's private address.",
        )
    if tls == "off" and values["GKE_GATEWAY_CA_FILE"]:
        yield (
            ("GKE_GATEWAY_CA_FILE", "GKE_GATEWAY_TLS"),
            "has no use with GKE_GATEWAY_TLS=off. Leave it and GKE_GATEWAY_CA_SECRET out.",
        )
    address = values["GKE_GATEWAY_ADDRESS"]
    if is_address and address and host != address:
        yield (
            ("GKE_GATEWAY_URL", "GKE_GATEWAY_ADDRESS"),
            f"leads to {host}, and GKE_GATEWAY_ADDRESS is {address}. Write the same address in both.",
        )
    if is_address and not address:
        from meshcontract.ranges import private_address_problem

        if why := private_address_problem(host):
            yield ("GKE_GATEWAY_URL",), f"leads to {host}: {why}. Write the gateway's private address."


def _gateway_subnet(values: Values) -> Found:
    address = values["GKE_GATEWAY_ADDRESS"]
    key = "LOAD_BALANCER_RANGE" if values["LOAD_BALANCER_RANGE"] else "NODE_RANGE"
    if not address or not values[key]:
        return
    subnet = IPv4Network(values[key])
    keys = ("GKE_GATEWAY_ADDRESS", key)
    if IPv4Address(address) not in subnet:
        yield (
            keys,
            (
                f"{address} is not in {key}, {subnet}. Write an address of that subnet, or the subnet of the address "
                "as LOAD_BALANCER_RANGE."
            ),
        )
    elif IPv4Address(address) in (subnet[0], subnet[1], subnet[-2], subnet[-1]):
        yield (
            keys,
            f"{address} is one of the four that Google keeps of every subnet. Write another one of {subnet}.",
        )


def _overlaps(values: Values) -> Found:
    named = {name: IPv4Network(values[name]) for name in (*_RANGES, "FUNCTION_EGRESS_RANGE") if values[name]}
    for (one, first), (other, second) in itertools.combinations(named.items(), 2):
        if {one, other} == {"CONNECTOR_RANGE", "FUNCTION_EGRESS_RANGE"} and values[
            "FUNCTION_EGRESS"
        ] == "connector":
            continue
        if {one, other} == {"NODE_RANGE", "LOAD_BALANCER_RANGE"} and first == second:
            continue
        if first.overlaps(second):
            yield (other, one), f"{second} overlaps {one}, {first}. Give each subnet a range of its own."


def _connector_range(values: Values) -> Found:
    reach, connector = values["FUNCTION_EGRESS_RANGE"], values["CONNECTOR_RANGE"]
    if values["FUNCTION_EGRESS"] == "connector" and reach and connector and reach != connector:
        yield (
            ("FUNCTION_EGRESS_RANGE", "CONNECTOR_RANGE", "FUNCTION_EGRESS"),
            f"{reach} is not CONNECTOR_RANGE, {connector}, where a connector's traffic comes from. Write the same.",
        )


def addresses_needed(values: Values) -> int:
    """Return how many addresses instances and workers take at most, with Direct VPC egress."""
    functions = _functions(values) * int(values["FUNCTION_MAX_INSTANCES"]) * _ADDRESSES_AN_INSTANCE
    return functions + sum(_workers_addresses(values))


def _workers_addresses(values: Values) -> tuple[int, int]:
    """Return how many addresses the pull worker and Dataflow take."""
    pulling, dataflow = values["PULL_WORKER_SERVICE_ACCOUNT"], values["DATAFLOW_SERVICE_ACCOUNT"]
    return (
        int(values["PULL_WORKER_INSTANCES"]) * _ADDRESSES_AN_INSTANCE if pulling else 0,
        int(values["DATAFLOW_MAX_WORKERS"]) + _DATAFLOW_LAUNCHER if dataflow else 0,
    )


def _functions(values: Values) -> int:
    return 2 if values["LOOKUP_SERVICE_ACCOUNT"] else 1


def _egress_addresses(values: Values) -> Found:
    reach = values["FUNCTION_EGRESS_RANGE"]
    if values["FUNCTION_EGRESS"] != "direct" or not reach:
        return
    keys = (
        "FUNCTION_EGRESS_RANGE",
        "FUNCTION_EGRESS",
        "FUNCTION_MAX_INSTANCES",
        "LOOKUP_SERVICE_ACCOUNT",
        "PULL_WORKER_SERVICE_ACCOUNT",
        "PULL_WORKER_INSTANCES",
        "DATAFLOW_SERVICE_ACCOUNT",
        "DATAFLOW_MAX_WORKERS",
    )
    subnet = IPv4Network(reach)
    if subnet.prefixlen > _NARROWEST_DIRECT:
        yield (
            keys,
            f"{reach} is narrower than the /{_NARROWEST_DIRECT} of Direct VPC egress. Write a wider subnet.",
        )
        return
    free, wanted = subnet.num_addresses - _RESERVED_ADDRESSES, addresses_needed(values)
    if wanted <= free:
        return
    functions, instances = _functions(values), values["FUNCTION_MAX_INSTANCES"]
    words = "2 functions" if functions > 1 else "1 function"
    pulling, dataflow = _workers_addresses(values)
    most = max(0, free - pulling - dataflow) // (functions * _ADDRESSES_AN_INSTANCE)
    further = f" + {pulling} of the pull worker" if pulling else ""
    further += f" + {dataflow} of Dataflow" if dataflow else ""
    fits = next(
        (
            length
            for length in range(subnet.prefixlen, 23, -1)
            if 2 ** (32 - length) - _RESERVED_ADDRESSES >= wanted
        ),
        0,
    )
    wider = f"a /{fits}, or " if fits else ""
    fewer = f"FUNCTION_MAX_INSTANCES={most} or less" if most else "fewer workers"
    yield (
        keys,
        (
            f"{reach} has too few addresses: {words} x {instances} instances x {_ADDRESSES_AN_INSTANCE} addresses"
            f"{further} = {wanted}, and a /{subnet.prefixlen} has {subnet.num_addresses} - {_RESERVED_ADDRESSES} "
            f"reserved = {free}. Write {wider}{fewer}."
        ),
    )


def _workers_egress(values: Values) -> Found:
    for account in ("PULL_WORKER_SERVICE_ACCOUNT", "DATAFLOW_SERVICE_ACCOUNT"):
        if values[account] and values["FUNCTION_EGRESS"] == "connector":
            yield (
                (account, "FUNCTION_EGRESS"),
                (
                    "needs FUNCTION_EGRESS=direct: its machines take addresses of the functions' subnet, the only one "
                    "that the gateway admits, and a connector has none to give."
                ),
            )


def _shared_vpc(values: Values) -> Found:
    network, subnet = values["VPC_NETWORK"], values["VPC_SUBNET"]
    own = values["GOOGLE_CLOUD_PROJECT"]
    hosts = {name.split("/")[1] if "/" in name else own for name in (network, subnet)}
    if values["FUNCTION_EGRESS"] == "direct" and network and subnet and len(hosts) > 1:
        yield (
            ("VPC_SUBNET", "VPC_NETWORK", "FUNCTION_EGRESS"),
            (
                "and VPC_NETWORK lie in different projects as they are written. Write both in full with the host "
                "project, or both as names alone."
            ),
        )
    for key in ("VPC_SUBNET", "VPC_CONNECTOR"):
        parts = values[key].split("/")
        if len(parts) > 1 and parts[3] != values["REGION"]:
            yield (
                (key, "REGION"),
                f"lies in {parts[3]}, and REGION is {values['REGION']}. Write one of the functions' own region.",
            )


def _mounts(values: Values) -> Found:
    for key in ("SIGNING_KEY", "PSEUDONYM_KEY"):
        secret, file = f"{key}_SECRET_ID", f"{key}_FILE"
        if not values[file] or not values[secret]:
            continue
        if not re.search("/versions/(latest|[0-9]+)$", values[secret]):
            yield (
                (secret, file),
                f"has an alias as its version, which cannot be mounted. Write a number or 'latest', or drop {file}.",
            )
        # A mount names a project and a secret, and no location (SecretVolume of the Cloud Functions API).
        if "/locations/" in values[secret]:
            yield (secret, file), f"is a regional secret, which cannot be mounted. Leave {file} out."
    mounts = [
        name for name in ("PSEUDONYM_KEY_FILE", "SIGNING_KEY_FILE", "GKE_GATEWAY_CA_FILE") if values[name]
    ]
    for one, other in itertools.combinations(mounts, 2):
        first, second = (f"{values[name].rpartition('/')[0]}/" for name in (one, other))
        if first.startswith(second) or second.startswith(first):
            yield (
                (one, other),
                f"and {other} lie in one folder, and a mount holds one secret. Write a folder for each.",
            )


def _functions_apart(values: Values) -> Found:
    one, other = "FUNCTION_NAME", "LOOKUP_FUNCTION_NAME"
    if values[one] and values[one] == values[other]:
        yield (
            (other, one),
            "is FUNCTION_NAME too, so each would be deployed over the other. Write another name.",
        )
    # JWT_SUBJECT is another issuer's, and two keys of the user's own may name one caller.
    of_google = ("FUNCTION_SUBJECT", "LOOKUP_SUBJECT", "PULL_WORKER_SUBJECT", "DATAFLOW_SUBJECT")
    further = [
        name for name in values if name.endswith("_SUBJECT") and name not in (*of_google, "JWT_SUBJECT")
    ]
    for one, other in (*itertools.combinations(of_google, 2), *itertools.product(of_google, further)):
        if values[one] and values[one] == values[other]:
            yield (
                (other, one),
                (
                    f"is {one} too, and each account has an id of its own: one caller would have the access of both. "
                    "Write the account's own id."
                ),
            )


_ACCOUNTS = {
    "FUNCTION_SERVICE_ACCOUNT": "writes rows",
    "LOOKUP_SERVICE_ACCOUNT": "reaches neither the table nor a topic",
    "TRIGGER_SERVICE_ACCOUNT": "may only call the function",
    "BUILD_SERVICE_ACCOUNT": "writes the image that the others run",
    "PULL_WORKER_SERVICE_ACCOUNT": "pulls from its own subscription",
    "DATAFLOW_SERVICE_ACCOUNT": "works for Dataflow",
}


def _accounts_apart(values: Values) -> Found:
    for one, other in itertools.combinations(_ACCOUNTS, 2):
        if values[one] and values[one] == values[other]:
            yield (
                (other, one),
                (
                    f"is {one} too: one {_ACCOUNTS[one]}, the other {_ACCOUNTS[other]}, and each would have "
                    "the rights of both. Write another account."
                ),
            )


def _topics(values: Values) -> Found:
    project = values["GOOGLE_CLOUD_PROJECT"]
    names = ("TRIGGER_TOPIC", "DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC")
    full = {
        name: values[name] if "/" in values[name] else f"projects/{project}/topics/{values[name]}"
        for name in names
        if values[name]
    }
    trigger = full.get("TRIGGER_TOPIC", "")
    if trigger and project and not trigger.startswith(f"projects/{project}/"):
        yield (
            ("TRIGGER_TOPIC", "GOOGLE_CLOUD_PROJECT"),
            f"must lie in GOOGLE_CLOUD_PROJECT, {project}, for gcloud takes its topic from there. Write another topic.",
        )
    for name, topic in full.items():
        if topic.split("/")[1].isdecimal():
            yield (
                (name,),
                "has the number of a project, which cannot be compared with ids. Write the project's id.",
            )
    for one, other in itertools.combinations(full, 2):
        if full[one] == full[other]:
            yield (
                (other, one),
                f"is {one} too, so an event would come back to where it failed. Write another topic.",
            )


def _subscriptions_apart(values: Values) -> Found:
    names = ("SUBSCRIPTION_NAME", "PULL_WORKER_SUBSCRIPTION", "DATAFLOW_SUBSCRIPTION")
    for one, other in itertools.combinations(names, 2):
        if values[one] and values[one] == values[other]:
            yield (
                (other, one),
                f"is {one} too, and two readers of one subscription share its events. Write another name.",
            )


def _sizes(values: Values) -> Found:
    limits = (
        ("FUNCTION_MIN_INSTANCES", "FUNCTION_MAX_INSTANCES", "Write at most as many"),
        ("SUBSCRIPTION_MIN_RETRY_DELAY_S", "SUBSCRIPTION_MAX_RETRY_DELAY_S", "Write at most as much"),
        (
            "FUNCTION_TIMEOUT_S",
            "SUBSCRIPTION_ACK_DEADLINE_S",
            "An event would come again while it is being handled. Write at most as much",
        ),
    )
    for less, more, advice in limits:
        if values[less] and values[more] and int(values[less]) > int(values[more]):
            yield (less, more), f"is {values[less]}, above {more}, {values[more]}. {advice}."
    timeout = values["FUNCTION_TIMEOUT_S"]
    if values["FUNCTION_TRIGGER"] == "eventarc" and timeout and int(timeout) > _MOST_EVENTARC_S:
        yield (
            ("FUNCTION_TIMEOUT_S", "FUNCTION_TRIGGER"),
            f"is {timeout}, and a function with an event trigger has {_MOST_EVENTARC_S} s at most. Write less.",
        )


def _processor(values: Values) -> Found:
    cpu, memory, concurrency = (
        values[name] for name in ("FUNCTION_CPU", "FUNCTION_MEMORY", "FUNCTION_CONCURRENCY")
    )
    if not cpu or not memory:
        return
    found = re.fullmatch("([0-9]+)([A-Za-z]+)", memory)
    assert found is not None  # noqa: S101 - for mypy; the value has its type
    mib = int(found[1]) * _MIB[found[2]]
    if cpu in _MEMORY_OF_CPU:
        least, most = _MEMORY_OF_CPU[cpu]
    else:
        least, most = 128, 512 if float(cpu) < 0.5 else 1024
        if concurrency != "1":
            yield (
                ("FUNCTION_CPU", "FUNCTION_CONCURRENCY"),
                f"is {cpu}, and more than one event at a time needs a whole vCPU. Write 1, or FUNCTION_CONCURRENCY=1.",
            )
    if not least <= mib <= most:
        yield (
            ("FUNCTION_MEMORY", "FUNCTION_CPU"),
            f"is {memory}, and Cloud Run takes {least}Mi to {most}Mi with FUNCTION_CPU={cpu}. Change either.",
        )


RULES: tuple[Callable[[Values], Found], ...] = (
    _gateway,
    _gateway_subnet,
    _overlaps,
    _connector_range,
    _egress_addresses,
    _workers_egress,
    _shared_vpc,
    _mounts,
    _functions_apart,
    _accounts_apart,
    _topics,
    _subscriptions_apart,
    _sizes,
    _processor,
)
"""Every rule between values."""
