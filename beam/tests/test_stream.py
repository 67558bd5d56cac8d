"""The stream, wired on Beam's direct runner. It acknowledges before it processes, so it says nothing of redelivery."""

import time

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from conftest import PROJECT, Table, TakeDeadLetters, event
from enrichment_beam.engine import EngineOptions
from enrichment_beam.settings import WorkerSettings
from enrichment_beam.stream import Stream, add_to
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient

TOPIC, SUBSCRIPTION = f"projects/{PROJECT}/topics/live", f"projects/{PROJECT}/subscriptions/live"


@pytest.mark.parametrize("reshuffles", [False, True])
def test_messages_of_a_subscription_become_rows(
    settings: WorkerSettings, table: Table, dead_letters: TakeDeadLetters, reshuffles: bool
) -> None:
    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        publisher.create_topic(name=TOPIC)
        subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        ids = publisher.publish(
            topic=TOPIC,
            messages=[PubsubMessage(data=event(n), attributes={"n": str(n)}) for n in range(20)]
            + [PubsubMessage(data=b"{broken")],
        ).message_ids
        options = PipelineOptions(["--runner=DirectRunner", "--streaming"])
        pipeline = beam.Pipeline(options=options)
        add_to(pipeline, Stream(settings, SUBSCRIPTION, EngineOptions(), reshuffles=reshuffles))
        result = pipeline.run()
        refused: list[bytes] = []
        try:
            end = time.monotonic() + 60
            while not (len(table.rows()) == 20 and refused) and time.monotonic() < end:
                refused += [one.data for one in dead_letters()]
                time.sleep(0.1)
        finally:
            result.cancel()
        subscriber.delete_subscription(subscription=SUBSCRIPTION)
        publisher.delete_topic(topic=TOPIC)
    assert sorted(str(row["message_id"]) for row in table.rows()) == sorted(ids[:20])
    assert {row["publish_time"] for row in table.rows()} != {None}
    assert [*refused, *(one.data for one in dead_letters())] == [b"{broken"]
