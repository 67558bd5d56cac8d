"""All topics and subscriptions of a server, and the way of a message between them. No I/O.

Every operation that can give a subscription's consumers something new to do marks it; the server collects the
marks with `take_touched` and wakes the consumers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import resource_names, settings
from .delivery_leases import Client
from .errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from .faults import PullPlan
from .messages import forward, merge, raw, rfc3339, to_messages
from .subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .messages import Message, Proto


@dataclass(slots=True, eq=False)
class Entry:
    """A subscription: the resource that clients see, its messages, and those who pull them.

    Attributes:
        plan: The faults that its consumers meet.
        clients: The clients that have a stream open or own an ordering key, by client ID.
    """

    resource: Proto
    subscription: Subscription
    plan: PullPlan = field(default_factory=PullPlan)
    clients: dict[str, Client] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its full name."""
        return str(self.resource.name)

    def client(self, client_id: str) -> Client:
        """Return the client of that ID; a new one for an empty ID, which names none."""
        if not client_id:
            return Client()
        # Who neither pulls nor owns a key leaves nothing that a stream to come could take over.
        for gone in [name for name, client in self.clients.items() if not client.streams and not client.keys]:
            del self.clients[gone]
        return self.clients.setdefault(client_id, Client())


class Store:
    """Topics and subscriptions, in memory.

    Args:
        first_message_id: Message IDs count up from here. Restarted servers need different ones, since
            consumers recognise duplicates by them.
    """

    def __init__(self, first_message_id: int = 1) -> None:
        self._topics: dict[str, Proto] = {}
        self._entries: dict[str, Entry] = {}
        self._message_ids = itertools.count(first_message_id)
        self._numbers = itertools.count(1)
        self._touched: set[str] = set()

    def take_touched(self) -> set[str]:
        """Return the names of the subscriptions touched since the last call: created, deleted or changed."""
        touched, self._touched = self._touched, set()
        return touched

    def touch(self, name: str) -> None:
        """Mark a subscription whose leases a caller has changed."""
        self._touched.add(name)

    # Topics

    def create_topic(self, topic: Proto) -> Proto:
        """Add a topic and return it.

        Raises:
            InvalidArgumentError: A bad name, or a feature not supported.
            AlreadyExistsError: There is one of that name.
        """
        settings.check_topic(topic)
        if topic.name in self._topics:
            raise AlreadyExistsError(topic.name)
        self._topics[topic.name] = topic
        return topic

    def topic(self, name: str) -> Proto:
        """Return a topic; raise InvalidArgumentError for a bad name, NotFoundError for an unknown one."""
        topic = self._topics.get(name)
        if topic is None:
            raise NotFoundError(resource_names.check_topic(name))
        return topic

    def topics(self, project: str) -> list[Proto]:
        """Return the topics of `projects/P`, by name."""
        prefix = resource_names.check_project(project) + "/"
        return [self._topics[name] for name in sorted(self._topics) if name.startswith(prefix)]

    def delete_topic(self, name: str) -> None:
        """Remove the topic. Its subscriptions stay, with the messages they hold.

        Raises:
            NotFoundError: There is no such topic.
        """
        self.topic(name)
        del self._topics[name]
        for entry in self._entries.values():
            if entry.resource.topic == name:
                entry.resource.topic = resource_names.DELETED_TOPIC

    def publish(self, topic: str, messages: Iterable[Proto], now_s: float) -> list[str]:
        """Give each checked PubsubMessage an ID and all to the topic's subscriptions; return the IDs.

        Raises:
            NotFoundError: There is no such topic.
        """
        self.topic(topic)
        published = list(messages)
        self._deliver(topic, to_messages(published, self._message_ids, now_s))
        return [message.message_id for message in published]

    # Subscriptions

    def create_subscription(self, resource: Proto) -> Proto:
        """Add a subscription and return it, completed with the service's defaults.

        Raises:
            InvalidArgumentError: A bad name or value, or a feature not supported.
            AlreadyExistsError: There is one of that name.
            NotFoundError: Its topic or its dead-letter topic does not exist.
        """
        settings.complete(resource)
        policy = settings.to_policy(resource)
        if resource.name in self._entries:
            raise AlreadyExistsError(resource.name)
        self.topic(resource.topic)
        if policy.dead_letter:
            self.topic(policy.dead_letter.topic)
        name: str = resource.name

        def dead_letter(message: Message, attempts: int, now_s: float) -> bool:
            return self._forward(name, message, attempts, now_s)

        subscription = Subscription(policy, dead_letter, number=next(self._numbers))
        self._entries[name] = Entry(resource, subscription)
        self.touch(name)
        return resource

    def entry(self, name: str) -> Entry:
        """Return a subscription; raise InvalidArgumentError for a bad name, NotFoundError if unknown."""
        entry = self._entries.get(name)
        if entry is None:
            raise NotFoundError(resource_names.check_subscription(name))
        return entry

    def find(self, name: str) -> Entry | None:
        """Return a subscription, or None if it does not exist (any more)."""
        return self._entries.get(name)

    def subscriptions(self, project: str) -> list[Proto]:
        """Return the subscriptions of `projects/P`, by name."""
        prefix = resource_names.check_project(project) + "/"
        return [self._entries[name].resource for name in sorted(self._entries) if name.startswith(prefix)]

    def subscriptions_of(self, topic: str) -> list[str]:
        """Return the names of a topic's subscriptions, or raise NotFoundError if there is no such topic."""
        self.topic(topic)
        return sorted(name for name, entry in self._entries.items() if entry.resource.topic == topic)

    def update_subscription(self, changes: Proto, paths: Sequence[str]) -> Proto:
        """Copy the fields that `paths` name from `changes`; return the subscription, completed.

        Raises:
            InvalidArgumentError: A bad value or path, or a feature not supported; then nothing is changed.
            NotFoundError: There is no such subscription, or no such dead-letter topic.
        """
        entry = self.entry(changes.name)
        settings.check_update(list(paths))
        resource = raw("Subscription")()
        resource.CopyFrom(entry.resource)
        try:
            merge(changes, resource, paths)
        except ValueError as error:
            raise InvalidArgumentError(f"Invalid update_mask provided: {error}") from error
        settings.complete(resource)
        policy = settings.to_policy(resource)
        if policy.dead_letter:
            self.topic(policy.dead_letter.topic)
        entry.resource, entry.subscription.policy = resource, policy
        self.touch(entry.name)
        return resource

    def delete_subscription(self, name: str) -> None:
        """Remove the subscription and the messages it holds, or raise NotFoundError."""
        self.entry(name)
        del self._entries[name]
        self.touch(name)

    # Messages

    def _deliver(self, topic: str, messages: Sequence[Message]) -> None:
        for name, entry in self._entries.items():
            if entry.resource.topic == topic:
                entry.subscription.add(messages)
                self.touch(name)

    def _forward(self, source: str, message: Message, attempts: int, now_s: float) -> bool:
        """Publish a dead letter, marked as in https://cloud.google.com/pubsub/docs/dead-letter-topics."""
        entry = self._entries.get(source)
        dead_letter = entry and entry.subscription.policy.dead_letter
        if not dead_letter or dead_letter.topic not in self._topics:
            return False
        project, short = resource_names.split(source)
        marks = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
            "CloudPubSubDeadLetterSourceSubscription": short,
            "CloudPubSubDeadLetterSourceSubscriptionProject": project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": rfc3339(message.parsed().publish_time),
        }
        self._deliver(dead_letter.topic, [forward(message, marks, self._message_ids, now_s)])
        return True
