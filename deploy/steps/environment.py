"""``deploy/environment``: the environment of the enrichment where Terraform, GKE or a machine of one's own runs it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

import meshcontract

from . import RefusalError
from .arguments import contract_option
from .deploy import entry_points

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_UNMOUNTED = {"SIGNING_KEY_FILE": "", "PSEUDONYM_KEY_FILE": ""}


def variables(values: Mapping[str, str], driver: str) -> dict[str, str]:
    """Return the environment variables of a driver; none of them is a secret.

    Keys are named by their secrets, which the account of the driver reads, and never by a file: a machine of one's own
    would keep such a file.

    Args:
        values: a checked contract.
        driver: ``serve`` or ``work``.
    """
    found = entry_points.environment({**values, **_UNMOUNTED})
    if driver == "work":
        # Limits of a push. A worker extends the lease of what it holds.
        for limit in ("FUNCTION_TIMEOUT_S", "SUBSCRIPTION_ACK_DEADLINE_S"):
            found.pop(limit, None)
        name = f"projects/{values['GOOGLE_CLOUD_PROJECT']}/subscriptions/{values['PULL_WORKER_SUBSCRIPTION']}"
        found["PULL_SUBSCRIPTION"] = name
    return dict(sorted(found.items()))


def _env(found: Mapping[str, str]) -> str:
    """Return lines that systemd's EnvironmentFile and `docker run --env-file` read alike."""
    return "".join(f"{name}={value}\n" for name, value in found.items())


def _json(found: Mapping[str, object]) -> str:
    return json.dumps(found, indent=2) + "\n"


def _tfvars(found: Mapping[str, str]) -> str:
    return _json({"pull_worker_environment": found})


def _configmap(found: Mapping[str, str]) -> str:
    """Return a ConfigMap of Kubernetes as JSON, which kubectl takes as it takes YAML."""
    name = "enrichment-worker" if "PULL_SUBSCRIPTION" in found else "enrichment-serve"
    labels = {"app.kubernetes.io/part-of": "meshpass"}
    return _json(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": found}
    )


_FORMATS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "yaml": entry_points.environment_yaml,
    "env": _env,
    "json": _json,
    "tfvars": _tfvars,
    "configmap": _configmap,
}


def main(arguments: Sequence[str]) -> None:
    """Print the environment of a driver; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="deploy/environment",
        description="Prints the environment of `python -m enrichment serve` or `work` as the contract has it, without "
        "secrets: yaml for `gcloud run --env-vars-file`, env for systemd and docker, tfvars for Terraform, "
        "configmap for Kubernetes.",
        epilog="docs/run-elsewhere.md",
    )
    parser.add_argument("--for", dest="driver", choices=("serve", "work"), required=True, help="the driver")
    parser.add_argument("--format", choices=_FORMATS, default="yaml", help="(default: %(default)s)")
    contract_option(parser)
    options = parser.parse_args(arguments)
    also = ("PULL_WORKER_SERVICE_ACCOUNT",) if options.driver == "work" else ()
    values = meshcontract.load(options.contract, also=also)
    if options.format == "tfvars" and options.driver != "work":
        raise RefusalError("tfvars is for `work`: Terraform makes no service for `serve`")
    sys.stdout.write(_FORMATS[options.format](variables(values, options.driver)))
