"""Entry points of the function, and the settings and secrets that each of them gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import meshcontract
from meshcontract.keys import FUNCTION, KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIGNING_KEY = "SIGNING_KEY"
_OF_A_SIGNED_TOKEN = ("JWT_ISSUER", "JWT_SUBJECT", "JWT_SCOPE")
_OF_GOOGLES_IDENTITY = "MESH_AUTH"


@dataclass(frozen=True)
class EntryPoint:
    """A function of ``function/main.py``, and what is different in its deployment.

    Attributes:
        name: its name in the code.
        deployed_as: the key of the contract that holds its name in the cloud.
        account: the key of the contract that holds its service account.
        settings: the keys of the contract that it gets in addition to those of both functions.
        needs: the keys that only its deployment needs.
        secrets: names of the secrets that it gets in addition to the CA: `NAME_FILE` if the contract mounts it, else
            `NAME_SECRET_ID`.
    """

    name: str
    deployed_as: str
    account: str
    settings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = (_SIGNING_KEY,)


ENRICH = EntryPoint(
    "enrich",
    deployed_as="FUNCTION_NAME",
    account="FUNCTION_SERVICE_ACCOUNT",
    settings=(
        "BIGQUERY_TABLE",
        "TRIGGER_TOPIC",  # so that the function refuses to start where dead letters would come back as events
        "DEAD_LETTER_TOPIC",
        "SUBSCRIPTION_ACK_DEADLINE_S",
        "TABLE_RECREATED_HOLD_S",
        "BIGQUERY_WRITER",
        "STORAGE_WRITE_STREAM",
    ),
    secrets=(_SIGNING_KEY, "PSEUDONYM_KEY"),
)
LOOKUP = EntryPoint(
    "lookup",
    deployed_as="LOOKUP_FUNCTION_NAME",
    account="LOOKUP_SERVICE_ACCOUNT",
    settings=("LOOKUP",),
    needs=("LOOKUP_SERVICE_ACCOUNT",),
)
ENTRY_POINTS = {entry.name: entry for entry in (ENRICH, LOOKUP)}


def _keys_of(entry: EntryPoint) -> tuple[str, ...]:
    return (*entry.settings, *(f"{name}_{form}" for name in entry.secrets for form in ("FILE", "SECRET_ID")))


# What the contract says that the function reads, and nothing above gives to some alone: a new key needs no line here.
# The runtime says neither its project, which links in the logs are made from, nor how long it waits.
_OF_SOME = {*_OF_A_SIGNED_TOKEN, _OF_GOOGLES_IDENTITY, *_keys_of(ENRICH), *_keys_of(LOOKUP)}
_OF_BOTH = tuple(name for name, key in KEYS.items() if FUNCTION in key.readers and name not in _OF_SOME)


def environment(values: Mapping[str, str], entry: EntryPoint = ENRICH) -> dict[str, str]:
    """Return the environment variables of an entry point; none of them is a secret.

    A key is named in one way only: by its file if the contract mounts one, else by its secret. With Google's identity
    there is no signing key, and no claim to sign.
    """
    keys = [
        f"{name}_FILE" if values[f"{name}_FILE"] else f"{name}_SECRET_ID"
        for name in secrets_of(values, entry)
    ]
    token = (_OF_GOOGLES_IDENTITY,) if values["MESH_AUTH"] == "google-id-token" else _OF_A_SIGNED_TOKEN
    names = (*_OF_BOTH, *token, *entry.settings, *keys)
    found = {name: values[name] for name in names if values[name]}
    if "JWT_SCOPE" in found:
        found["JWT_SCOPE"] = meshcontract.token_scope(values)
    return found


def secrets_of(values: Mapping[str, str], entry: EntryPoint) -> list[str]:
    """Return the names of the secrets that an entry point gets: no signing key with Google's identity."""
    return [
        name for name in entry.secrets if name != _SIGNING_KEY or values["MESH_AUTH"] != "google-id-token"
    ]


def environment_yaml(variables: Mapping[str, str]) -> str:
    """Return the variables as the YAML that ``--env-vars-file`` reads.

    A file is used and not ``--set-env-vars``, where a comma ends a value. JSON strings are YAML strings, and a
    bare name such as ON would not be one.
    """
    return "".join(
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in sorted(variables.items())
    )
