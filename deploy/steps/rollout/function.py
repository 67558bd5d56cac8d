"""``deploy/deploy``: each of the two entry points as a private function, and what must be set before events reach it.

The order lets no failure lose an event. With a push subscription of its own: the function, then the permission to call
it, then the subscription with all its settings; one that exists is set before the function. With Eventarc: the function
with its trigger, then the settings of the subscription, and last the permission to call it; until then deliveries are
refused and wait. Running it again after a failure goes on from there.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import meshcontract

from .. import CONTRACT, ROOT, RefusalError, gcloud
from ..arguments import existing_file, folder_to_read
from ..package import bundle
from ..package.runtime import RUNTIME
from . import invokers, plan, subscription
from .plan import Check, Empty, Older, Read, Refusal, Run, Step, When, present

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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

    A file is used and not ``--set-env-vars``, where a comma ends a value. JSON strings are YAML strings, and a
    bare name such as ON would not be one.
    """
    return "".join(
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in sorted(variables.items())
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
    repository = (
        f"projects/{project}/locations/{values['REGION']}/repositories/{values['ARTIFACT_REPOSITORY']}"
    )
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
        # Otherwise the image goes to a repository that Google makes, without cleanup and scanning of ours.
        f"--docker-repository={repository}",
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
    if subscription.uses_push(values):
        # Pushes of a subscription in the same project count as internal.
        return ["--trigger-http", "--ingress-settings=internal-only"]
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


def steps(
    values: Mapping[str, str], entry: EntryPoint, deploy: Sequence[str], before: Sequence[Step] = ()
) -> tuple[Step, ...]:
    """Return the plan of a deployment.

    Args:
        values: a checked contract.
        entry: the function.
        deploy: the arguments of gcloud that update the function.
        before: steps between the last check and the first change.
    """
    of_events = _push_steps if subscription.uses_push(values) else _eventarc_steps
    chosen = _lookup_steps if entry is LOOKUP else of_events
    return (*_egress_check(values), *chosen(values, deploy, tuple(before)))


def _push_steps(
    values: Mapping[str, str], deploy: Sequence[str], before: tuple[Step, ...]
) -> tuple[Step, ...]:
    function = values["FUNCTION_NAME"]
    account = f"serviceAccount:{values['TRIGGER_SERVICE_ACCOUNT']}"
    update = When(present("subscription"), (subscription.update_own(values),))
    return (
        *subscription.require_readers(values),
        *_existing(values, function),
        *subscription.require_same_trigger(values, function, push=True),
        subscription.find(values),
        *subscription.require_own(values),
        *before,
        When(
            present("url"),
            (
                # Before the function, so that the new revision finds the settings that it is deployed with.
                update,
                _deploy(function, deploy),
                *invokers.grant(values, function, account),
            ),
            (
                _deploy(function, deploy),
                *_created(values, function),
                *invokers.grant(values, function, account),
                update,
            ),
        ),
        When(Empty("subscription"), (subscription.create(values),)),
    )


def _eventarc_steps(
    values: Mapping[str, str], deploy: Sequence[str], before: tuple[Step, ...]
) -> tuple[Step, ...]:
    function = values["FUNCTION_NAME"]
    update = subscription.update_of_eventarc(values)
    no_trigger = Refusal(Empty("trigger"), (f"{function} was deployed and has no event trigger",))
    return (
        *subscription.require_readers(values),
        *_existing(values, function),
        *subscription.require_same_trigger(values, function, push=False),
        *before,
        When(
            present("trigger"),
            (*update, _deploy(function, deploy)),
            (_deploy(function, deploy), *_created(values, function), Check((no_trigger,)), *update),
        ),
        # Last: until now deliveries were refused, and waited in the subscription.
        *invokers.grant(values, function, f"serviceAccount:{values['TRIGGER_SERVICE_ACCOUNT']}"),
    )


def _lookup_steps(
    values: Mapping[str, str], deploy: Sequence[str], before: tuple[Step, ...]
) -> tuple[Step, ...]:
    function = values["LOOKUP_FUNCTION_NAME"]
    grants = [
        step for member in invokers.members(values) for step in invokers.grant(values, function, member)
    ]
    return (
        *_existing(values, function),
        *subscription.require_same_trigger(values, function, push=True),
        *before,
        When(
            present("url"),
            (_deploy(function, deploy),),
            (_deploy(function, deploy), *_created(values, function)),
        ),
        *grants,
    )


def _existing(values: Mapping[str, str], function: str) -> tuple[Step, ...]:
    find = subscription.find_function(values, function)
    return (find, When(present("url"), invokers.require_private(values, function)))


def _created(values: Mapping[str, str], function: str) -> tuple[Step, ...]:
    no_address = Refusal(
        Empty("url"), (f"{function} was deployed and has no address; look at `gcloud functions describe`",)
    )
    return (
        subscription.find_function(values, function),
        Check((no_address,)),
        *invokers.require_private(values, function),
    )


def _deploy(function: str, deploy: Sequence[str]) -> When:
    does = f"the function {function} is deployed"
    # The policy of a function that exists is left alone: gcloud would write it, which takes run.services.setIamPolicy.
    create = Run(does, (*deploy, "--no-allow-unauthenticated"))
    return When(Empty("function"), (create,), (Run(does, tuple(deploy)),))


def _egress_check(values: Mapping[str, str]) -> tuple[Step, ...]:
    if values["FUNCTION_EGRESS"] != "direct":
        return ()
    since = ".".join(str(number) for number in DIRECT_EGRESS_SINCE)
    message = (
        f"Direct VPC egress needs gcloud {since}, this is ",
        gcloud.Value("gcloud_version"),
        "; run `gcloud components update`, or set FUNCTION_EGRESS=connector",
    )
    return (
        Read(("gcloud_version",), ("version",), ('"Google Cloud SDK"',)),
        Check((Refusal(Older("gcloud_version", DIRECT_EGRESS_SINCE[0]), message),)),
    )


def main(arguments: Sequence[str]) -> None:
    """Deploy a function, and what must be set before events or callers reach it; see ``--help``."""
    options = _parser().parse_args(arguments)
    entry = ENTRY_POINTS[options.entry_point]
    values = meshcontract.load(options.contract, also=entry.needs)
    source = options.source
    env_file = _env_file(source, values, values[entry.deployed_as])
    labels = {"app": "meshpass"}
    if source.is_dir():
        labels["package"] = bundle.digest(source)[:12]
    deploy = command(values, entry, source=str(source), env_file=str(env_file), labels=labels)
    write = plan.Write(env_file, environment_yaml(environment(values, entry)))
    wanted = steps(values, entry, deploy, (write,))

    name = "deploy/deploy"
    refusals = _refusals(values, source)
    if options.dry_run:
        for refusal in refusals:
            sys.stderr.write(f"{name}: without --dry-run this stops here: {refusal}\n")
        package = shlex.join(
            [str(ROOT / "deploy" / "package"), "--check", "--no-index", f"--output={source}"]
        )
        again = plan.Script(f"{package} >/dev/null\n")
        sys.stdout.write(plan.script([again, *wanted], name, refusals))
        return
    if refusals:
        raise RefusalError("\n  ".join(refusals))
    gcloud.require()
    plan.run(wanted, shlex.join([name, *arguments]))


def _env_file(source: Path, values: Mapping[str, str], function: str) -> Path:
    """Return a file for this function alone: two contracts may be deployed from one package at the same time."""
    where = f"{values['GOOGLE_CLOUD_PROJECT']}.{values['REGION']}.{function}"
    return source.with_name(f"{source.name}.{where}.env.yaml")


def _refusals(values: Mapping[str, str], source: Path) -> list[str]:
    found = []
    if placeholders := meshcontract.placeholders(values):
        found.append(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r} in "
            f"{', '.join(placeholders)}; write your own"
        )
    return [*found, *bundle.problems(source)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/deploy",
        description="Deploys the packaged function as infra/contract.env says, with its subscription: deadline, "
        "backoff, undelivered topic; or, as a function of its own, the private HTTP lookup of the same package, then "
        "who may call it. Running it again after a failure goes on from there.",
        epilog="Roles, checks and roll-back: docs/deploy.md",
    )
    parser.add_argument(
        "--entry-point",
        choices=ENTRY_POINTS,
        default=ENRICH.name,
        help="which function of the package (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print a shell script that does the same; run nothing"
    )
    parser.add_argument(
        "--contract", type=existing_file, default=CONTRACT, help="KEY=VALUE file (default: %(default)s)"
    )
    parser.add_argument(
        "--source",
        type=folder_to_read,
        default=ROOT / "build" / "function",
        help="folder from deploy/package (default: %(default)s)",
    )
    return parser
