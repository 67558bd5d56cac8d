"""Errors of the fake: a gRPC status code and a sentence, in the service's words where known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSALS = {
    "PERMISSION_DENIED": "User not authorized to perform this action.",
    "RESOURCE_EXHAUSTED": "Quota exceeded for quota metric 'Regional subscriber throughput, kB'.",
    "UNAUTHENTICATED": "Request had invalid authentication credentials.",
}
"""What the service says to a caller that it does not serve, by status."""

INVALID_ACK_ID = "PERMANENT_FAILURE_INVALID_ACK_ID"
UNORDERED_ACK_ID = "TRANSIENT_FAILURE_UNORDERED_ACK_ID"
UNAVAILABLE_ACK_ID = "TRANSIENT_FAILURE_SERVICE_UNAVAILABLE"


class PubSubError(Exception):
    """A refused call.

    Attributes:
        code: The name of a gRPC status code, such as `NOT_FOUND`.
    """

    code = "UNKNOWN"


class NotFoundError(PubSubError):
    """The named topic or subscription does not exist."""

    code = "NOT_FOUND"

    def __init__(self, resource: str) -> None:
        super().__init__(f"Resource not found (resource={_short(resource)}).")


class AlreadyExistsError(PubSubError):
    """A topic or subscription of that name exists already."""

    code = "ALREADY_EXISTS"

    def __init__(self, resource: str) -> None:
        super().__init__(f"Resource already exists in the project (resource={_short(resource)}).")


class InvalidArgumentError(PubSubError):
    """The request breaks a rule of the service, or asks for what this fake does not do."""

    code = "INVALID_ARGUMENT"


class FailedPreconditionError(PubSubError):
    """The request is well-formed but does not fit the subscription it names."""

    code = "FAILED_PRECONDITION"


class UnavailableError(PubSubError):
    """The service does not work for now; clients try again."""

    code = "UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The service was unable to fulfill your request. Please try again. [code=8a75]")


class RefusedCallError(PubSubError):
    """The caller may not do this, or has done it too often.

    Args:
        code: A key of `REFUSALS`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(REFUSALS[code])
        self.code = code


class StreamEndedError(PubSubError):
    """The service ends a stream, as it does now and then.

    Args:
        code: The status to end it with.
    """

    def __init__(self, code: str) -> None:
        super().__init__(
            str(UnavailableError())
            if code == "UNAVAILABLE"
            else "The service ended the stream. Open it again."
        )
        self.code = code


class AckIdError(PubSubError):
    """Some ack IDs of a request had no effect, with exactly-once delivery. The others did what they should.

    Args:
        reasons: By ack ID what the official clients read in the `ErrorInfo` of the status.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        kinds = set(reasons.values())
        if INVALID_ACK_ID in kinds:
            self.code = "INVALID_ARGUMENT"
            message = (
                "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids "
                "have expired or the acknowledgement ids were malformed."
            )
        elif UNORDERED_ACK_ID in kinds:
            self.code = "FAILED_PRECONDITION"
            message = "Some acknowledgement ids in the request were sent out of order."
        else:
            self.code = "UNAVAILABLE"
            message = str(UnavailableError())
        super().__init__(message)
        self.reasons = reasons


def check_range(what: str, value: int, minimum: int, maximum: int) -> None:
    """Refuse a number outside its bounds, in the words the service uses for every such limit.

    Raises:
        InvalidArgumentError: `value` is below `minimum` or above `maximum`.
    """
    if value < minimum:
        relation, bound = "small", f"minimum value is {minimum}"
    elif value > maximum:
        relation, bound = "large", f"maximum value is {maximum}"
    else:
        return
    raise InvalidArgumentError(
        f"The value for {what} is too {relation}. You passed {value} in the request, but the {bound}."
    )


def _short(resource: str) -> str:
    return resource.rpartition("/")[2]
