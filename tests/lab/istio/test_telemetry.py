"""Telemetry: who writes access logs, and what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio.read.mesh_config import MeshSettings

if TYPE_CHECKING:
    from tests.lab.istio.conftest import SmallMesh


def telemetry(spec: str, *, namespace: str = "istio-system", name: str = "logs") -> str:
    return f"""
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


ON = "{accessLogging: [{providers: [{name: envoy}]}]}"
OFF = "{accessLogging: [{disabled: true}]}"
ONE_OFF = "{selector: {matchLabels: {app: cart}}, accessLogging: [{disabled: true}]}"


def test_nothing_is_logged_unless_asked_for(small: SmallMesh) -> None:
    assert "accessLog" not in small.app().manager(8080)
    assert "accessLog" not in small.gateway().manager(8443)


def test_the_root_namespace_turns_logs_on_everywhere_in_istios_format(small: SmallMesh) -> None:
    (at_app,) = small.app(telemetry(ON)).manager(8080)["accessLog"]
    (at_gateway,) = small.gateway(telemetry(ON)).manager(8443)["accessLog"]

    assert at_app == at_gateway
    assert at_app["typedConfig"]["path"] == "/dev/stdout"
    line = at_app["typedConfig"]["logFormat"]["textFormatSource"]["inlineString"]
    for part in ("%RESPONSE_CODE_DETAILS%", "%REQ(USER-AGENT)%", "%REQ(:AUTHORITY)%", "%UPSTREAM_HOST%"):
        assert part in line
    # A token must not end up in the log.
    assert "AUTHORIZATION" not in line


@pytest.mark.parametrize(
    ("texts", "logs"),
    [
        ((telemetry(ON), telemetry(OFF, namespace="shop")), False),
        ((telemetry(OFF), telemetry(ON, namespace="shop")), True),
        ((telemetry(ON), telemetry(ONE_OFF, namespace="shop")), False),
        ((telemetry(ON), telemetry("{}", namespace="shop")), True),
        ((telemetry(ON, namespace="edge"),), False),
    ],
)
def test_the_narrowest_word_on_logs_counts(small: SmallMesh, texts: tuple[str, ...], logs: bool) -> None:
    assert ("accessLog" in small.app(*texts).manager(8080)) is logs


@pytest.mark.parametrize(
    ("specs", "at_app", "at_gateway"),
    [
        (["{accessLogging: [{providers: [{name: envoy}], match: {mode: SERVER}}]}"], True, False),
        (["{accessLogging: [{providers: [{name: envoy}], match: {mode: CLIENT}}]}"], False, True),
        (["{accessLogging: [{providers: [{name: stackdriver}]}]}"], False, False),
        (["{accessLogging: [{providers: [{name: unknown}]}]}"], False, False),
        # Without a provider, the MeshConfig's count, and there are none.
        (["{accessLogging: [{}]}"], False, False),
        (["{accessLogging: []}"], False, False),
        # What only chooses what is logged is passed over.
        (
            ["{accessLogging: [{providers: [{name: envoy}], filter: {expression: response.code >= 400}}]}"],
            True,
            True,
        ),
        (
            ["{metrics: [{providers: [{name: prometheus}]}], tracing: [{randomSamplingPercentage: 1}]}"],
            False,
            False,
        ),
        # An entry without a provider is for those of the entry before it.
        (
            ["{accessLogging: [{providers: [{name: envoy}]}, {disabled: true, match: {mode: CLIENT}}]}"],
            True,
            False,
        ),
    ],
)
def test_providers_and_sides_decide(
    small: SmallMesh, specs: list[str], *, at_app: bool, at_gateway: bool
) -> None:
    texts = [telemetry(spec) for spec in specs]

    assert ("accessLog" in small.app(*texts).manager(8080)) is at_app
    assert ("accessLog" in small.gateway(*texts).manager(8443)) is at_gateway


def test_of_two_for_one_namespace_the_first_counts(small: SmallMesh) -> None:
    first, second = telemetry(OFF, namespace="shop", name="a"), telemetry(ON, namespace="shop", name="b")

    assert "accessLog" not in small.app(second, first).manager(8080)


def test_labels_of_the_root_namespace_reach_no_other_namespace(small: SmallMesh) -> None:
    text = telemetry("{selector: {matchLabels: {app: cart}}, accessLogging: [{providers: [{name: envoy}]}]}")

    assert "accessLog" not in small.app(text).manager(8080)


@pytest.mark.parametrize(
    ("settings", "texts", "logs"),
    [
        (MeshSettings(access_log_file="/dev/stdout"), [], True),
        (MeshSettings(access_log_file="/var/log/access"), [], True),
        (MeshSettings(default_access_log_providers=("envoy",)), [], True),
        (MeshSettings(default_access_log_providers=("envoy",)), [telemetry("{accessLogging: [{}]}")], True),
        (MeshSettings(default_access_log_providers=("envoy",)), [telemetry(OFF)], False),
        (MeshSettings(default_access_log_providers=("stackdriver",)), [], False),
        (
            MeshSettings(access_log_file="/dev/stdout"),
            [telemetry("{accessLogging: [{providers: [{name: envoy}], disabled: true}]}")],
            False,
        ),
    ],
)
def test_the_settings_of_the_mesh_count_where_no_telemetry_does(
    small: SmallMesh, settings: MeshSettings, texts: list[str], *, logs: bool
) -> None:
    compiled = small.compiled(small.app_ref, small.mesh(*texts, settings=settings))

    found = compiled.manager(8080).get("accessLog", [])
    assert bool(found) is logs
    assert all(entry["typedConfig"]["path"] == "/dev/stdout" for entry in found)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{accessLogging: [{providers: [{}]}]}", "name: missing"),
        ("{accessLogging: [{match: {mode: BOTH}}]}", "'BOTH' is not supported"),
        ("{accessLog: []}", "this field is not known"),
        ("{selector: {matchLabels: {app: '*'}}}", "labels know no wildcards"),
    ],
)
def test_what_istio_refuses_is_refused(small: SmallMesh, spec: str, says: str) -> None:
    assert says in small.refusal(telemetry(spec))
