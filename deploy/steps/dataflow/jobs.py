"""Plans of jobs: what must be true before one is launched, the launch, and its end.

Workers have no public address: they take addresses of the functions' subnet, which is the only range that the mesh's
gateway admits, and reach Google's APIs by Private Google Access.
https://cloud.google.com/dataflow/docs/guides/routes-firewall
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..deploy import subscription as delivery
from ..deploy.plan import Check, Empty, Matches, Read, Refusal, Run, Step, When, present
from ..gcloud import Value
from . import names, template

if TYPE_CHECKING:
    from collections.abc import Mapping

# What Dataflow's reader of Pub/Sub does not support.
# https://cloud.google.com/dataflow/docs/concepts/streaming-with-cloud-pubsub#unsupported-features
_UNSUPPORTED = {
    "exactly_once": ("enableExactlyOnceDelivery", "exactly-once delivery"),
    "ordering": ("enableMessageOrdering", "message ordering"),
    "dead_letters": ("deadLetterPolicy.deadLetterTopic", "a dead-letter policy"),
    "backoff": ("retryPolicy.minimumBackoff", "a retry policy with backoff"),
}


def build(values: Mapping[str, str], source: str, digest: str) -> tuple[Step, ...]:
    """Return the plan of ``build``: the image, where it is not there yet, then both specifications."""
    image = names.image(values, digest)
    # The image has the digest of its sources as its tag: one that is there was made from the same bytes.
    found = _image(values, digest)
    submit = Run(
        f"the image {image} is in Artifact Registry",
        (
            "builds",
            "submit",
            source,
            *_place(values),
            f"--config={source}/cloudbuild.yaml",
            f"--substitutions=_IMAGE={image}",
            f"--service-account=projects/{values['GOOGLE_CLOUD_PROJECT']}/serviceAccounts/{values['BUILD_SERVICE_ACCOUNT']}",
            f"--gcs-source-staging-dir=gs://{values['DATAFLOW_BUCKET']}/source",
            # The build writes its log to Cloud Logging alone, from where gcloud does not stream it.
            "--suppress-logs",
        ),
        f"look at `gcloud builds list --region={values['REGION']} --project={values['GOOGLE_CLOUD_PROJECT']}`",
    )
    return (
        *_checked(_bucket(values)),
        found,
        When(Empty("image"), (submit, found, Check((_no_image(image, "; look at the log of its build"),)))),
        *(_specification(values, mode, source, digest) for mode in template.MODES),
    )


def _image(values: Mapping[str, str], digest: str) -> Read:
    """Return the step that reads the digest of the image, as ``image``; empty where there is none.

    A tag can be moved to other bytes, and a worker of a job that runs for months would start with them.
    """
    return Read(
        ("image",),
        (
            "artifacts",
            "tags",
            "list",
            f"--project={values['GOOGLE_CLOUD_PROJECT']}",
            f"--location={values['REGION']}",
            f"--repository={values['ARTIFACT_REPOSITORY']}",
            f"--package={names.IMAGE}",
            f"--filter=name~/tags/{digest[:12]}$",
        ),
        ("version.basename()",),
        optional=True,
    )


def _no_image(name: str, do: str) -> Refusal:
    return Refusal(Empty("image"), (f"there is no image {name}{do}",))


def _specification(values: Mapping[str, str], mode: str, source: str, digest: str) -> Run:
    where = names.specification(values, mode, digest)
    return Run(
        f"the template {where} is there",
        (
            "dataflow",
            "flex-template",
            "build",
            where,
            f"--project={values['GOOGLE_CLOUD_PROJECT']}",
            Value("image", before=f"--image={names.image(values)}@"),
            "--sdk-language=PYTHON",
            f"--metadata-file={source}/metadata-{mode}.json",
        ),
    )


def stream(values: Mapping[str, str], launch: Run, digest: str, *, update: bool) -> tuple[Step, ...]:
    """Return the plan of the streaming job.

    Args:
        values: a checked contract.
        launch: the launch of the job.
        digest: the digest of the package that the template was made from.
        update: whether it takes the place of a job that runs.
    """
    name = values["DATAFLOW_JOB"]
    running = (
        Refusal(Empty("job"), (f"no job {name} runs, so there is none to update; use `run stream`",))
        if update
        else Refusal(
            present("job"),
            (f"a job {name} runs already (", Value("job"), "); use `update`, or `drain` it first"),
        )
    )
    parts = (*_environment_of_the_job(values, "stream", launch, digest), _subscription(values))
    return (*_checked(*parts), find(values, name), Check((running,)), launch)


def backfill(values: Mapping[str, str], launch: Run, job: str, digest: str) -> tuple[Step, ...]:
    """Return the plan of a backfill: the same name resumes one that was stopped, so two of a name never run."""
    running = Refusal(
        present("job"), (f"a job {job} runs already (", Value("job"), "); wait for it, or `cancel` it")
    )
    return (
        *_checked(*_environment_of_the_job(values, "backfill", launch, digest)),
        find(values, job),
        Check((running,)),
        launch,
    )


def launch(
    values: Mapping[str, str],
    mode: str,
    job: str,
    digest: str,
    parameters: Mapping[str, str],
    *,
    update: bool = False,
) -> Run:
    """Return the launch of a job.

    Args:
        values: a checked contract.
        mode: ``stream`` or ``backfill``.
        job: the job's name.
        digest: the digest of the package that the template was made from.
        parameters: the template's parameters.
        update: whether it takes the place of a streaming job of the same name.
    """
    streaming = ("--enable-streaming-engine",) if mode == "stream" else ()
    return Run(
        f"the job {job} is launched",
        (
            "dataflow",
            "flex-template",
            "run",
            job,
            *_place(values),
            f"--template-file-gcs-location={names.specification(values, mode, digest)}",
            f"--service-account-email={values['DATAFLOW_SERVICE_ACCOUNT']}",
            # The network follows from the subnet.
            f"--subnetwork={names.subnet_url(values)}",
            "--disable-public-ips",
            *names.staging(values),
            f"--max-workers={values['DATAFLOW_MAX_WORKERS']}",
            f"--worker-machine-type={values['DATAFLOW_MACHINE_TYPE']}",
            *streaming,
            f"--additional-user-labels=app=meshpass,mode={mode},package={digest[:12]}",
            *(("--update",) if update else ()),
            template.flag(parameters, names.image(values)),
        ),
        f"look at `gcloud dataflow jobs list --region={values['REGION']} --project={values['GOOGLE_CLOUD_PROJECT']}`",
    )


def end(values: Mapping[str, str], job: str, verb: str) -> tuple[Step, ...]:
    """Return the plan that ends a job.

    Args:
        values: a checked contract.
        job: the job's name.
        verb: ``drain`` finishes what was read; ``cancel`` leaves it to Pub/Sub, which delivers it again.
    """
    missing = Refusal(Empty("job"), (f"no job {job} runs",))
    done = {"drain": "reads no more and finishes what it has", "cancel": "is cancelled"}[verb]
    return (
        find(values, job),
        Check((missing,)),
        Run(f"the job {job} {done}", ("dataflow", "jobs", verb, Value("job"), *_place(values))),
    )


def find(values: Mapping[str, str], job: str) -> Read:
    """Return the step that reads the id of a job that runs, as ``job``; empty without one."""
    return Read(
        ("job",),
        (
            "dataflow",
            "jobs",
            "list",
            *_place(values),
            "--status=active",
            f"--filter=name={job}",
            "--limit=1",
            "--page-size=100",
        ),
        ("id",),
    )


@dataclass(frozen=True)
class _Part:
    """One thing that a job needs: how it is read, and what is said where it is missing or wrong."""

    read: Read
    missing: Refusal
    wrong: tuple[Refusal, ...] = ()


def _checked(*parts: _Part) -> tuple[Step, ...]:
    """Return the steps that read parts and refuse with all that are missing, or else with all that are wrong."""
    missing = Check(tuple(part.missing for part in parts))
    wrong = Check(tuple(refusal for part in parts for refusal in part.wrong))
    return (*(part.read for part in parts), missing, *((wrong,) if wrong.refusals else ()))


def _environment_of_the_job(values: Mapping[str, str], mode: str, run: Run, digest: str) -> tuple[_Part, ...]:
    return (
        _bucket(values),
        *_template_is_there(values, run, mode, digest),
        _account(values),
        _subnet(values),
    )


def _bucket(values: Mapping[str, str]) -> _Part:
    bucket = values["DATAFLOW_BUCKET"]
    read = Read(
        ("bucket", "uniform", "prevention"),
        ("storage", "buckets", "describe", f"gs://{bucket}", f"--project={values['GOOGLE_CLOUD_PROJECT']}"),
        ("name", "uniform_bucket_level_access", "public_access_prevention"),
        optional=True,
    )
    made = "; infra/terraform makes it: docs/dataflow.md"
    return _Part(
        read,
        Refusal(Empty("bucket"), (f"there is no bucket {bucket}{made}",)),
        (
            Refusal(
                Matches("uniform", "*rue", negated=True),
                (f"the bucket {bucket} has no uniform access{made}",),
            ),
            Refusal(
                Matches("prevention", "enforced", negated=True),
                (f"the bucket {bucket} does not prevent public access{made}",),
            ),
        ),
    )


def _template_is_there(values: Mapping[str, str], run: Run, mode: str, digest: str) -> tuple[_Part, ...]:
    (where,) = (
        str(word).partition("=")[2]
        for word in run.arguments
        if str(word).startswith("--template-file-gcs-location=")
    )
    make = "; run deploy/package --for dataflow, then deploy/dataflow build"
    read = Read(("specification",), ("storage", "objects", "describe", where), ("name",), optional=True)
    no_template = Refusal(Empty("specification"), (f"there is no template {where} for {mode}{make}",))
    no_image = _no_image(names.image(values, digest), make)
    return (_Part(read, no_template), _Part(_image(values, digest), no_image))


def _account(values: Mapping[str, str]) -> _Part:
    account, project = values["DATAFLOW_SERVICE_ACCOUNT"], values["GOOGLE_CLOUD_PROJECT"]
    read = Read(
        ("account", "subject", "disabled"),
        ("iam", "service-accounts", "describe", account, f"--project={project}"),
        ("email", "uniqueId", "disabled"),
        optional=True,
    )
    refusals = [Refusal(Matches("disabled", "*rue"), (f"the account {account} is disabled",))]
    if values["MESH_AUTH"] == "google-id-token":
        refusals.append(
            Refusal(
                Matches("subject", values["DATAFLOW_SUBJECT"], negated=True),
                (
                    f"DATAFLOW_SUBJECT is {values['DATAFLOW_SUBJECT']}, and the unique id of {account} is ",
                    Value("subject"),
                    "; the mesh's policies would refuse its tokens",
                ),
            )
        )
    missing = Refusal(Empty("account"), (f"there is no account {account}; infra/terraform makes it",))
    return _Part(read, missing, tuple(refusals))


def _subnet(values: Mapping[str, str]) -> _Part:
    project, name = names.subnet(values)
    read = Read(
        ("subnet", "range", "google_access"),
        (
            "compute",
            "networks",
            "subnets",
            "describe",
            name,
            f"--project={project}",
            f"--region={values['REGION']}",
        ),
        ("name", "ipCidrRange", "privateIpGoogleAccess"),
        optional=True,
    )
    wanted = values["FUNCTION_EGRESS_RANGE"]
    refusals = [
        Refusal(
            Matches("google_access", "*rue", negated=True),
            (
                (
                    f"the subnet {name} has no Private Google Access, and workers without public addresses reach "
                    f"Google by nothing else; run: gcloud compute networks subnets update {name} --project={project} "
                    f"--region={values['REGION']} --enable-private-ip-google-access"
                ),
            ),
        )
    ]
    if wanted:
        refusals.append(
            Refusal(
                Matches("range", wanted, negated=True),
                (
                    f"the subnet {name} is ",
                    Value("range"),
                    f", and FUNCTION_EGRESS_RANGE, which the gateway admits, is {wanted}",
                ),
            )
        )
    missing = Refusal(Empty("subnet"), (f"there is no subnet {name} in {project}",))
    return _Part(read, missing, tuple(refusals))


def _subscription(values: Mapping[str, str]) -> _Part:
    name = values["DATAFLOW_SUBSCRIPTION"]
    fields = {key: field for key, (field, _) in _UNSUPPORTED.items()}
    read = Read(
        ("subscription", "topic", "endpoint", "detached", *fields),
        ("pubsub", "subscriptions", "describe", name, f"--project={values['GOOGLE_CLOUD_PROJECT']}"),
        ("name", "topic", "pushConfig.pushEndpoint", "detached", *fields.values()),
        optional=True,
    )
    missing = Refusal(
        Empty("subscription"),
        (f"there is no subscription {name}; infra/terraform makes it: docs/dataflow.md",),
    )
    own = "; write another DATAFLOW_SUBSCRIPTION into the contract"
    refusals = [
        Refusal(
            Matches("topic", delivery.topic(values), negated=True),
            (
                f"the subscription {name} belongs to the topic '",
                Value("topic"),
                f"', not to {delivery.topic(values)}{own}",
            ),
        ),
        Refusal(present("endpoint"), (f"the subscription {name} pushes to '", Value("endpoint"), f"'{own}")),
        Refusal(Matches("detached", "*rue"), (f"the subscription {name} is detached from its topic{own}",)),
        Refusal(Matches("exactly_once", "*rue"), (_unsupported(name, "exactly_once"),)),
        Refusal(Matches("ordering", "*rue"), (_unsupported(name, "ordering"),)),
        Refusal(present("dead_letters"), (_unsupported(name, "dead_letters"),)),
        Refusal(present("backoff"), (_unsupported(name, "backoff"),)),
    ]
    return _Part(read, missing, tuple(refusals))


def _unsupported(name: str, key: str) -> str:
    what = _UNSUPPORTED[key][1]
    return f"the subscription {name} has {what}, which Dataflow does not support; docs/dataflow.md says why"


def _place(values: Mapping[str, str]) -> tuple[str, str]:
    return (f"--project={values['GOOGLE_CLOUD_PROJECT']}", f"--region={values['REGION']}")
