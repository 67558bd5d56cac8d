"""What a Google identity is to the rest of this package: where it comes from, and what can be asked of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from meshpass._errors import IdentityError

if TYPE_CHECKING:
    from meshpass._tokens.google.web import Web


@dataclass(frozen=True, slots=True)
class IdentityOrigin:
    """Where a caller's Google identity comes from, for people to read.

    Args:
        kind: `metadata_server`, `service_account_key`, `workload_identity`, `impersonation`, `user_credentials` or
            `google_auth` (a credentials object that was handed over).
        detail: Whose identity it is, and the file or server it comes from.
        why: Why this source was taken and not another.
    """

    kind: str
    detail: str
    why: str


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """What calls one of Google's own APIs. Its repr shows nothing of it, because it is a secret.

    Args:
        token: The access token.
        expires_at: When it expires, in POSIX seconds.
        further: Further headers that go with it, such as `x-goog-user-project`; none of them is a secret.
    """

    token: str
    expires_at: float
    further: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be a header's value (RFC 6750, section 2.1; RFC 9110, section 5.5).

        Raises:
            IdentityError: a value has other characters in it.
        """
        if not _TOKEN.fullmatch(self.token):
            raise IdentityError("What came as an access token is none.")
        for name, value in self.further.items():
            if not value.isascii() or not value.isprintable():
                raise IdentityError(f"The credentials give {name} a value that is no header's value.")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request, `authorization` among them."""
        return {**self.further, "authorization": f"Bearer {self.token}"}


_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Identity(Protocol):
    """A Google identity that can be asked for tokens.

    `kind` and `detail` are those of its `IdentityOrigin`. Both calls block, and raise `IdentityError` when they
    come to nothing.
    """

    @property
    def kind(self) -> str: ...

    @property
    def detail(self) -> str: ...

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Return an ID token of this identity for an audience."""
        ...

    def access(self, web: "Web") -> Access:
        """Return an access token by which this identity calls Google's own APIs."""
        ...
