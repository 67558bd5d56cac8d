"""HTTP server on loopback that answers gcloud with a recorded deployment, as Google's APIs would.

gcloud reaches it as an HTTP proxy, because it puts a region before the host names of some endpoints.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from deploy.steps.cloud import questions
from tests.deploy.api import google_cli
from tests.deploy.api.server import JsonHandler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DOMAIN = "googleapis.test"
_APIS = (
    "cloudfunctions", "run", "pubsub", "secretmanager", "iam", "cloudresourcemanager", "eventarc", "monitoring",
    "vpcaccess",
)  # fmt: skip

Answers = dict[str, tuple[int, Any]]
"""Status and JSON by API and path, such as ``pubsub/v1/projects/p/topics/t``."""


def environment(folder: Path, port: int) -> dict[str, str]:
    """The environment in which gcloud asks this server and no other."""
    overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"http://{api}.{DOMAIN}/" for api in _APIS}
    compute = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"http://compute.{DOMAIN}/compute/v1/"}
    return {**overrides, **compute, **google_cli.settings(folder, port, "no-token-of-google")}


def answers(recorded: Mapping[str, Any], values: Mapping[str, str]) -> Answers:
    """What the APIs answer, from the recorded output of gcloud."""
    project, region = values["GOOGLE_CLOUD_PROJECT"], values["REGION"]
    found: dict[str, Any] = {
        f"cloudresourcemanager/v1/projects/{project}": recorded["project"],
        f"cloudresourcemanager/v1/projects/{project}:getIamPolicy": recorded["project-policy"],
        f"pubsub/v1/projects/{project}/subscriptions": {"subscriptions": recorded["subscriptions"]},
        f"compute/compute/v1/projects/{project}/regions/{region}/addresses": {"items": recorded["addresses"]},
        f"compute/compute/v1/projects/{project}/regions/{region}/subnetworks/{values['VPC_SUBNET']}": recorded[
            "subnet"
        ],
        f"monitoring/v3/projects/{project}/alertPolicies": {"alertPolicies": recorded["alerts"]},
    }
    own = f"pubsub/v1/projects/{project}/subscriptions/{values['SUBSCRIPTION_NAME']}"
    found |= {own: recorded["subscription"], f"{own}:getIamPolicy": recorded["subscription-policy"]}
    for entry, key in (("enrich", "FUNCTION_NAME"), ("lookup", "LOOKUP_FUNCTION_NAME")):
        place = f"projects/{project}/locations/{region}"
        namespace = f"run/apis/serving.knative.dev/v1/namespaces/{project}"
        name = values[key]
        found[f"cloudfunctions/v2/{place}/functions/{name}"] = recorded[f"function-{entry}"]
        found[f"{namespace}/services/{name}"] = recorded[f"service-{entry}"]
        found[f"{namespace}/revisions?serving.knative.dev/service = {name}"] = {
            "items": recorded[f"revisions-{entry}"],
            "metadata": {},
        }
        found[f"run/v1/{place}/services/{name}:getIamPolicy"] = recorded[f"service-policy-{entry}"]
    for name, key in questions.TOPICS.items():
        topic = f"pubsub/v1/{questions.topic(values, key)}"
        found[topic] = recorded[f"topic-{name}"]
        found[f"{topic}:getIamPolicy"] = recorded[f"topic-policy-{name}"]
        found[f"{topic}/subscriptions"] = {"subscriptions": recorded[f"readers-{name}"]}
    for name in questions.secret_names(values):
        owner, _, secret_id, _ = questions.secret(values, questions.SECRETS[name])
        secret = f"secretmanager/v1/projects/{owner}/secrets/{secret_id}"
        found[secret] = recorded[f"secret-{name}"]
        found[f"{secret}:getIamPolicy"] = recorded[f"secret-policy-{name}"]
        found[f"{secret}/versions"] = {"versions": recorded[f"secret-versions-{name}"]}
    for name, key in questions.ACCOUNTS.items():
        account = f"iam/v1/projects/-/serviceAccounts/{values[key]}"
        found[account] = recorded[f"account-{name}"]
        found[f"{account}:getIamPolicy"] = recorded[f"account-policy-{name}"]
        found[f"{account}/keys"] = {"keys": recorded[f"account-keys-{name}"]}
    return {path: (200, data) for path, data in found.items()}


def error(code: int, status: str, message: str) -> tuple[int, Any]:
    """An error as Google's APIs write it (https://google.aip.dev/193)."""
    return code, {"error": {"code": code, "status": status, "message": message}}


@contextmanager
def serving(found: Answers, asked: list[str]) -> Iterator[int]:
    """Serve on a port of the loopback address; the methods and paths that were asked go into a list."""

    class Handler(JsonHandler):
        def respond(self, body: bytes) -> tuple[int, Any]:
            parts = urlsplit(self.path)
            host = (parts.hostname or "").removesuffix(f".{DOMAIN}")
            api = next(
                (name for name in (*_APIS, "compute") if host == name or host.endswith(f"-{name}")), "?"
            )
            path = f"{api}{unquote(parts.path)}"
            if path.endswith("/revisions"):
                path += f"?{unquote(parts.query).partition('labelSelector=')[2].replace('+', ' ').partition('&')[0]}"
            asked.append(f"{self.command} {path}")
            return found.get(path, error(404, "NOT_FOUND", f"Resource not found (resource={path})."))

    with listening(Handler) as port:
        yield port
