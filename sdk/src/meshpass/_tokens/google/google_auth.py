"""google-auth at work: its credentials objects, and its failures in words that hold no answer's body."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from meshpass._errors import IdentityError
from meshpass._tokens.google.origin import Access
from meshpass._tokens.untrusted_json import json_object

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from meshpass._tokens.google.web import Web

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
# RFC 6749, section 5.2, and RFC 8693, section 2.2.2. Nothing else of an answer's body goes into a message.
_OAUTH_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
        "access_denied",
    }
)

_WITHOUT_END_S = 300.0

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, repr=False)
class GoogleAuthCredentials:
    """Any credentials object of google-auth's."""

    credentials: "Credentials"
    kind: str = "google_auth"

    @property
    def detail(self) -> str:
        """The object's class."""
        return f"the {type(self.credentials).__name__} object that was given"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Refuse: such objects hand out access tokens.

        Raises:
            IdentityError: always.
        """
        raise IdentityError(
            f"{self.detail[0].upper()}{self.detail[1:]} as credentials= hands out access tokens, not ID tokens.",
            hint="Set service_account= to the account it may act as, or give the credentials file instead.",
        )

    def access(self, web: "Web") -> Access:
        """Refresh the object if it needs it.

        Raises:
            IdentityError: that failed.
        """
        name = f"The {type(self.credentials).__name__} object"

        def refresh() -> Access:
            made: Any = self.credentials
            if getattr(made, "requires_scopes", False):
                made = made.with_scopes(SCOPES)
            return refreshed(made, web)

        return through_google_auth(web, name, "Check the credentials.", refresh)


def refreshed(credentials: Any, web: "Web") -> Access:  # noqa: ANN401 - google-auth types it in part
    """Return what these credentials call Google with, refreshed if need be."""
    if not credentials.valid:
        credentials.refresh(web)
    headers: dict[str, str] = {}
    credentials.apply(headers)
    further = {name.lower(): value for name, value in headers.items() if name.lower() != "authorization"}
    # google-auth's times are in UTC and do not say so. Credentials without an end are asked again now and then.
    expiry = credentials.expiry
    expires_at = expiry.replace(tzinfo=UTC).timestamp() if expiry else time.time() + _WITHOUT_END_S
    return Access(str(credentials.token), expires_at, further)


def mid_sentence(where: str) -> str:
    """Return a file's description as it stands in the middle of a sentence."""
    return where[0].lower() + where[1:] if where.startswith("The ") else where


def through_google_auth(web: "Web", where: str, hint: str, work: Callable[[], _Result]) -> _Result:
    """Let google-auth do something, and say in safe words why it could not.

    Args:
        web: Its way out.
        where: The credentials, for the message.
        hint: What to do if they are no use.
        work: What imports and uses google-auth.

    Raises:
        IdentityError: google-auth is not installed, or failed.
    """
    web.last = None
    why = ""
    try:
        return work()
    except ImportError:
        from meshpass._install import install_hint

        raise IdentityError(
            f"{where} is used by google-auth, which is not installed.", hint=install_hint("google")
        ) from None
    except IdentityError:
        raise
    except Exception as exc:  # noqa: BLE001 - a malformed file or answer ends in errors of all kinds
        # Its message may hold an answer's body, tokens and all: only what `web` saw is said.
        why = type(exc).__name__
    if web.last is None or web.last[1].status < 300:
        raise IdentityError(f"{where} cannot be used: google-auth ended with {why}.", hint=hint)
    host, answer = web.last
    raise IdentityError(
        f"{where} is not accepted: {host} answered {answer.status}{_oauth_error(answer.data)}.", hint=hint
    )


def _oauth_error(body: bytes) -> str:
    error = json_object(body).get("error")
    return f" ({error})" if isinstance(error, str) and error in _OAUTH_ERRORS else ""
