"""Resource names, checked as the service checks them.

Rules: https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
"""

from __future__ import annotations

import re

from .errors import InvalidArgumentError

DELETED_TOPIC = "_deleted-topic_"
"""What a subscription names as its topic once that topic is gone."""

_ID = r"(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}"
_PROJECT = re.compile(r"projects/[^/\s]+")
_TOPIC = re.compile(rf"projects/[^/\s]+/topics/{_ID}")
_SUBSCRIPTION = re.compile(rf"projects/[^/\s]+/subscriptions/{_ID}")


def check_project(name: str) -> str:
    """Return `name` if it is `projects/P`, else raise InvalidArgumentError."""
    return _check(_PROJECT, name)


def check_topic(name: str) -> str:
    """Return `name` if it is a full topic name, else raise InvalidArgumentError."""
    return _check(_TOPIC, name)


def check_subscription(name: str) -> str:
    """Return `name` if it is a full subscription name, else raise InvalidArgumentError."""
    return _check(_SUBSCRIPTION, name)


def split(name: str) -> tuple[str, str]:
    """Split a checked name into its project and its last part: `projects/p/topics/t` gives `("p", "t")`."""
    parts = name.split("/")
    return parts[1], parts[-1]


def _check(pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(name):
        raise InvalidArgumentError(
            f"Invalid resource name given (name={name}). Refer to "
            "https://cloud.google.com/pubsub/docs/admin#resource_names for more information."
        )
    return name
