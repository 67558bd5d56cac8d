"""Resources that an environment needs before the first event: topics, subscriptions, dataset, table, key.

Made through Google's official clients, so that the fakes are used from the first call as the real services are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

# As deploy/ sets it: 10 s would be the default,
# and it is also the time that a push may take; the function's three stages may use half of it.
_ACK_DEADLINE_S = 60
_MAX_DELIVERY_ATTEMPTS = 100
# Shorter than 10 to 600 s, which docs/pull-worker.md has, so that a demo with retries is over soon.
_PULL_RETRY_POLICY = {"minimum_backoff": "1s", "maximum_backoff": "10s"}
# Google's clients share packages, and import them in different orders: two threads that do so at once may each wait for
# a module that the other is loading, and Python then hands one of them half a module.
_IMPORTS = Lock()


class Resources:
    """Names of what is provisioned, from the contract.

    Args:
        contract: The contract's values.
        pulls: Whether events are pulled, by the worker.

    Attributes:
        project: The Google Cloud project.
        topic: The topic that triggers the function.
        subscription: The subscription that delivers it: Eventarc's, or the one that the worker pulls from.
        dead_letter_topic: Where the function sends bad events.
        dead_letter_subscription: Keeps the dead letters; a topic without a subscription loses them.
        undelivered_topic: Where Pub/Sub sends events that it gave up on.
        undelivered_subscription: Keeps those.
        table: `project.dataset.table` of the rows.
        signing_key_version: Resource name of the signing key's version, by its alias.
    """

    def __init__(self, contract: Mapping[str, str], *, pulls: bool = False) -> None:
        self.project = contract["GOOGLE_CLOUD_PROJECT"]
        name = contract["TRIGGER_TOPIC"]
        self.topic = f"projects/{self.project}/topics/{name}"
        delivers = f"{name}-pull" if pulls else f"eventarc-{contract['REGION']}-{name}"
        self.subscription = f"projects/{self.project}/subscriptions/{delivers}"
        self.dead_letter_topic = contract["DEAD_LETTER_TOPIC"]
        self.dead_letter_subscription = _subscription_of(self.dead_letter_topic)
        self.undelivered_topic = contract["UNDELIVERED_TOPIC"]
        self.undelivered_subscription = _subscription_of(self.undelivered_topic)
        self.table = contract["BIGQUERY_TABLE"]
        self.signing_key_version = contract.get("SIGNING_KEY_SECRET_ID", "")


def provision(
    resources: Resources,
    *,
    push_endpoint: str | None,
    tables: Mapping[str, Mapping[str, Any]],
    signing_key: bytes | None,
    environment: Mapping[str, str],
) -> None:
    """Create everything; the three services side by side.

    Args:
        resources: What to create.
        push_endpoint: URL that events are pushed to; None where they are pulled.
        tables: `project.dataset.table` to its definition, as a BigQuery REST resource.
        signing_key: The private key, PEM; None where the function has none.
        environment: Where the fakes listen, as variables for clients.

    Raises:
        LabError: BigQuery refuses a table.
    """
    with ThreadPoolExecutor(max_workers=3) as pool:
        jobs = [
            pool.submit(_provision_pubsub, resources, push_endpoint, environment["PUBSUB_EMULATOR_HOST"]),
            pool.submit(_provision_bigquery, tables, environment["BIGQUERY_EMULATOR_HOST"]),
        ]
        if signing_key:
            address = environment["SECRET_MANAGER_EMULATOR_HOST"]
            jobs.append(pool.submit(_provision_signing_key, resources, signing_key, address))
        for job in jobs:
            job.result()


def eventarc_endpoint(endpoint: str, topic: str) -> str:
    """Return the endpoint as Eventarc writes it into its subscriptions: the parameter asks for CloudEvents."""
    return f"{endpoint}?__GCP_CloudEventsMode=CUSTOM_PUBSUB_{quote(topic, safe='')}"


def _provision_pubsub(resources: Resources, push_endpoint: str | None, address: str) -> None:
    with _IMPORTS:
        import grpc
        from google.api_core.exceptions import AlreadyExists, NotFound
        from google.pubsub_v1 import PublisherClient, SubscriberClient
        from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    kept = {
        resources.dead_letter_topic: resources.dead_letter_subscription,
        resources.undelivered_topic: resources.undelivered_subscription,
    }
    with grpc.insecure_channel(address) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for topic in (resources.topic, *kept):
            with suppress(AlreadyExists):  # by an earlier run, on a server that is not the lab's own
                publisher.create_topic(name=topic)
        for subscription in (resources.subscription, *kept.values()):
            with suppress(NotFound):
                subscriber.delete_subscription(subscription=subscription)
        for topic, subscription in kept.items():
            subscriber.create_subscription(name=subscription, topic=topic)
        request: dict[str, object] = {
            "name": resources.subscription,
            "topic": resources.topic,
            "ack_deadline_seconds": _ACK_DEADLINE_S,
            "dead_letter_policy": {
                "dead_letter_topic": resources.undelivered_topic,
                "max_delivery_attempts": _MAX_DELIVERY_ATTEMPTS,
            },
        }
        if push_endpoint is not None:
            request["push_config"] = {"push_endpoint": push_endpoint}
        else:
            request["retry_policy"] = _PULL_RETRY_POLICY
        subscriber.create_subscription(request=request)


def _provision_bigquery(tables: Mapping[str, Mapping[str, Any]], address: str) -> None:
    with _IMPORTS:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

    for name, definition in tables.items():
        project, dataset, table = name.split(".")
        client = bigquery.Client(
            project=project, credentials=AnonymousCredentials(), client_options={"api_endpoint": address}
        )
        with client:
            client.create_dataset(dataset, exists_ok=True)
            reference = {"projectId": project, "datasetId": dataset, "tableId": table}
            resource = {**definition, "tableReference": reference}
            try:
                client.create_table(bigquery.Table.from_api_repr(resource))
            except (GoogleAPIError, ValueError, KeyError) as error:
                raise LabError(
                    f"BigQuery refuses the definition of the table {name}: {getattr(error, 'message', error)}"
                ) from None


def _provision_signing_key(resources: Resources, signing_key: bytes, address: str) -> None:
    with _IMPORTS:
        import grpc
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport,
        )

    secret, _, alias = resources.signing_key_version.partition("/versions/")
    parent, _, secret_id = secret.partition("/secrets/")
    with grpc.insecure_channel(address) as channel:
        client = SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
        client.create_secret(
            request={"parent": parent, "secret_id": secret_id, "secret": {"replication": {"automatic": {}}}}
        )
        version = client.add_secret_version(request={"parent": secret, "payload": {"data": signing_key}})
        number = int(version.name.rpartition("/")[2])
        client.update_secret(
            request={
                "secret": {"name": secret, "version_aliases": {alias: number}},
                "update_mask": {"paths": ["version_aliases"]},
            }
        )


def _subscription_of(topic: str) -> str:
    """Return the subscription that keeps a topic's messages: the same name, in the same project."""
    project, name = topic.split("/")[1::2]
    return f"projects/{project}/subscriptions/{name}"
