"""What a Google identity is to the rest of this package: where it comes from, and what can be asked of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from meshpass._google.web import Web


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

    def access_headers(self, web: "Web") -> dict[str, str]:
        """Return the headers by which this identity calls Google's own APIs."""
        ...
