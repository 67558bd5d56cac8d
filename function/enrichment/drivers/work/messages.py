"""Pub/Sub's messages as classes of protobuf, without the clients that come with them.

Importing anything of `google.pubsub_v1` loads three clients: 160 ms of processor time and 24 MiB that the worker has no
use for. The classes are in a module of their own below it. So an empty package stands in its place while that module is
loaded. The real one can still be imported later, as the publisher of dead letters does.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

Proto: TypeAlias = Any
"""A message of protobuf, whose classes are made at run time."""

_PACKAGE = "google.pubsub_v1"


def _module() -> ModuleType:
    is_loaded = _PACKAGE in sys.modules
    if not is_loaded:
        shell = ModuleType(_PACKAGE)
        google = find_spec("google")
        parents = (google and google.submodule_search_locations) or ()
        shell.__path__ = [str(Path(parent) / "pubsub_v1") for parent in parents]
        sys.modules[_PACKAGE] = shell
    try:
        from google.pubsub_v1.types import pubsub
    finally:
        if not is_loaded:
            del sys.modules[_PACKAGE]
    found: ModuleType = pubsub
    return found


_pubsub = _module()

StreamRequest: Proto = _pubsub.StreamingPullRequest.pb()
StreamResponse: Proto = _pubsub.StreamingPullResponse.pb()
AcknowledgeRequest: Proto = _pubsub.AcknowledgeRequest.pb()
ModifyRequest: Proto = _pubsub.ModifyAckDeadlineRequest.pb()
GetRequest: Proto = _pubsub.GetSubscriptionRequest.pb()
Subscription: Proto = _pubsub.Subscription.pb()
