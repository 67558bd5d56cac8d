"""AWS credentials of a container: Amazon ECS, Fargate and EKS Pod Identity, which google-auth does not read.

See https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshpass._errors import IdentityError
from meshpass._tokens.untrusted_json import json_object

if TYPE_CHECKING:
    from google.auth.aws import AwsSecurityCredentials, AwsSecurityCredentialsSupplier

    from meshpass._tokens.google.web import Web

_ECS = "169.254.170.2"
_PLAINTEXT_HOSTS = frozenset({_ECS, "169.254.170.23", "fd00:ec2::23"})


@dataclass(frozen=True, slots=True, repr=False)
class ContainerEndpoint:
    """Location of a container's AWS credentials. The URL is a secret, because on ECS it is enough to get them.

    Args:
        url: The credentials' URL.
        token: The `Authorization` header's value, if there is one.
        token_file: The file with that value. It is read each time, because it is rotated.
        region: The AWS region.
    """

    url: str
    token: str | None
    token_file: str | None
    region: str | None


def container_endpoint(environ: Mapping[str, str]) -> ContainerEndpoint | None:
    """Return the location of this container's AWS credentials; None without one, or with keys in the environment.

    Args:
        environ: The environment.

    Raises:
        IdentityError: the environment names a URL that AWS's own clients would not call.
    """
    if environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
        return None
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    full = environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if relative:
        url = f"http://{_ECS}/{relative.lstrip('/')}"
    elif full:
        url = full
        if not _allowed(full):
            raise IdentityError(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither an https:// URL nor an address of this machine.",
                hint="Set it as ECS or EKS do, or unset it.",
            )
    else:
        return None
    return ContainerEndpoint(
        url,
        environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION"),
    )


def container_supplier(endpoint: ContainerEndpoint) -> "AwsSecurityCredentialsSupplier":
    """Return an object that reads those credentials for google-auth."""
    from google.auth.aws import AwsSecurityCredentials, AwsSecurityCredentialsSupplier

    class Supplier(AwsSecurityCredentialsSupplier):
        def get_aws_security_credentials(self, context: object, request: "Web") -> "AwsSecurityCredentials":
            return AwsSecurityCredentials(*_read(endpoint, request))

        def get_aws_region(self, context: object, request: "Web") -> str:
            if not endpoint.region:
                raise IdentityError(
                    "The AWS region of this container is not known.",
                    hint="Set AWS_REGION in its environment.",
                )
            return endpoint.region

    return Supplier()


def _read(endpoint: ContainerEndpoint, web: "Web") -> tuple[str, str, str | None]:
    authorization = _authorization(endpoint)
    headers = {"authorization": authorization} if authorization else {}
    response = web.send(endpoint.url, headers={**headers, "accept": "application/json"})
    host = urlsplit(endpoint.url).netloc
    if response.status != 200:
        raise IdentityError(
            f"The AWS credentials of this container cannot be read: {host} answered {response.status}.",
            hint="Check the task's IAM role, or the pod's identity association.",
        )
    found = json_object(response.data)
    key_id, key, token = (found.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token"))
    if isinstance(key_id, str) and isinstance(key, str) and isinstance(token, str | None):
        return key_id, key, token
    raise IdentityError(
        f"The AWS credentials of this container cannot be read: {host} did not send such credentials."
    )


def _authorization(endpoint: ContainerEndpoint) -> str | None:
    token = endpoint.token
    if endpoint.token_file:
        try:
            token = Path(endpoint.token_file).read_text().strip()
        except (OSError, UnicodeDecodeError):
            token = None
        if token is None:
            raise IdentityError(
                "The file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names cannot be read.",
                hint="Check that it is mounted into this container.",
            )
    if token and not token.isprintable():
        raise IdentityError("AWS_CONTAINER_AUTHORIZATION_TOKEN, or its file, holds line breaks.")
    return token


def _allowed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme != "http":
            return parts.scheme == "https"
        host = parts.hostname or ""
        return host == "localhost" or host in _PLAINTEXT_HOSTS or ip_address(host).is_loopback
    except ValueError:
        return False
