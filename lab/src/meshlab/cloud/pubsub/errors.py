"""Errors of the fake: a gRPC status code and a sentence, in the service's words where known."""

from __future__ import annotations


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


def check_range(what: str, value: int, minimum: int, maximum: int) -> None:
    """Refuses a number outside its bounds, in the words the service uses for every such limit.

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
