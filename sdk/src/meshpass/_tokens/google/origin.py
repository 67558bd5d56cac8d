"""Google identities as the rest of this package uses them: their origin, and the tokens that they give."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from meshpass._errors import IdentityError

if TYPE_CHECKING:
    from meshpass._tokens.google.web import Web


@dataclass(frozen=True, slots=True)
class IdentityOrigin:
    """Origin of a caller's Google identity, as text for people.

    Args:
        kind: `metadata_server`, `service_account_key`, `workload_identity`, `impersonation`, `user_credentials` or
            `google_auth` (a credentials object of google-auth).
        detail: The account, and the file or server that it comes from.
        why: Why this identity was chosen.
    """

    kind: str
    detail: str
    why: str


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """Access token for Google's own APIs. Its repr does not show it, because it is a secret.

    Args:
        token: The access token.
        expires_at: When it expires, in POSIX seconds.
        further: Headers to send with it, such as `x-goog-user-project`; none of them is a secret.
    """

    token: str
    expires_at: float
    further: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values that a header cannot hold (RFC 6750, section 2.1; RFC 9110, section 5.5).

        Raises:
            IdentityError: a value has other characters in it.
        """
        if not _TOKEN.fullmatch(self.token):
            raise IdentityError("The access token is not valid: it has characters that no token has.")
        for name, value in self.further.items():
            if not value.isascii() or not value.isprintable():
                raise IdentityError(f"The credentials give {name} a value that a header cannot hold.")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request, `authorization` among them."""
        return {**self.further, "authorization": f"Bearer {self.token}"}


_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Identity(Protocol):
    """A Google identity that gives tokens.

    `kind` and `detail` are those of its `IdentityOrigin`. Both methods block, and raise `IdentityError` when they
    fail.
    """

    @property
    def kind(self) -> str: ...

    @property
    def detail(self) -> str: ...

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Return an ID token of this identity for an audience."""
        ...

    def access(self, web: "Web") -> Access:
        """Return an access token with which this identity calls Google's own APIs."""
        ...
