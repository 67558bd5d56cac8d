"""The real Envoy taking a change while it runs."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.signing_keys import SigningKey
from meshlab.errors import LabError
from meshlab.istio import Address
from meshlab.lab.contract_tokens import Tokens
from meshlab.manifest import ManifestError
from meshlab.processes.envoy import DiscoveryFile, split_listeners

from tests.probe import Connector, Request, client_tls
from tests.probe import send as send_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

    from tests.conftest import Edited, RunMesh

Send = Callable[..., tuple[int | None, str]]


@pytest.fixture(scope="module")
def own_mesh(project: Project, run_mesh: RunMesh) -> Iterator[ProjectMesh]:
    with run_mesh(project) as running:
        yield running


@pytest.fixture
def mesh(own_mesh: ProjectMesh) -> Iterator[ProjectMesh]:
    """A mesh whose keys a test may change."""
    yield own_mesh
    own_mesh.publish_keys(own_mesh.key.jwks)


@pytest.fixture
def send(mesh: ProjectMesh, project: Project) -> Send:
    contract = project.contract()

    def send(*, to: str = "gateway", token: str = "valid") -> tuple[int | None, str]:
        headers = {"host": contract["GKE_GATEWAY_HOST"]}
        if token != "none":
            headers["authorization"] = f"Bearer {Tokens(mesh.key, contract).make(token)}"
        if to == "gateway":
            host, _, port = mesh.gateway_url.removeprefix("https://").rpartition(":")
            tls = ssl.create_default_context(cafile=str(mesh.gateway_ca))
            connector = Connector(Address(host, int(port)), tls, contract["GKE_GATEWAY_HOST"])
        else:
            connector = Connector(mesh.sidecar_address, client_tls(mesh.mesh_ca, mesh.gateway_identity))
        answer = send_request(connector, Request("GET", "/profile/u-1001", headers))
        return answer.status, answer.text

    return send


def together(*keys: SigningKey) -> str:
    return json.dumps({"keys": [key for pair in keys for key in json.loads(pair.jwks)["keys"]]})


def test_a_published_key_is_trusted_by_both_proxies_at_once(mesh: ProjectMesh, send: Send) -> None:
    stranger = SigningKey.generate()
    assert send()[0] == 200
    mesh.publish_keys(stranger.jwks)
    assert send() == (401, "Jwks doesn't have key to match kid or alg from Jwt")
    assert send(to="sidecar")[0] == 401
    mesh.publish_keys(together(mesh.key, stranger))
    assert send()[0] == 200


def test_what_is_no_set_of_public_keys_is_refused_and_changes_nothing(mesh: ProjectMesh, send: Send) -> None:
    for wrong in ("{}", "not JSON", '{"keys": [{"kty": "EC", "d": "secret"}]}'):
        with pytest.raises(ManifestError) as error:
            mesh.publish_keys(wrong)
        assert "secret" not in str(error.value)
    assert send()[0] == 200


def test_no_call_is_lost_while_keys_are_published(mesh: ProjectMesh, send: Send) -> None:
    """New connections all the time; the SDK's tests have the pooled ones."""
    statuses: set[int | None] = set()
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            statuses.add(send()[0])

    caller = threading.Thread(target=call)
    caller.start()
    for _ in range(2):
        mesh.publish_keys(together(mesh.key, SigningKey.generate()))
    done.set()
    caller.join()
    assert statuses == {200}


def test_a_proxy_that_starts_anew_has_the_keys_published_before(mesh: ProjectMesh, send: Send) -> None:
    mesh.gateway.stop()
    mesh.publish_keys(together(SigningKey.generate(), mesh.key))
    mesh.gateway.start()
    mesh.gateway.wait_ready()
    assert send()[0] == 200


def test_a_killed_gateway_comes_back_on_the_same_address(mesh: ProjectMesh, send: Send) -> None:
    before = mesh.gateway_url
    mesh.gateway.restart()
    assert send()[0] == 200
    assert mesh.gateway_url == before


def test_a_policy_edited_while_it_runs_decides_at_once_and_so_does_its_correction(
    mesh: ProjectMesh, send: Send, project: Project, edited: Edited
) -> None:
    policy = "infra/mesh/ingress/generated/caller-enrichment.yaml"
    denied = edited((policy, "              - GET\n", "              - PUT\n"))
    mesh.apply(denied)
    try:
        assert send() == (403, "RBAC: access denied")
    finally:
        mesh.apply(project)
    assert send()[0] == 200


def test_manifests_without_the_labs_application_are_refused_by_name(
    edited: Edited, run_mesh: RunMesh
) -> None:
    without = edited(("infra/mesh/services/kustomization.yaml", "  - user-profile\n", ""))
    says = "the lab runs the workload user-profile/user-profile, and these manifests have orders/orders"
    with pytest.raises(LabError, match=says), run_mesh(without):
        pass


def test_keys_and_manifests_are_changed_apart(mesh: ProjectMesh, send: Send, project: Project) -> None:
    mesh.publish_keys(SigningKey.generate().jwks)
    mesh.apply(project)
    assert send()[0] == 401


def test_what_user_profile_was_asked_is_counted_and_what_was_refused_is_not(
    mesh: ProjectMesh, send: Send
) -> None:
    before = mesh.requests_served
    assert [send()[0] for _ in range(3)] == [200] * 3
    assert send(token="none")[0] == 403
    assert mesh.requests_served == before + 3


def test_only_listeners_change_in_a_running_proxy(mesh: ProjectMesh) -> None:
    with pytest.raises(ValueError, match="more than the listeners of envoy-istio-internal-gateway"):
        mesh.gateway.update({"staticResources": {"listeners": []}})


def test_listeners_are_parted_from_the_rest_and_named_by_their_content() -> None:
    def parted(port: int) -> tuple[dict[str, Any], DiscoveryFile]:
        config = {"admin": {}, "staticResources": {"clusters": [], "listeners": [{"name": str(port)}]}}
        return split_listeners(config, Path("/run/lds.json"))

    bootstrap, listeners = parted(1)
    assert bootstrap["staticResources"] == {"clusters": []}
    assert bootstrap["dynamicResources"]["ldsConfig"]["pathConfigSource"] == {"path": "/run/lds.json"}
    written = json.loads(listeners.text)
    assert [listener["name"] for listener in written["resources"]] == ["1"]
    assert written["version_info"] == listeners.version
    assert parted(1) == (bootstrap, listeners)
    assert parted(2)[1].version != listeners.version
