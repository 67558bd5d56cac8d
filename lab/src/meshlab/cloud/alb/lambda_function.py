"""A Lambda function in this process: its real handler, with a context and a time limit."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Function", "FunctionError", "load_handler"]

_MAX_INVOCATIONS = 32


class FunctionError(Exception):
    """The function raised an exception, or did not answer in time."""


@dataclass(frozen=True)
class Context:
    """The part of Lambda's context that depends on the invocation.

    Attributes:
        aws_request_id: Names the invocation.
        ends_at: When Lambda would end it, on the monotonic clock, in seconds.
    """

    aws_request_id: str
    ends_at: float

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may go on, in milliseconds."""
        return max(0, int((self.ends_at - time.monotonic()) * 1000))


class Function:
    """Invokes a handler. Each invocation has a thread, as it has an environment of its own in Lambda.

    Args:
        handler: The handler.
        timeout_s: The function's time limit, in seconds.
    """

    def __init__(self, handler: Callable[[Any, Any], Any], timeout_s: float = 10.0) -> None:
        self._handler = handler
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(_MAX_INVOCATIONS, thread_name_prefix="invocation")

    async def invoke(self, event: dict[str, Any], request_id: str) -> object:
        """Return what the function answers.

        Raises:
            FunctionError: It raised an exception, or did not answer in time.
        """
        # The event crosses Lambda's API as JSON, so the function shares no object with its caller.
        sent = json.loads(json.dumps(event))
        context = Context(request_id, time.monotonic() + self._timeout_s)
        call = asyncio.get_running_loop().run_in_executor(self._threads, self._handler, sent, context)
        try:
            return await asyncio.wait_for(call, self._timeout_s)
        except TimeoutError:
            raise FunctionError(f"the function did not answer within {self._timeout_s:g} s") from None
        except Exception as error:
            raise FunctionError(f"the function raised {type(error).__name__}") from error


def load_handler(directory: Path, name: str) -> Callable[[Any, Any], Any]:
    """Return a function's handler.

    Args:
        directory: The directory of its code.
        name: `MODULE.FUNCTION`, as the function's configuration has it.

    Raises:
        LabError: There is no such handler.
    """
    module, _, attribute = name.rpartition(".")
    sys.path.insert(0, str(directory))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LabError(f"the handler {name} cannot be loaded from {directory}: {error}") from error
    handler: Callable[[Any, Any], Any] = found
    return handler
