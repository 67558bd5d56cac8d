"""HTTP server on loopback that answers gcloud with a recorded deployment, as Google's APIs would.

gcloud reaches it as an HTTP proxy, because it puts a region before the host names of some endpoints.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from deploy.steps.cloud import questions

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
    token = folder / "token"
    token.write_text("no-token-of-google")
    overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"http://{api}.{DOMAIN}/" for api in _APIS}
    return {
        **overrides,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"http://compute.{DOMAIN}/compute/v1/",
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        "CLOUDSDK_PROXY_TYPE": "http_no_tunnel",
        "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
        "CLOUDSDK_PROXY_PORT": str(port),
    }


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

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            host = (parts.hostname or "").removesuffix(f".{DOMAIN}")
            api = next(
                (name for name in (*_APIS, "compute") if host == name or host.endswith(f"-{name}")), "?"
            )
            path = f"{api}{unquote(parts.path)}"
            if path.endswith("/revisions"):
                path += f"?{unquote(parts.query).partition('labelSelector=')[2].replace('+', ' ').partition('&')[0]}"
            asked.append(f"{self.command} {path}")
            code, data = found.get(path, error(404, "NOT_FOUND", f"Resource not found (resource={path})."))
            content = json.dumps(data).encode()
            self.send_response(code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = _answer  # noqa: N815 - http.server's names
        do_POST = _answer  # noqa: N815
        do_PUT = _answer  # noqa: N815
        do_PATCH = _answer  # noqa: N815
        do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Write no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
