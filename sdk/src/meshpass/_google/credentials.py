"""Google's credentials files, through google-auth.

See https://google.aip.dev/auth/4110 for the files, /4117 for workload identity federation.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from meshpass._errors import IdentityError
from meshpass._google.aws import container_endpoint, container_supplier
from meshpass._google.impersonation import Impersonated

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from meshpass._google.origin import Identity
    from meshpass._google.web import Web

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_UNIVERSE = "googleapis.com"
_IMPERSONATION_URL = re.compile(r"(https?://[^\s?#]+/serviceAccounts/([^\s/:?#]+)):generateAccessToken")
_AWS_TOKEN_TYPE = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105 - the name of a type
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

Info = Mapping[str, Any]
_Result = TypeVar("_Result")


def identity_of(info: object, where: str) -> "Identity":
    """Return the identity that a credentials file stands for.

    Args:
        info: The file's JSON.
        where: The file, for messages.

    Raises:
        IdentityError: it is no credentials file, or of a kind that gives no Google identity.
    """
    if not isinstance(info, Mapping):
        raise IdentityError(f"{where} holds no JSON object, so it is no credentials file.")
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
        source = identity_of(info.get("source_credentials"), f"The source_credentials of {where}")
        return Impersonated(source, account, url, tuple(map(_account_of, info.get("delegates") or ())))
    raise IdentityError(
        f"{where} is not of a type that gives a Google ID token.",
        hint="Its type must be service_account, external_account or impersonated_service_account.",
    )


@dataclass(frozen=True, slots=True, repr=False)
class ServiceAccountKey:
    """A service account, by its private key."""

    info: Info
    where: str
    kind: str = "service_account_key"

    @property
    def detail(self) -> str:
        """The account and its file."""
        return f"{self.info.get('client_email')}, by the key in {_lower(self.where)}"

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

        return _through_google_auth(web, self.where, _KEY_HINT, exchange)

    def access_headers(self, web: "Web") -> dict[str, str]:
        """Exchange a signed assertion for an access token.

        Raises:
            IdentityError: the key cannot be used, or is not accepted.
        """

        def exchange() -> dict[str, str]:
            from google.oauth2 import service_account

            made = service_account.Credentials.from_service_account_info(self.info, scopes=_SCOPES)
            return _refreshed(made, web)

        return _through_google_auth(web, self.where, _KEY_HINT, exchange)


@dataclass(frozen=True, slots=True, repr=False)
class Federated:
    """A workload outside Google Cloud, known to a workload identity pool by a token of its own platform."""

    info: Info
    where: str
    kind: str = "workload_identity"

    @property
    def detail(self) -> str:
        """The platform's token, and the file that says how it is got."""
        aws = self.info.get("subject_token_type") == _AWS_TOKEN_TYPE
        return f"this {'AWS ' if aws else ''}workload, by {_lower(self.where)}"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Refuse: a pool's principal has access tokens only.

        Raises:
            IdentityError: always.
        """
        raise IdentityError(
            f"{self.where} federates this workload without a service account, and Google gives ID tokens to service"
            " accounts alone.",
            hint="Set service_account=, or make the file with `gcloud iam workload-identity-pools create-cred-config"
            " --service-account=ACCOUNT`.",
        )

    def access_headers(self, web: "Web") -> dict[str, str]:
        """Exchange the platform's token for Google's (RFC 8693).

        Raises:
            IdentityError: there is no such token, or it is not accepted.
        """
        source = self.info.get("credential_source")
        if isinstance(source, Mapping):
            _check_subject_token(source, self.where)
        return _through_google_auth(
            web, self.where, _FEDERATION_HINT, lambda: _refreshed(_federated(self.info), web)
        )


@dataclass(frozen=True, slots=True, repr=False)
class UserCredentials:
    """A person who logged in with `gcloud`. They may act as a service account; their own ID tokens are no use."""

    info: Info
    where: str
    kind: str = "user_credentials"

    @property
    def detail(self) -> str:
        """The file."""
        return f"a user's own credentials in {_lower(self.where)}"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Refuse: the audience of a user's ID token is gcloud's own client, whatever is asked for.

        Raises:
            IdentityError: always.
        """
        raise IdentityError(
            f"{self.where} holds a user's own credentials, for which Google gives no ID token with the audience"
            f" {audience}.",
            hint="Act as a service account: set service_account=ACCOUNT, or run `gcloud auth application-default"
            " login --impersonate-service-account=ACCOUNT`. On Google Cloud, credentials='metadata' takes the"
            " attached account instead.",
        )

    def access_headers(self, web: "Web") -> dict[str, str]:
        """Use the refresh token.

        Raises:
            IdentityError: it is no longer accepted.
        """

        def exchange() -> dict[str, str]:
            if self.info["type"] == "external_account_authorized_user":
                from google.auth import external_account_authorized_user

                return _refreshed(
                    external_account_authorized_user.Credentials.from_info(dict(self.info)), web
                )
            from google.oauth2 import credentials

            made = credentials.Credentials.from_authorized_user_info(dict(self.info))
            if token_uri := self.info.get("token_uri"):
                made = made.with_token_uri(token_uri)
            return _refreshed(made.with_quota_project_from_environment(), web)

        return _through_google_auth(web, self.where, _USER_HINT, exchange)


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

    def access_headers(self, web: "Web") -> dict[str, str]:
        """Refresh the object if it needs it.

        Raises:
            IdentityError: that failed.
        """
        name = f"The {type(self.credentials).__name__} object"

        def refresh() -> dict[str, str]:
            made: Any = self.credentials
            if getattr(made, "requires_scopes", False):
                made = made.with_scopes(_SCOPES)
            return _refreshed(made, web)

        return _through_google_auth(web, name, "Check the credentials.", refresh)


