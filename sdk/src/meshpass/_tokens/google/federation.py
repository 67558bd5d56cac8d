"""Workload identity federation: exchange of the platform's token for Google's.

See https://google.aip.dev/auth/4117.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshpass._errors import IdentityError
from meshpass._tokens.google.aws import container_endpoint, container_supplier
from meshpass._tokens.google.google_auth import SCOPES, mid_sentence, refreshed, through_google_auth
from meshpass._tokens.google.origin import Access

if TYPE_CHECKING:
    from meshpass._tokens.google.web import Web

_AWS_TOKEN_TYPE = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105 - the name of a type


@dataclass(frozen=True, slots=True, repr=False)
class Federated:
    """A workload outside Google Cloud that a workload identity pool accepts with a token of its platform."""

    info: Mapping[str, Any]
    where: str
    kind: str = "workload_identity"

    @property
    def detail(self) -> str:
        """The platform, and the credentials file."""
        aws = self.info.get("subject_token_type") == _AWS_TOKEN_TYPE
        return f"this {'AWS ' if aws else ''}workload, by {mid_sentence(self.where)}"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Refuse, because a pool's principal has access tokens only.

        Raises:
            IdentityError: always.
        """
        raise IdentityError(
            f"{self.where} federates this workload without a service account, and Google issues ID tokens only for"
            " service accounts.",
            hint="Set service_account=, or make the file with `gcloud iam workload-identity-pools create-cred-config"
            " --service-account=ACCOUNT`.",
        )

    def access(self, web: "Web") -> Access:
        """Exchange the platform's token for Google's (RFC 8693).

        Raises:
            IdentityError: there is no such token, or it is not accepted.
        """
        source = self.info.get("credential_source")
        if isinstance(source, Mapping):
            _check_subject_token(source, self.where)
        return through_google_auth(
            web, self.where, _FEDERATION_HINT, lambda: refreshed(_federated(self.info), web)
        )


def _check_subject_token(source: Mapping[str, Any], where: str) -> None:
    # Two failures that are checked here, because the messages of google-auth may hold secrets and are not shown.
    file = source.get("file")
    if file and not (isinstance(file, str) and os.path.isfile(file)):  # noqa: PTH113 - false for a null byte, too
        raise IdentityError(
            f"{where} takes this workload's token from {file}, which is not a file.",
            hint="Check that the platform mounts it there.",
        )
    if "executable" in source and os.environ.get("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES") != "1":
        raise IdentityError(
            f"{where} takes this workload's token from a program, which is not allowed to run.",
            hint="Set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 if you trust that file.",
        )


def _federated(info: Mapping[str, Any]) -> Any:  # noqa: ANN401 - google-auth types it in part
    # `Impersonated` acts as the service account.
    rest = {
        name: value for name, value in info.items() if not name.startswith("service_account_impersonation")
    }
    source = rest.get("credential_source") or {}
    if rest.get("subject_token_type") == _AWS_TOKEN_TYPE:
        from google.auth import aws

        endpoint = container_endpoint(os.environ)
        if endpoint is None:
            return aws.Credentials.from_info(rest, scopes=SCOPES)
        rest.pop("credential_source", None)
        supplier = container_supplier(endpoint)
        return aws.Credentials.from_info(rest, scopes=SCOPES, aws_security_credentials_supplier=supplier)
    if "executable" in source:
        from google.auth import pluggable

        return pluggable.Credentials.from_info(rest, scopes=SCOPES)
    from google.auth import identity_pool

    return identity_pool.Credentials.from_info(rest, scopes=SCOPES)


_FEDERATION_HINT = (
    "Check where this workload's token comes from, and the pool's provider: its audience, issuer and attribute"
    " condition."
)
