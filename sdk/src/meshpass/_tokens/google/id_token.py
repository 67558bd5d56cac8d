"""Google ID tokens for one audience, as a caller's tokens."""

import hashlib
import json
import os
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from meshpass._errors import ConfigurationError, IdentityError
from meshpass._frames import sealed
from meshpass._token import Token
from meshpass._tokens.cache import CachedSource
from meshpass._tokens.google.claims import read_token
from meshpass._tokens.google.detection import VARIABLES, find_identity
from meshpass._tokens.google.impersonation import IAM_ENDPOINT, impersonated
from meshpass._tokens.google.origin import IdentityOrigin
from meshpass._tokens.google.web import Web
from meshpass._tokens.raw_errors import as_mesh_error
from meshpass._values import shown, type_problems

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from meshpass._tokens.google.origin import Identity

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+|[0-9]+")
_ENDPOINT = re.compile(r"https://[^\s/?#]+/?|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?/?")

_without_raw_errors = as_mesh_error(IdentityError, "No Google identity can be used")


class GoogleIDToken(CachedSource):
    """Source of Google ID tokens of this process's own identity, for one audience.

    The identity is the first of these that exists. If one is named and cannot be used, that is an error.

    1. `credentials`.
    2. The file that `GOOGLE_APPLICATION_CREDENTIALS` names: a service account's key, workload identity federation
       (AWS included: environment, EC2, ECS and EKS Pod Identity) or an impersonated service account.
    3. gcloud's application default credentials. Those of a user are refused, because Google issues no ID token with a
       chosen audience for them: set `service_account`, or log in with `--impersonate-service-account`.
    4. The metadata server of Google Cloud. Elsewhere there is one attempt of one second; none with `NO_GCE_CHECK=true`.

    The search is repeated for each new token, so that a replaced file is used. All identities but the metadata server's
    need `meshpass[google]`. `token`, `atoken` and `invalidate` are those of every `TokenSource`.

    Args:
        audience: The token's `aud`, one of those the mesh's RequestAuthentication lists.
        service_account: E-mail address of a service account to impersonate. The identity found needs
            `roles/iam.serviceAccountOpenIdTokenCreator` on it.
        delegates: Service accounts between that identity and `service_account`, in order.
        credentials: A credentials file's path or its parsed JSON, `"metadata"` for the metadata server, or a
            credentials object of google-auth (with `service_account`).
        include_email: Whether the token has the account's e-mail address, where that can be chosen.
        iam_endpoint: URL of the IAM Credentials API for `service_account`; a regional or private one, for instance.
        trust_env: Whether `HTTPS_PROXY` and `NO_PROXY` are used for calls to Google.

    Raises:
        ConfigurationError: an argument is not valid; it lists all of them.
    """

    @sealed  # `credentials` may be a key
    def __init__(
        self,
        audience: str,
        *,
        service_account: str | None = None,
        delegates: Sequence[str] = (),
        credentials: "str | os.PathLike[str] | Mapping[str, object] | Credentials | None" = None,
        include_email: bool = True,
        iam_endpoint: str = IAM_ENDPOINT,
        trust_env: bool = False,
    ) -> None:
        self._audience = audience
        self._service_account = service_account
        # One address without a sequence round it counts as a sequence of one.
        self._delegates = tuple(delegates) if isinstance(delegates, list | tuple) else (delegates,)
        self._credentials = credentials
        self._include_email = include_email
        self._iam_endpoint = iam_endpoint
        self._trust_env = trust_env
        problems = self._problems()
        if problems:
            raise ConfigurationError(problems)

    @sealed
    @_without_raw_errors
    def origin(self) -> IdentityOrigin:
        """Return which identity was found and why, without getting a token.

        Raises:
            IdentityError: none was found, or the chosen one cannot be used.
        """
        identity, why = self._identity()
        return IdentityOrigin(identity.kind, identity.detail, why)

    def __repr__(self) -> str:
        account = f", service_account={self._service_account!r}" if self._service_account else ""
        return f"GoogleIDToken(audience={self._audience!r}{account})"

    def _cache_key(self) -> Hashable:
        return (
            "GoogleIDToken",
            self._audience,
            self._service_account,
            self._delegates,
            _key_of(self._credentials),
            self._include_email,
            self._iam_endpoint,
            *(os.environ.get(name) for name in VARIABLES),
        )

    @_without_raw_errors
    def _fetch(self, deadline_s: float) -> Token:
        identity, _ = self._identity()
        with Web(deadline_s, trust_env=self._trust_env) as web:
            encoded = identity.id_token(web, self._audience, include_email=self._include_email)
        return read_token(encoded, self._audience, identity.detail)

    def _identity(self) -> "tuple[Identity, str]":
        identity, why = find_identity(self._credentials, os.environ)
        if self._service_account:
            identity = impersonated(identity, self._service_account, self._delegates, self._iam_endpoint)
        return identity, why

    def _problems(self) -> list[str]:
        audience, accounts = self._audience, [self._service_account, *self._delegates]
        problems = []
        if not isinstance(audience, str | None):
            problems += type_problems(audience=audience)
        elif not audience or not audience.isprintable() or audience != audience.strip():
            problems.append("audience is empty, has spaces around it or control characters in it.")
        problems += [
            f"{shown(account)} is not a service account's e-mail address."
            for account in accounts
            if account is not None and not (isinstance(account, str) and _ACCOUNT.fullmatch(account))
        ]
        if self._delegates and not self._service_account:
            problems.append("delegates have an effect only with service_account.")
        if not isinstance(self._credentials, str | os.PathLike | Mapping | None) and not hasattr(
            self._credentials, "refresh"
        ):
            problems.append(
                f"credentials is of type {type(self._credentials).__name__}, which is not a kind of credentials."
            )
        try:
            _key_of(self._credentials)
        except (TypeError, ValueError, RecursionError):
            problems.append("credentials holds something that JSON cannot express.")
        if not isinstance(self._iam_endpoint, str) or not _ENDPOINT.fullmatch(self._iam_endpoint):
            problems.append(f"iam_endpoint is {shown(self._iam_endpoint)}; it must be https:// and a host.")
        return problems


def _key_of(credentials: object) -> Hashable:
    if isinstance(credentials, Mapping):
        # Equal credentials share a token. A digest is enough for that, so the key is not kept in the cache.
        content = json.dumps(credentials, sort_keys=True, default=repr).encode()
        return hashlib.sha256(content).hexdigest()
    return os.fspath(credentials) if isinstance(credentials, os.PathLike) else credentials
