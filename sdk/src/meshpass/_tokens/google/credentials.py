"""Google's credentials files, and the identity for each kind of file. See https://google.aip.dev/auth/4110."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshpass._errors import IdentityError
from meshpass._tokens.google.federation import Federated
from meshpass._tokens.google.google_auth import SCOPES, mid_sentence, refreshed, through_google_auth
from meshpass._tokens.google.impersonation import Impersonated
from meshpass._tokens.google.origin import Access

if TYPE_CHECKING:
    from meshpass._tokens.google.origin import Identity
    from meshpass._tokens.google.web import Web

_UNIVERSE = "googleapis.com"
_IMPERSONATION_URL = re.compile(r"(https?://[^\s?#]+/serviceAccounts/([^\s/:?#]+)):generateAccessToken")


def identity_of(info: object, where: str) -> "Identity":
    """Return the identity of a credentials file.

    Args:
        info: The file's JSON.
        where: The file, for messages.

    Raises:
        IdentityError: it is not a credentials file, or of a kind without a Google identity.
    """
    if not isinstance(info, Mapping):
        raise IdentityError(f"{where} holds no JSON object, so it is not a credentials file.")
    universe = info.get("universe_domain") or _UNIVERSE
    if universe != _UNIVERSE:
        raise IdentityError(
            f"{where} belongs to another universe domain than {_UNIVERSE}, and only that one is supported."
        )
    kind = info.get("type")
    if kind == "service_account":
        return ServiceAccountKey(info, where)
    if kind in ("authorized_user", "external_account_authorized_user"):
        return UserCredentials(info, where)
    if kind == "external_account":
        federated = Federated(info, where)
        if not info.get("service_account_impersonation_url"):
            return federated
        account, url = _impersonated_account(info, where)
        return Impersonated(federated, account, url, kind=federated.kind)
    if kind == "impersonated_service_account":
        account, url = _impersonated_account(info, where)
        source = identity_of(
            info.get("source_credentials"), f"The source_credentials of {mid_sentence(where)}"
        )
        return Impersonated(source, account, url, _delegates(info, where))
    raise IdentityError(
        f"{where} has a type for which there is no Google ID token.",
        hint="Its type must be service_account, external_account or impersonated_service_account.",
    )


@dataclass(frozen=True, slots=True, repr=False)
class ServiceAccountKey:
    """A service account with a private key."""

    info: Mapping[str, Any]
    where: str
    kind: str = "service_account_key"

    @property
    def detail(self) -> str:
        """The account and its file."""
        return f"{self.info.get('client_email')}, by the key in {mid_sentence(self.where)}"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Exchange a signed assertion for an ID token (RFC 7523) at the key's own `token_uri`.

        Raises:
            IdentityError: the key cannot be used, or is not accepted.
        """

        def exchange() -> str:
            from google.oauth2 import service_account

            credentials = service_account.IDTokenCredentials.from_service_account_info(
                self.info, target_audience=audience
            )
            credentials.refresh(web)
            return str(credentials.token)

        return through_google_auth(web, self.where, _KEY_HINT, exchange)

    def access(self, web: "Web") -> Access:
        """Exchange a signed assertion for an access token.

        Raises:
            IdentityError: the key cannot be used, or is not accepted.
        """

        def exchange() -> Access:
            from google.oauth2 import service_account

            made = service_account.Credentials.from_service_account_info(self.info, scopes=SCOPES)
            return refreshed(made, web)

        return through_google_auth(web, self.where, _KEY_HINT, exchange)


@dataclass(frozen=True, slots=True, repr=False)
class UserCredentials:
    """Credentials of a user, from `gcloud`. They can impersonate a service account, but give no usable ID token."""

    info: Mapping[str, Any]
    where: str
    kind: str = "user_credentials"

    @property
    def detail(self) -> str:
        """The file."""
        return f"a user's own credentials in {mid_sentence(self.where)}"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Refuse, because the audience of a user's ID token is always gcloud's own client.

        Raises:
            IdentityError: always.
        """
        raise IdentityError(
            f"{self.where} holds a user's own credentials, for which Google issues no ID token with the audience"
            f" {audience}.",
            hint="Impersonate a service account: set service_account=ACCOUNT, or run `gcloud auth application-default"
            " login --impersonate-service-account=ACCOUNT`. On Google Cloud, credentials='metadata' uses the"
            " attached account instead.",
        )

    def access(self, web: "Web") -> Access:
        """Exchange the refresh token for an access token.

        Raises:
            IdentityError: it is no longer accepted.
        """

        def exchange() -> Access:
            if self.info["type"] == "external_account_authorized_user":
                from google.auth import external_account_authorized_user

                return refreshed(external_account_authorized_user.Credentials.from_info(dict(self.info)), web)
            from google.oauth2 import credentials

            made = credentials.Credentials.from_authorized_user_info(dict(self.info))
            if token_uri := self.info.get("token_uri"):
                made = made.with_token_uri(token_uri)
            return refreshed(made.with_quota_project_from_environment(), web)

        return through_google_auth(web, self.where, _USER_HINT, exchange)


def _impersonated_account(info: Mapping[str, Any], where: str) -> tuple[str, str]:
    match = _IMPERSONATION_URL.fullmatch(str(info.get("service_account_impersonation_url")))
    if match is None:
        raise IdentityError(
            f"{where} has a service_account_impersonation_url that names no service account.",
            hint="It must end in /serviceAccounts/ACCOUNT:generateAccessToken.",
        )
    return match[2], match[1]


def _delegates(info: Mapping[str, Any], where: str) -> tuple[str, ...]:
    named = info.get("delegates") or []
    if not isinstance(named, list) or not all(isinstance(delegate, str) for delegate in named):
        raise IdentityError(f"{where} has delegates that are not a list of names.")
    return tuple(delegate.rpartition("/")[2] for delegate in named)


_KEY_HINT = "Check that the key still exists, that its account is not disabled, and that this machine's clock is right."
_USER_HINT = "Log in again: `gcloud auth application-default login`."
