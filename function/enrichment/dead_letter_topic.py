"""Publisher of dead letters, by Google's client for Pub/Sub."""

import asyncio
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from enrichment.dead_letter import MAX_REQUEST_BYTES, DeadLetter
from enrichment.errors import EnrichmentError, Stage, failure, of_google_error

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import meshpass
    from google.pubsub_v1 import PublisherClient

CAP_S = 10.0
"""Longest time for one publication with its retries, in seconds, however much the event has left."""

THREADS = 4
"""Publications in flight. Further ones wait, within their event's time."""


class PubSubDeadLetters:
    """Publisher of dead letters to one Pub/Sub topic.

    Each dead letter is one request, and its response comes before the event is acknowledged. The batching publisher is
    not used: it would wait for further messages, and its `publish` takes attributes as keyword arguments, where one
    named `timeout` would change the call.

    Args:
        topic: `projects/P/topics/T`.
        cap_s: Longest time for one publication with its retries, in seconds.
    """

    def __init__(self, topic: str, cap_s: float = CAP_S) -> None:
        self._topic = topic
        self._cap_s = cap_s
        self._client: PublisherClient | None = None
        self._lock = threading.Lock()

    @cached_property
    def _threads(self) -> "ThreadPoolExecutor":
        """Threads for the client, which blocks: they keep the loop's shared ones free to resolve names."""
        from concurrent.futures import ThreadPoolExecutor  # here because most instances never see a bad event

        return ThreadPoolExecutor(THREADS, thread_name_prefix="dead-letters")

    async def publish(self, dead_letter: DeadLetter, deadline: "meshpass.Deadline") -> None:
        """Publish one dead letter.

        Args:
            dead_letter: The dead letter.
            deadline: When this must have returned.

        Raises:
            TransientError: Pub/Sub is unavailable, or the time is over. The dead letter may still arrive, so an event
                that is delivered again can have two equal ones.
            FaultError: The topic does not exist, a permission or credentials are missing, or Pub/Sub refuses the dead
                letter; `dead_letter_too_large` if the data alone fills a request.
        """
        loop = asyncio.get_running_loop()
        retried: list[Exception] = []
        try:
            async with asyncio.timeout(min(self._cap_s, deadline.left_s())):
                await loop.run_in_executor(self._threads, self._publish, dead_letter, deadline, retried)
        except TimeoutError:
            if retried:  # it says more than the time does, such as a quota
                raise of_google_error(retried[-1], Stage.DEAD_LETTER, "pubsub", self._topic) from None
            raise _out_of_time(self._topic) from None
        except Exception as error:
            if getattr(error, "code", None) == 400 and dead_letter.size_bytes > MAX_REQUEST_BYTES:
                raise failure(
                    "dead_letter_too_large",
                    f"the event leaves no space for a reason beside it within the {MAX_REQUEST_BYTES} bytes "
                    f"that {self._topic} takes: read it from its own topic, and seek the subscription past it",
                ) from error
            raise of_google_error(error, Stage.DEAD_LETTER, "pubsub", self._topic) from error

    async def aclose(self) -> None:
        """End the threads and the client, without blocking the loop."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End the threads and the client. A function's process is ended without it."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.transport.close()

    def _publish(
        self, dead_letter: DeadLetter, deadline: "meshpass.Deadline", retried: list[Exception]
    ) -> None:
        # One thread at a time: two that import Google's packages at once may each wait for a module of the other's.
        with self._lock:
            # Imported here because most instances never see a bad event.
            from google.api_core import exceptions, retry
            from google.pubsub_v1 import PublisherClient, PubsubMessage

            if self._client is None:
                self._client = PublisherClient()
        left_s = min(self._cap_s, deadline.left_s())
        if left_s <= 0:  # its time passed while it waited for a thread
            raise TimeoutError
        self._client.publish(
            topic=self._topic,
            messages=[
                PubsubMessage(
                    data=dead_letter.data,
                    attributes=dead_letter.attributes,
                    ordering_key=dead_letter.ordering_key,
                )
            ],
            retry=retry.Retry(
                predicate=retry.if_exception_type(
                    exceptions.Aborted,
                    exceptions.ServiceUnavailable,
                    exceptions.InternalServerError,
                    exceptions.Unknown,
                    exceptions.ResourceExhausted,
                ),
                initial=0.1,
                timeout=left_s,
                on_error=lambda error: retried.__setitem__(slice(None), [error]),
            ),
            timeout=left_s,
        )


def _out_of_time(topic: str) -> EnrichmentError:
    return failure("pubsub_unavailable", f"out of time for {topic}")
