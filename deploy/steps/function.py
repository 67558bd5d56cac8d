"""``deploy/deploy``: one ``gcloud functions deploy`` command for each of the two entry points, from the contract."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import meshcontract

from . import CONTRACT, ROOT, RefusalError, bundle, gcloud, invokers, relative, subscription

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# google-24, the newest builder, offers 3.13 and 3.14; every dependency has wheels for 3.13.
RUNTIME = "python313"

# Direct VPC egress for functions became generally available with this version of gcloud.
# https://docs.cloud.google.com/functions/docs/running/direct-vpc
DIRECT_EGRESS_SINCE = (558, 0, 0)

_PASSED_ON = (
    "GOOGLE_CLOUD_PROJECT",  # the runtime does not set it, and trace links in the logs are made from it
    "GKE_GATEWAY_URL",
    "GKE_GATEWAY_HOST",
    "GKE_GATEWAY_CA_FILE",
    "JWT_AUDIENCE",
    "FUNCTION_TIMEOUT_S",  # the runtime does not say how long it waits
    "LOG_SUCCESS_SAMPLE",
)
_SIGNING_KEY = "SIGNING_KEY"
_OF_A_SIGNED_TOKEN = ("JWT_ISSUER", "JWT_SUBJECT", "JWT_SCOPE")


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


def environment(values: Mapping[str, str], entry: EntryPoint = ENRICH) -> dict[str, str]:
    """Return the environment variables of an entry point; none of them is a secret.

    A key is named in one way only: by its file if the contract mounts one, else by its secret. With Google's identity
    there is no signing key, and no claim to sign.
    """
    keys = [
        f"{name}_FILE" if values[f"{name}_FILE"] else f"{name}_SECRET_ID"
        for name in _secrets_of(values, entry)
    ]
    token = ("MESH_AUTH",) if values["MESH_AUTH"] == "google-id-token" else _OF_A_SIGNED_TOKEN
    names = (*_PASSED_ON, *token, *entry.settings, *keys)
    found = {name: values[name] for name in names if values[name]}
    if "JWT_SCOPE" in found:
        found["JWT_SCOPE"] = meshcontract.token_scope(values)
    return found


def _secrets_of(values: Mapping[str, str], entry: EntryPoint) -> list[str]:
    return [
        name for name in entry.secrets if name != _SIGNING_KEY or values["MESH_AUTH"] != "google-id-token"
    ]


def environment_yaml(variables: Mapping[str, str]) -> str:
    """Return the variables as the YAML that ``--env-vars-file`` reads.

    A file is used and not ``--set-env-vars``, where a comma ends a value. JSON strings are YAML strings.
    """
    return "".join(
        f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in sorted(variables.items())
    )


def command(
    values: Mapping[str, str], entry: EntryPoint, *, source: str, env_file: str, labels: Mapping[str, str]
) -> list[str]:
    """Return the arguments of gcloud that create or update the function.

    Args:
        values: a checked contract.
        entry: the function.
        source: the packaged folder.
        env_file: the file that holds ``environment_yaml``.
        labels: labels to set; other labels on the function stay.

    Returns:
        The arguments after the word ``gcloud``.
    """
    project = values["GOOGLE_CLOUD_PROJECT"]
    return [
        "functions",
        "deploy",
        values[entry.deployed_as],
        f"--project={project}",
        f"--region={values['REGION']}",
        "--gen2",
        f"--runtime={RUNTIME}",
        f"--source={source}",
        f"--entry-point={entry.name}",
        *_trigger(values, entry),
        f"--service-account={values[entry.account]}",
        f"--build-service-account=projects/{project}/serviceAccounts/{values['BUILD_SERVICE_ACCOUNT']}",
        "--no-allow-unauthenticated",
        *_egress(values),
        f"--memory={values['FUNCTION_MEMORY']}",
        f"--cpu={values['FUNCTION_CPU']}",
        f"--concurrency={values['FUNCTION_CONCURRENCY']}",
        f"--min-instances={values['FUNCTION_MIN_INSTANCES']}",
        f"--max-instances={values['FUNCTION_MAX_INSTANCES']}",
        f"--timeout={values['FUNCTION_TIMEOUT_S']}s",
        f"--env-vars-file={env_file}",
        *_secrets(values, entry),
        f"--update-labels={','.join(f'{name}={value}' for name, value in labels.items())}",
        # A roll-back pins traffic to an old revision. The next deployment must move it to the new one.
        "--serve-all-traffic-latest-revision",
        # No questions: a pipeline cannot answer them, and some of gcloud's questions grant roles.
        "--quiet",
    ]


def _trigger(values: Mapping[str, str], entry: EntryPoint) -> list[str]:
    if entry is LOOKUP:
        return ["--trigger-http", f"--ingress-settings={values['LOOKUP_INGRESS']}"]
    return [
        f"--trigger-topic={values['TRIGGER_TOPIC'].rpartition('/')[2]}",
        # Without it a failed event is dropped: for functions, retrying is off by default.
        "--retry",
        f"--trigger-service-account={values['TRIGGER_SERVICE_ACCOUNT']}",
        "--ingress-settings=internal-only",
    ]


def _egress(values: Mapping[str, str]) -> list[str]:
    if values["FUNCTION_EGRESS"] == "connector":
        return [f"--vpc-connector={values['VPC_CONNECTOR']}", "--egress-settings=private-ranges-only"]
    return [
        f"--network={values['VPC_NETWORK']}",
        f"--subnet={values['VPC_SUBNET']}",
        "--direct-vpc-egress=private-ranges-only",
    ]


def _secrets(values: Mapping[str, str], entry: EntryPoint) -> list[str]:
    mounts = []
    if values["GKE_GATEWAY_CA_FILE"]:
        secret = values["GKE_GATEWAY_CA_SECRET"]
        versioned = secret if ":" in secret or "/versions/" in secret else f"{secret}:latest"
        mounts.append(f"{values['GKE_GATEWAY_CA_FILE']}={versioned}")
    mounts += [
        f"{values[f'{name}_FILE']}={values[f'{name}_SECRET_ID']}"
        for name in _secrets_of(values, entry)
        if values[f"{name}_FILE"]
    ]
    return [f"--set-secrets={','.join(mounts)}"] if mounts else ["--clear-secrets"]


def main(arguments: Sequence[str]) -> None:
    """Deploy a function, then set what gcloud cannot set together with it; see ``--help``."""
    options = _parser().parse_args(arguments)
    entry = ENTRY_POINTS[options.entry_point]
    values = meshcontract.load(options.contract, also=entry.needs)
    variables = environment_yaml(environment(values, entry))
    env_file = options.source.with_name(f"{options.source.name}.{entry.name}.env.yaml")
    labels = {"app": "meshpass"}
    if options.source.is_dir():
        labels["package"] = bundle.digest(options.source)[:12]
    deploy = command(values, entry, source=str(options.source), env_file=str(env_file), labels=labels)

    refusals = _refusals(values, options.source, look_at_gcloud=not options.dry_run)
    if options.dry_run:
        for refusal in refusals:
            sys.stderr.write(f"deploy/deploy: without --dry-run this stops here: {refusal}\n")
        shown = "".join(f"#   {line}\n" for line in variables.splitlines())
        if entry is ENRICH:
            before, after = subscription.readers_script(values), subscription.apply_script(values)
        else:
            before, after = "", invokers.apply_script(values)
        parts = (f"# {env_file}:\n{shown}", before, f"{gcloud.show(deploy)}\n", after)
        sys.stdout.write("\n".join(filter(None, parts)))
        return
    if refusals:
        raise RefusalError("\n  ".join(refusals))

    if entry is ENRICH:
        subscription.require_readers(values)
    env_file.write_text(variables, encoding="utf-8")
    gcloud.run(deploy)
    if entry is ENRICH:
        subscription.apply(values)
    else:
        invokers.apply(values)


def _refusals(values: Mapping[str, str], source: Path, *, look_at_gcloud: bool) -> list[str]:
    found = []
    if placeholders := meshcontract.placeholders(values):
        found.append(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r} in "
            f"{', '.join(placeholders)}; write your own"
        )
    if not source.is_dir():
        found.append(f"there is no package in {relative(source)}; run deploy/package")
    elif changed := bundle.changes_since_packaged(source):
        found.append(f"the package is older than {', '.join(changed)}; run deploy/package")
    if look_at_gcloud:
        gcloud.require()
        if values["FUNCTION_EGRESS"] == "direct" and (version := gcloud.version()) < DIRECT_EGRESS_SINCE:
            found.append(
                f"Direct VPC egress needs gcloud {_dotted(DIRECT_EGRESS_SINCE)}, this is {_dotted(version)}; "
                "run `gcloud components update`, or set FUNCTION_EGRESS=connector"
            )
    return found


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version) or "of unknown version"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/deploy",
        description="Deploys the packaged function as infra/contract.env says, then sets its subscription's "
        "deadline, backoff and undelivered topic (deploy/subscription); or, as a function of its own, the private "
        "HTTP lookup of the same package, then who may call it.",
        epilog="Roles, checks and roll-back: docs/deploy.md",
    )
    parser.add_argument(
        "--entry-point",
        choices=ENTRY_POINTS,
        default=ENRICH.name,
        help="which function of the package (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the exact commands, shell-quoted; run nothing"
    )
    parser.add_argument(
        "--contract", type=Path, default=CONTRACT, help="KEY=VALUE file (default: %(default)s)"
    )
    parser.add_argument(
        "--source",
        type=Path,
        default=ROOT / "build" / "function",
        help="folder from deploy/package (default: %(default)s)",
    )
    return parser
