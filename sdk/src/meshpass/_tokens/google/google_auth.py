"""Use of google-auth: its credentials objects, and its failures as messages without response bodies."""

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
# RFC 6749, section 5.2, and RFC 8693, section 2.2.2. No other part of a response body goes into a message.
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
    """A credentials object of google-auth."""

    credentials: "Credentials"
    kind: str = "google_auth"

    @property
    def detail(self) -> str:
        """The object's class."""
        return f"the {type(self.credentials).__name__} object that was given"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Refuse, because such objects have access tokens only.

        Raises:
            IdentityError: always.
        """
        raise IdentityError(
            f"{self.detail[0].upper()}{self.detail[1:]} as credentials= gives access tokens, not ID tokens.",
            hint="Set service_account= to an account that it may impersonate, or give the credentials file instead.",
        )

    def access(self, web: "Web") -> Access:
        """Return the object's access token, refreshed if it is not valid.

        Raises:
            IdentityError: refreshing failed.
        """
        name = f"The {type(self.credentials).__name__} object"

        def refresh() -> Access:
            made: Any = self.credentials
            if getattr(made, "requires_scopes", False):
                made = made.with_scopes(SCOPES)
            return refreshed(made, web)

        return through_google_auth(web, name, "Check the credentials.", refresh)


def refreshed(credentials: Any, web: "Web") -> Access:  # noqa: ANN401 - google-auth types it in part
    """Return the access token of google-auth's credentials, refreshed if it is not valid."""
    if not credentials.valid:
        credentials.refresh(web)
    headers: dict[str, str] = {}
    credentials.apply(headers)
    further = {name.lower(): value for name, value in headers.items() if name.lower() != "authorization"}
    # google-auth's times are in UTC without a time zone. Credentials without an expiry are read again every 300 s.
    expiry = credentials.expiry
    expires_at = expiry.replace(tzinfo=UTC).timestamp() if expiry else time.time() + _WITHOUT_END_S
    return Access(str(credentials.token), expires_at, further)


def mid_sentence(where: str) -> str:
    """Return a file's description as it stands in the middle of a sentence."""
    return where[0].lower() + where[1:] if where.startswith("The ") else where


def through_google_auth(web: "Web", where: str, hint: str, work: Callable[[], _Result]) -> _Result:
    """Run a function that uses google-auth, and turn its failure into a message without secrets.

    Args:
        web: Sends its requests.
        where: The credentials, for the message.
        hint: What to do if they cannot be used.
        work: The function, which also imports google-auth.

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
            f"{where} needs google-auth, which is not installed.", hint=install_hint("google")
        ) from None
    except IdentityError:
        raise
    except Exception as exc:  # noqa: BLE001 - a malformed file or response raises errors of many kinds
        # Its message may hold a response body with a token. So only the status that `web` received is shown.
        why = type(exc).__name__
    if web.last is None or web.last[1].status < 300:
        raise IdentityError(f"{where} cannot be used: google-auth raised {why}.", hint=hint)
    host, response = web.last
    raise IdentityError(
        f"{where} is not accepted: {host} answered {response.status}{_oauth_error(response.data)}.", hint=hint
    )


def _oauth_error(body: bytes) -> str:
    error = json_object(body).get("error")
    return f" ({error})" if isinstance(error, str) and error in _OAUTH_ERRORS else ""
