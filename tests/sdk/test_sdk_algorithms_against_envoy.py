"""Both real proxies of the mesh verify a token of each algorithm, as Istio configures them, and refuse another's."""

import json
from typing import TYPE_CHECKING

import meshpass
import pytest
from cryptography.hazmat.primitives import serialization
from meshpass._tokens.algorithms import NAMES, generate

from tests.probe import Connector, Request, client_tls, send

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

    from tests.conftest import RunMesh


def _source(algorithm: str, contract: "Mapping[str, str]") -> meshpass.SignedJWT:
    pem = generate(algorithm).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return meshpass.SignedJWT(
        contract["JWT_ISSUER"],
        contract["JWT_AUDIENCE"],
        lambda: pem,
        subject=contract["JWT_SUBJECT"],
        scope=contract["JWT_SCOPE"],
    )


@pytest.fixture(scope="module")
def mesh(project: "Project", run_mesh: "RunMesh") -> "Iterator[ProjectMesh]":
    with run_mesh(project) as running:
        yield running


def _call(mesh: "ProjectMesh", contract: "Mapping[str, str]", auth: meshpass.SignedJWT) -> int:
    with meshpass.Client(
        f"https://{contract['GKE_GATEWAY_HOST']}",
        address=mesh.gateway_url.removeprefix("https://"),
        auth=auth,
        ca_file=mesh.gateway_ca,
    ) as client:
        return client.get("/profile/{user_id}", user_id="u-1001").status_code


@pytest.mark.parametrize("algorithm", NAMES)
def test_a_token_of_each_algorithm_passes_the_gateway_and_the_sidecar(
    algorithm: str, mesh: "ProjectMesh", project: "Project"
) -> None:
    contract = project.contract()
    source, other = _source(algorithm, contract), _source(algorithm, contract)
    mesh.publish_keys(json.dumps(source.jwks()))

    assert _call(mesh, contract, source) == 200
    with pytest.raises(meshpass.TokenRefused) as caught:
        _call(mesh, contract, other)
    assert caught.value.cause == "key_unknown"
    sidecar = Connector(mesh.sidecar_address, client_tls(mesh.mesh_ca, mesh.gateway_identity))
    for auth, status in ((source, 200), (other, 401)):
        headers = {"host": contract["GKE_GATEWAY_HOST"], "authorization": f"Bearer {auth.token().value}"}
        assert send(sidecar, Request("GET", "/profile/u-1001", headers)).status == status


def test_a_set_of_keys_may_mix_algorithms(mesh: "ProjectMesh", project: "Project") -> None:
    contract = project.contract()
    sources = [_source(algorithm, contract) for algorithm in NAMES]
    mesh.publish_keys(json.dumps({"keys": [source.jwks()["keys"][0] for source in sources]}))

    assert [_call(mesh, contract, source) for source in sources] == [200] * len(NAMES)
