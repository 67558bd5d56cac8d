"""The metadata server of Compute Engine, GKE, Cloud Run, Cloud Run functions and App Engine.

See https://cloud.google.com/compute/docs/instances/verifying-instance-identity and
https://cloud.google.com/run/docs/securing/service-identity.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from meshpass._address import parse_address
from meshpass._errors import IdentityError
from meshpass._tokens.google.origin import Access
from meshpass._tokens.untrusted_json import json_object, seconds

if TYPE_CHECKING:
    from meshpass._tokens.google.web import Web, WebResponse

_DEFAULT_HOST = "metadata.google.internal"
_DEFAULT_IP = "169.254.169.254"
_ACCOUNT_PATH = "/computeMetadata/v1/instance/service-accounts/default/"
_FLAVOR = "Metadata-Flavor"
# Set by Google's platforms, or by a user who names the server. With one of them, no probe is needed.
_HINTS = (
    "GCE_METADATA_HOST",
    "GCE_METADATA_ROOT",
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "FUNCTION_TARGET",
    "GAE_ENV",
    "GAE_SERVICE",
)
_PRODUCT_FILE = Path("/sys/class/dmi/id/product_name")
# In its first seconds a new instance's server refuses connections or answers 503.
_ATTEMPTS = 6
_TIMEOUT_S = 5.0
_PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class MetadataServer:
    """The service account that Google attached to this machine.

    Args:
        host: The server's name or address, with its port if that is not 80.
        certain: Whether the environment shows that the server exists. If not, there is one short attempt.
    """

    host: str
    certain: bool
    kind: str = "metadata_server"

    @property
    def detail(self) -> str:
        """The attached service account, and the server's address."""
        return f"the service account attached to this machine, from {self.host}"

    def id_token(self, web: "Web", audience: str, *, include_email: bool) -> str:
        """Return an ID token from the server, which caches tokens: it may return the same one for an hour.

        Raises:
            IdentityError: there is no server, or it gives no token.
        """
        query = urlencode({"audience": audience, "format": "full" if include_email else "standard"})
        return self._get(web, f"identity?{query}").data.decode("ascii", "replace").strip()

    def access(self, web: "Web") -> Access:
        """Return an access token from the server.

        Raises:
            IdentityError: there is no server, or it gives no token.
        """
        document = json_object(self._get(web, "token").data)
        token, lasts_s = document.get("access_token"), seconds(document.get("expires_in"))
        if not isinstance(token, str) or lasts_s is None:
            raise IdentityError(f"The metadata server at {self.host} answered without an access token.")
        return Access(token, time.time() + lasts_s)

    def _get(self, web: "Web", what: str) -> "WebResponse":
        url, headers = f"http://{self.host}{_ACCOUNT_PATH}{what}", {_FLAVOR: "Google"}
        if self.certain:
            response = web.send(
                url, headers=headers, attempts=_ATTEMPTS, timeout_s=_TIMEOUT_S, hint=_NOT_READY
            )
        else:
            response = self._probe(web, url, headers)
        if response.headers.get(_FLAVOR) != "Google":
            raise IdentityError(
                f"The server at {self.host} is not Google's metadata server: its response lacks"
                " Metadata-Flavor: Google.",
                hint="Check GCE_METADATA_HOST, and that no proxy is in between.",
            )
        if response.status != 200:
            raise IdentityError(
                f"The metadata server at {self.host} gives no token: it answered {response.status}.",
                hint=_NEXT_STEPS.get(response.status, "Check the service account attached to this machine."),
            )
        return response

    def _probe(self, web: "Web", url: str, headers: Mapping[str, str]) -> "WebResponse":
        try:
            response = web.send(url, headers=headers, attempts=1, timeout_s=_PROBE_TIMEOUT_S)
        except IdentityError as exc:
            why, retryable = str(exc.args[0]), True
        else:
            if response.headers.get(_FLAVOR) == "Google":
                return response
            why, retryable = f"the server at {self.host} is another one.", False
        raise IdentityError(
            f"No Google identity was found. There is no credentials file, and no metadata server: {why}",
            hint=_NOWHERE,
            retryable=retryable,
        )


def metadata_host(environ: Mapping[str, str]) -> str:
    """Return the metadata server's name, or the address that the environment gives for it.

    Raises:
        IdentityError: a variable does not hold an address.
    """
    names = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT")
    return next((_host_in(environ, name) for name in names if environ.get(name)), _DEFAULT_HOST)


def find_metadata_server(
    environ: Mapping[str, str], product_file: Path = _PRODUCT_FILE
) -> tuple[MetadataServer, str]:
    """Return this machine's metadata server, and how it was found. This sends nothing.

    Args:
        environ: The environment.
        product_file: The file in which Linux names the machine's product.
    """
    host = metadata_host(environ)
    for name in _HINTS:
        if environ.get(name):
            return MetadataServer(host, certain=True), f"{name} is set"
    if _made_by_google(product_file):
        return MetadataServer(host, certain=True), "this machine is one of Google's"
    # By its address, because outside Google Cloud a resolver may need long to report that the name does not exist.
    address = _host_in(environ, "GCE_METADATA_IP") if environ.get("GCE_METADATA_IP") else _DEFAULT_IP
    return MetadataServer(address, certain=False), "nothing shows whether this machine is one of Google's"


def _host_in(environ: Mapping[str, str], name: str) -> str:
    try:
        address = parse_address(environ[name], 80)
    except ValueError as exc:
        raise IdentityError(
            f"{name} {exc}.", hint="Write a host name or an IP address, with a port where it is not 80."
        ) from None
    return str(address).removesuffix(":80")


def _made_by_google(product_file: Path) -> bool:
    try:
        return product_file.read_text().startswith("Google")
    except (OSError, UnicodeDecodeError):
        return False


_NOT_READY = "It may not be ready yet: try again. If it stays, check that this machine has a service account."
_NOWHERE = (
    "On Google Cloud, attach a service account and set GCE_METADATA_HOST=metadata.google.internal. Elsewhere, set"
    " GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or on your own machine run"
    " `gcloud auth application-default login --impersonate-service-account=ACCOUNT`."
)
_NEXT_STEPS = {
    400: "Check the audience.",
    403: "On GKE, bind the pod's Kubernetes service account to a Google one (roles/iam.workloadIdentityUser).",
    404: "No service account is attached to this machine, or it was deleted: attach one. On GKE, name it in the"
    " annotation iam.gke.io/gcp-service-account of the pod's Kubernetes service account.",
}
