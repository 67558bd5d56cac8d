"""What can stop a redrive, in one sentence that says what to do next."""


class RedriveError(Exception):
    """The run cannot go on; its text is one sentence for people, naming the resource and never a letter's content."""


class RefusedError(RedriveError):
    """Pub/Sub will not take these messages; others may go through."""


class UsageError(RedriveError):
    """The command line asks for what makes no sense."""


def of_google_error(error: Exception, resource: str, option: str, role: str) -> RedriveError:
    """Says what an exception of Google's client means.

    The server's own text is left out: it may quote what was sent.

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
            return RedriveError(f"{resource} does not exist: create it, or correct {option}.")
        case Unauthenticated() | GoogleAuthError():
            return RedriveError(
                f"No valid credentials for {resource}: run `gcloud auth application-default login`, or set "
                "GOOGLE_APPLICATION_CREDENTIALS."
            )
        case Forbidden():
            return RedriveError(
                f"No permission on {resource}: grant {role} on it to the account that runs this."
            )
        case InvalidArgument():
            return RefusedError(f"{resource} refuses the request.")
        case FailedPrecondition():
            return RedriveError(f"{resource} cannot be pulled from: {option} takes a pull subscription.")
    return RedriveError(
        f"{resource} does not answer ({type(error).__name__}): run the same command again later."
    )
