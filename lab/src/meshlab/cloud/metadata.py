"""The metadata server on this machine: what `google.auth.default()` finds on Cloud Run.

Point clients at it with `GCE_METADATA_HOST` and `GCE_METADATA_IP`, both `127.0.0.1:PORT`. It reports the project,
describes the default service account, and hands out one access token, random at each start, that is good for
nothing. It makes identity tokens for any audience; a verifier finds their key where Google's own keys
lie on www.googleapis.com, at `/oauth2/v3/certs`.

Source: https://cloud.google.com/run/docs/container-contract#metadata-server
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from meshlab.cloud import serving
from meshlab.cloud.identity import ISSUER, IdentityTokens
from meshlab.cloud.metadata_tree import MetadataTreeApp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.cloud.metadata_tree import Directory, Endpoint, Query, Reply

DEFAULT_PROJECT = "meshpass-lab"
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
TOKEN_LIFETIME_S = 3599

_CERTS = "/oauth2/v3/certs"


def service_account_email(project: str) -> str:
    """Return the address of the project's only service account.

    It is not under `gserviceaccount.com`: for such an address google-auth asks Google, from a thread of its
    own, for the account's regional access boundary, and nothing here may call out.
    """
    return f"function@{project}.meshlab.invalid"


class MetadataApp(MetadataTreeApp):
    """The metadata server as an ASGI application.

    Args:
        project: The project to report.
        tokens: The identity tokens, where they are another account's than that of the directory.
    """

    def __init__(self, project: str, tokens: IdentityTokens | None = None) -> None:
        email = service_account_email(project)
        tokens = tokens or IdentityTokens(email)
        account = account_directory(email, SCOPES, access_token(), identity_token(tokens))
        super().__init__(
            {
                "instance": {"service-accounts": {"default": account, email: account}},
                "project": {"project-id": project},
                "universe": {"universe-domain": "googleapis.com"},
            },
            public={_CERTS: lambda: tokens.jwks},
        )


def account_directory(email: str, scopes: Sequence[str], token: Endpoint, identity: Endpoint) -> Directory:
    """Return the directory of an attached service account.

    Args:
        email: The account.
        scopes: The access scopes of its tokens.
        token: The entry of its access tokens.
        identity: The entry of its identity tokens.
    """
    return {
        "aliases": ["default"],
        "email": email,
        "identity": identity,
        "scopes": list(scopes),
        "token": token,
    }


def access_token() -> Endpoint:
    """Return the entry of an access token that is random, the same at each request, and good for nothing."""
    document = {
        "access_token": f"lab.{secrets.token_urlsafe(32)}",
        "expires_in": TOKEN_LIFETIME_S,
        "token_type": "Bearer",
    }
    return lambda _query: (200, document)


def identity_token(tokens: IdentityTokens) -> Endpoint:
    """Return the entry of an account's identity tokens."""

    def answer(query: Query) -> Reply:
        audience, form = query.get("audience", ""), query.get("format", "standard")
        if not audience:
            return 400, "non-empty audience parameter required\n"
        if form not in ("standard", "full"):
            return 400, "format parameter must be standard or full\n"
        return 200, tokens.token(audience, full=form == "full")

    return answer


@contextlib.contextmanager
def running(project: str = DEFAULT_PROJECT) -> Iterator[str]:
    """Serve metadata from a thread of this process, for as long as the block runs.

    Args:
        project: The project to report.

    Yields:
        The value for `GCE_METADATA_HOST` and `GCE_METADATA_IP`, as `127.0.0.1:PORT`.
    """
    with serving.serving(MetadataApp(project)) as address:
        yield address


def main() -> None:
    """Run the fake until a signal ends it."""
    parser = serving.argument_parser("meshlab.cloud.metadata", "Metadata server fake")
    parser.add_argument("--project", default=DEFAULT_PROJECT, help=f"project to report; {DEFAULT_PROJECT}")
    parser.add_argument("--identity-issuer", default=ISSUER, help=f"iss of identity tokens; {ISSUER}")
    parser.add_argument(
        "--identity-subject", default="", help="sub of identity tokens; made from the project"
    )
    parser.add_argument("--identity-email", default="", help="e-mail address in identity tokens")
    arguments = parser.parse_args()
    tokens = IdentityTokens(
        arguments.identity_email or service_account_email(arguments.project),
        issuer=arguments.identity_issuer,
        subject=arguments.identity_subject,
    )
    serving.serve(MetadataApp(arguments.project, tokens), arguments.port)


if __name__ == "__main__":
    main()