def _check_subject_token(source: Info, where: str) -> None:
    # Two things that google-auth would say in a message which cannot be trusted to hold nothing else.
    file = source.get("file")
    if file and not Path(file).is_file():
        raise IdentityError(
            f"{where} takes this workload's token from {file}, which is not a file.",
            hint="Check that the platform mounts it there.",
        )
    if "executable" in source and os.environ.get("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES") != "1":
        raise IdentityError(
            f"{where} takes this workload's token from a program, which is not allowed to run.",
            hint="Set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 if you trust that file.",
        )


def _federated(info: Info) -> Any:  # noqa: ANN401 - google-auth types it in part
    # The service account is the business of `Impersonated`.
    rest = {
        name: value for name, value in info.items() if not name.startswith("service_account_impersonation")
    }
    source = rest.get("credential_source") or {}
    if rest.get("subject_token_type") == _AWS_TOKEN_TYPE:
        from google.auth import aws

        endpoint = container_endpoint(os.environ)
        if endpoint is None:
            return aws.Credentials.from_info(rest, scopes=_SCOPES)
        rest.pop("credential_source", None)
        supplier = container_supplier(endpoint)
        return aws.Credentials.from_info(rest, scopes=_SCOPES, aws_security_credentials_supplier=supplier)
    if "executable" in source:
        from google.auth import pluggable

        return pluggable.Credentials.from_info(rest, scopes=_SCOPES)
    from google.auth import identity_pool

    return identity_pool.Credentials.from_info(rest, scopes=_SCOPES)


def _refreshed(credentials: Any, web: "Web") -> dict[str, str]:  # noqa: ANN401 - google-auth types it in part
    if not credentials.valid:
        credentials.refresh(web)
    headers: dict[str, str] = {}
    credentials.apply(headers)
    return headers


def _through_google_auth(web: "Web", where: str, hint: str, work: Callable[[], _Result]) -> _Result:
    web.last = None
    why = ""
    try:
        return work()
    except ImportError:
        raise IdentityError(
            f"{where} is used by google-auth, which is not installed.", hint="Install `meshpass[google]`."
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
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({error})" if isinstance(error, str) and error in _OAUTH_ERRORS else ""


def _impersonated_account(info: Info, where: str) -> tuple[str, str]:
    match = _IMPERSONATION_URL.fullmatch(str(info.get("service_account_impersonation_url")))
    if match is None:
        raise IdentityError(
            f"{where} has a service_account_impersonation_url that names no service account.",
            hint="It must end in /serviceAccounts/ACCOUNT:generateAccessToken.",
        )
    return match[2], match[1]


def _account_of(delegate: object) -> str:
    return str(delegate).rpartition("/")[2]


def _lower(where: str) -> str:
    return where[0].lower() + where[1:] if where.startswith("The ") else where


_KEY_HINT = "Check that the key still exists, that its account is not disabled, and that this machine's clock is right."
_FEDERATION_HINT = (
    "Check where this workload's token comes from, and the pool's provider: its audience, issuer and attribute"
    " condition."
)
_USER_HINT = "Log in again: `gcloud auth application-default login`."
