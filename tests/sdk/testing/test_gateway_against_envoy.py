"""The gateway for users' tests and the real one give the same answers of their own: status, words and headers."""

import http.client
import json
import ssl
from collections.abc import Mapping

import pytest
from meshlab.istio import Address
from meshlab.lab.contract_tokens import Tokens
from meshlab.lab.project import Project
from meshlab.lab.project_mesh import ProjectMesh
from meshpass.testing import FakeGateway, MeshRequest

from tests.probe import Connector

# Of these only the moment, or the way in which the body is framed, differs.
_NOT_COMPARED = {"date", "content-length", "transfer-encoding", "connection"}

Answer = tuple[int, str, dict[str, str]]


def ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> Answer:
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read().decode()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in _NOT_COMPARED}
    if "www-authenticate" in found:
        found["www-authenticate"] = found["www-authenticate"].replace("https://", "http://")
    return answer.status, body, found


@pytest.mark.parametrize(
    ("token", "host", "path"),
    [
        ("none", None, "/profile/u-1"),
        ("expired", None, "/profile/u-1"),
        ("expired", None, "/profile/u-1?a=b"),
        ("garbage", None, "/profile/u-1"),
        ("wrong audience", None, "/profile/u-1"),
        ("unknown key", None, "/profile/u-1"),
        ("without the scope", None, "/profile/u-1"),
        ("valid", None, "/elsewhere"),
        ("valid", "other.internal", "/profile/u-1"),
        ("expired", "other.internal", "/elsewhere"),
    ],
)
def test_it_refuses_as_the_real_gateway_does(
    token: str, host: str | None, path: str, mesh: ProjectMesh, project: Project
) -> None:
    contract = project.contract()
    virtual_host = contract["GKE_GATEWAY_HOST"]
    headers = {"host": host or virtual_host}
    if token != "none":
        headers["authorization"] = f"Bearer {Tokens(mesh.key, contract).make(token)}"

    def allow(request: MeshRequest) -> bool:
        """The policy in infra/mesh."""
        scope = (request.claims or {}).get("scope") == contract["JWT_SCOPE"]
        return scope and request.host == virtual_host and request.path.startswith("/profile/")

    with FakeGateway(
        host=virtual_host, issuer=contract["JWT_ISSUER"], audience=contract["JWT_AUDIENCE"]
    ) as gateway:
        gateway.trust(json.loads(mesh.key.jwks)["keys"])
        gateway.allow = allow
        fake = ask(http.client.HTTPConnection(gateway.address), path, headers)
    real = ask(to(mesh, virtual_host), path, headers)

    assert real[0] in (401, 403)
    assert fake == real


def to(mesh: ProjectMesh, virtual_host: str) -> http.client.HTTPConnection:
    host, _, port = mesh.gateway_url.removeprefix("https://").rpartition(":")
    tls = ssl.create_default_context(cafile=str(mesh.gateway_ca))
    connection = http.client.HTTPConnection(host, int(port))
    connection.sock = Connector(Address(host, int(port)), tls, virtual_host).open()
    return connection
