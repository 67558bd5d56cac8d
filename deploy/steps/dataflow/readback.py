"""Read-back of a job that runs: what Dataflow says about its workers, compared with the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def differences(values: Mapping[str, str], job: Mapping[str, Any], digest: str) -> list[str]:
    """Return how a job differs from the contract and the package, one sentence for each difference.

    Args:
        values: a checked contract.
        job: what ``gcloud dataflow jobs describe JOB --full --format=json`` printed.
        digest: the digest of the package; empty where there is none to compare with.
    """
    return [*_environment(values, job), *_labels(job, digest)]


def _environment(values: Mapping[str, str], job: Mapping[str, Any]) -> Iterator[str]:
    environment = job.get("environment", {})
    account = environment.get("serviceAccountEmail", "")
    if account != values["DATAFLOW_SERVICE_ACCOUNT"]:
        yield f"workers run as {account or 'a default account'}, not as {values['DATAFLOW_SERVICE_ACCOUNT']}"
    pools = environment.get("workerPools", [])
    if not pools:
        yield "Dataflow names no workers for the job, so nothing is known of their network; look again in a minute"
    for pool in pools:
        if pool.get("ipConfiguration") != "WORKER_IP_PRIVATE":
            yield "workers have public addresses; update the job by deploy/dataflow, which gives them none"
        subnet = pool.get("subnetwork", "")
        if _subnet(subnet) != _subnet(names.subnet_url(values)):
            yield f"workers are in the subnet '{subnet}', not in {values['VPC_SUBNET']}, which the gateway admits"
        most = pool.get("autoscalingSettings", {}).get("maxNumWorkers")
        if most is not None and str(most) != values["DATAFLOW_MAX_WORKERS"]:
            yield f"there are {most} workers at most, and DATAFLOW_MAX_WORKERS is {values['DATAFLOW_MAX_WORKERS']}"
        if (machine := pool.get("machineType", "")) != values["DATAFLOW_MACHINE_TYPE"]:
            yield f"workers are of the type '{machine}', and DATAFLOW_MACHINE_TYPE is {values['DATAFLOW_MACHINE_TYPE']}"


def _labels(job: Mapping[str, Any], digest: str) -> Iterator[str]:
    package = job.get("labels", {}).get("package", "")
    if digest and package != digest[:12]:
        yield f"the job was made from the package {package or '(none)'}, not from {digest[:12]}"


def _subnet(name: str) -> tuple[str, ...]:
    """Return region and name of a subnet: Dataflow may give its URL back shorter than it got it."""
    parts = name.split("/")
    return tuple(parts[-3::2]) if "regions" in parts else (name,)
