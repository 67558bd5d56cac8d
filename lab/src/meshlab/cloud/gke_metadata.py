"""The metadata server of a GKE pod on this machine, with Workload Identity Federation for GKE.

Where the pod's Kubernetes service account is linked to a Google service account by the annotation
`iam.gke.io/gcp-service-account`, the server gives that account's access tokens and identity tokens. Without the link
the pod is known as the cluster's workload identity pool, `PROJECT.svc.id.goog`: it gets access tokens of that identity
and no identity token, so it cannot call a private Cloud Run service.

One fake is one pod; on GKE the server finds the pod by its address. Point a client at it with `GCE_METADATA_HOST` and
`GCE_METADATA_IP`, both `127.0.0.1:PORT`.

Sources: https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity ,
https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity and, for the listing without a link,
https://github.com/argoproj/argo-cd/issues/20368
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from meshlab.cloud import serving
from meshlab.cloud.identity import IdentityKey, IdentityTokens
from meshlab.cloud.metadata import SCOPES, access_token, account_directory, identity_token
from meshlab.cloud.metadata_tree import MetadataTreeApp
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from meshlab.cloud.metadata_tree import Endpoint, Query, Reply

__all__ = ["ANNOTATION", "GkeMetadataApp", "Pod", "running"]

ANNOTATION = "iam.gke.io/gcp-service-account"
_CERTS = "/oauth2/v3/certs"


@dataclass(frozen=True)
class Pod:
    """A pod, as far as its metadata server knows it.

    Attributes:
        project: The cluster's project.
        namespace: The pod's namespace.
        service_account: Its Kubernetes service account.
        google_service_account: E-mail address of the Google service account in its annotation; None without it.
        granted: Whether the pod has `roles/iam.workloadIdentityUser` on that account.
        cluster: The cluster's name.
        location: The cluster's region or zone.
        project_number: The number of the cluster's project.
    """

    project: str
    namespace: str = "default"
    service_account: str = "default"
    google_service_account: str | None = None
    granted: bool = True
    cluster: str = "cluster"
    location: str = "europe-west1"
    project_number: str = "100000000001"

    @property
    def identity(self) -> str:
        """What the server reports as the pod's account: a Google service account, or the workload identity pool."""
        return self.google_service_account or f"{self.project}.svc.id.goog"


class GkeMetadataApp(MetadataTreeApp):
    """The pod's metadata server as an ASGI application.

    Args:
        pod: The pod.
        key: The key of Google's issuer; one of its own where there is none.
        warm_up: The statuses of the first responses, such as `(500, 503)`. On GKE the server needs a few seconds after
            the pod's start, and clients have to try again.
    """

    def __init__(self, pod: Pod, key: IdentityKey | None = None, warm_up: Sequence[int] = ()) -> None:
        self._warm_up = list(warm_up)
        key = key or IdentityKey()
        account = account_directory(pod.identity, SCOPES, *_tokens(pod, key))
        cluster = {"cluster-location": pod.location, "cluster-name": pod.cluster}
        super().__init__(
            {
                "instance": {
                    "attributes": cluster,
                    "service-accounts": {"default": account, pod.identity: account},
                },
                # gcloud takes the server for Google's if this is a number.
                "project": {"numeric-project-id": pod.project_number, "project-id": pod.project},
                "universe": {"universe-domain": "googleapis.com"},
            },
            public={_CERTS: lambda: key.jwks},
        )

    def answer(self, scope: dict[str, Any]) -> Reply:
        """Return the reply to a request: a failure as long as the server warms up."""
        if self._warm_up:
            return self._warm_up.pop(0), "The metadata server is not ready.\n"
        return super().answer(scope)


def _tokens(pod: Pod, key: IdentityKey) -> tuple[Endpoint, Endpoint]:
    """Return the entries of the pod's access tokens and of its identity tokens."""
    account = pod.google_service_account
    if account is None:
        return access_token(), _not_linked(pod)
    if not pod.granted:
        return _denied("getAccessToken"), _denied("getOpenIdToken")
    return access_token(), identity_token(IdentityTokens(account, key=key))


def _not_linked(pod: Pod) -> Endpoint:
    def answer(query: Query) -> Reply:
        if not query.get("audience"):
            return 400, "non-empty audience parameter required\n"
        return 404, (
            f"The Kubernetes service account {pod.namespace}/{pod.service_account} has no annotation {ANNOTATION}."
            " An identity token needs the Google service account that it names.\n"
        )

    return answer


def _denied(permission: str) -> Endpoint:
    return lambda _query: (403, f"IAM returned 403: Permission 'iam.serviceAccounts.{permission}' denied.\n")


@contextlib.contextmanager
def running(pod: Pod, key: IdentityKey | None = None, warm_up: Sequence[int] = ()) -> Iterator[str]:
    """Serve a pod's metadata from a thread of this process, for as long as the block runs.

    Args:
        pod: The pod.
        key: The key of Google's issuer; one of its own where there is none.
        warm_up: The statuses of the first responses.

    Yields:
        The value for `GCE_METADATA_HOST` and `GCE_METADATA_IP`, as `127.0.0.1:PORT`.
    """
    with serving.serving(GkeMetadataApp(pod, key, warm_up)) as address:
        yield address


def main() -> None:
    """Run the fake until a signal ends it."""
    parser = serving.argument_parser("meshlab.cloud.gke_metadata", "Metadata server of a GKE pod, fake")
    parser.add_argument("--project", default="meshpass-lab", help="the cluster's project; meshpass-lab")
    parser.add_argument("--namespace", default="default", help="the pod's namespace; default")
    parser.add_argument(
        "--service-account", default="default", help="its Kubernetes service account; default"
    )
    parser.add_argument(
        "--google-service-account", metavar="EMAIL", help=f"the account in its annotation {ANNOTATION}; none"
    )
    arguments = parser.parse_args()
    pod = Pod(
        arguments.project, arguments.namespace, arguments.service_account, arguments.google_service_account
    )
    serving.serve(GkeMetadataApp(pod), arguments.port)


if __name__ == "__main__":
    main()
