"""Impersonation of a service account through the IAM Credentials API.

See https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from meshpass._errors import IdentityError
from meshpass._tokens.google.origin import Access
from meshpass._tokens.untrusted_json import json_object

if TYPE_CHECKING:
    from meshpass._tokens.google.origin import Identity
    from meshpass._tokens.google.web import Web

IAM_ENDPOINT = "https://iamcredentials.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True, slots=True)
class Impersonated:
    """A service account that another identity impersonates.

    Args:
        base: The identity that impersonates it.
        account: The service account's e-mail address.
        url: The account at the IAM Credentials API, without the method's name.
        delegates: Accounts in between, in order: the base may impersonate the first, and the last the account.
        kind: As in `IdentityOrigin`.
    """

    base: "Identity"
    account: str
    url: str
    delegates: tuple[str, ...] = ()
    kind: str = "impersonation"

    @property
    def detail(self) -> str:
        """The account, and the identity that impersonates it."""
        through = f" through {', '.join(self.delegates)}" if self.delegates else ""
        return f"{self.account}, impersonated{through} by {self.base.detail}"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Call `generateIdToken`.

        Raises:
            IdentityError: the base has no access token, or may not impersonate the account.
        """
        body = {"audience": audience, "includeEmail": include_email}
        return self._token(self._post(web, "generateIdToken", body), "generateIdToken", "token")

    def access(self, web: "Web") -> Access:
        """Call `generateAccessToken`.

        Raises:
            IdentityError: the base has no access token, or may not impersonate the account.
        """
        response = self._post(web, "generateAccessToken", {"scope": [_SCOPE]})
        token = self._token(response, "generateAccessToken", "accessToken")
        try:
            expires_at = datetime.fromisoformat(response["expireTime"]).timestamp()
        except (ValueError, KeyError, TypeError, OverflowError):
            expires_at = None
        if expires_at is None:
            raise IdentityError(f"generateAccessToken for {self.account} answered without a time of expiry.")
        return Access(token, expires_at)

    def _post(self, web: "Web", method: str, body: Mapping[str, object]) -> dict[str, Any]:
        delegates = [f"projects/-/serviceAccounts/{account}" for account in self.delegates]
        headers = {**self.base.access(web).headers, "content-type": "application/json"}
        content = json.dumps({**body, "delegates": delegates}).encode()
        response = web.send(f"{self.url}:{method}", "POST", content, headers)
        if response.status != 200:
            raise IdentityError(
                f"Impersonation of {self.account} failed: {method} answered {response.status} to {self.base.detail}.",
                hint=_NEXT_STEPS.get(
                    response.status, "Check the account's name, and that it is not disabled."
                ),
            )
        return json_object(response.data)

    def _token(self, response: Mapping[str, Any], method: str, wanted: str) -> str:
        token = response.get(wanted)
        if not isinstance(token, str):
            raise IdentityError(f"{method} for {self.account} answered without a token.")
        return token


def impersonated(
    base: "Identity",
    account: str,
    delegates: tuple[str, ...] = (),
    endpoint: str = IAM_ENDPOINT,
) -> Impersonated:
    """Return the account, impersonated by the base; the base itself if it is that account already."""
    if isinstance(base, Impersonated) and base.account == account and not delegates:
        return base
    # The project is `-`, because an account's address or number is unique in all of Google Cloud.
    url = f"{endpoint.rstrip('/')}/v1/projects/-/serviceAccounts/{account}"
    return Impersonated(base, account, url, delegates)


_NEXT_STEPS = {
    400: "Check the audience and the order of the delegates.",
    401: "The access token was not accepted: check the credentials it comes from.",
    403: (
        "Grant the calling identity roles/iam.serviceAccountOpenIdTokenCreator (with delegates:"
        " roles/iam.serviceAccountTokenCreator, each on the next) on that account, and enable the API"
        " iamcredentials.googleapis.com."
    ),
    404: "There is no such service account: check its name.",
}
