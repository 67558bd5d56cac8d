"""Errors that stop a redrive, each with one sentence that says what to do next."""


class RedriveError(Exception):
    """The run cannot go on. Its text names the resource and never a dead letter's content.

    Args:
        text: What failed, on what, and what to do.
        nothing_done: Whether it is certain that the failed request had no effect.
    """

    def __init__(self, text: str, *, nothing_done: bool = False) -> None:
        super().__init__(text)
        self.nothing_done = nothing_done


class RefusedError(RedriveError):
    """Pub/Sub refuses these messages; others may go through."""

    def __init__(self, text: str) -> None:
        super().__init__(text, nothing_done=True)


class UsageError(RedriveError):
    """The command line is contradictory."""


def of_google_error(error: Exception, resource: str, option: str, role: str) -> RedriveError:
    """Return what an exception of Google's client means.

    The server's own text is left out, because it may quote what was sent.

    Args:
        error: What the client raised.
        resource: The topic or subscription, by its full name.
        option: The option that named it.
        role: The role that grants what was tried.
    """
    from google.api_core.exceptions import (
        FailedPrecondition,
        Forbidden,
        InvalidArgument,
        NotFound,
        Unauthenticated,
    )
    from google.auth.exceptions import GoogleAuthError

    match error:
        case NotFound():
            text = f"{resource} does not exist: create it, or correct {option}."
        case Unauthenticated() | GoogleAuthError():
            text = (
                f"No valid credentials for {resource}: run `gcloud auth application-default login`, or set "
                "GOOGLE_APPLICATION_CREDENTIALS."
            )
        case Forbidden():
            text = f"No permission on {resource}: grant {role} on it to the account that runs this."
        case InvalidArgument():
            return RefusedError(f"{resource} refuses the request.")
        case FailedPrecondition():
            text = f"{resource} cannot be pulled from: {option} takes a pull subscription."
        case _:
            return RedriveError(
                f"{resource} does not answer ({type(error).__name__}): run the same command again later."
            )
    return RedriveError(text, nothing_done=True)
