"""Telemetry: who writes access logs, and what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
    ("spec", "says"),
    [
        ("{accessLogging: [{providers: [{name: stackdriver}]}]}", "'stackdriver' is not supported"),
        ("{accessLogging: [{}]}", "providers of MeshConfig"),
        ("{accessLogging: []}", "an empty list"),
        ("{accessLogging: [{providers: [{name: envoy}], filter: {expression: x}}]}", "log filters"),
        ("{accessLogging: [{providers: [{name: envoy}], match: {mode: SERVER}}]}", "both sides"),
        ("{metrics: []}", "no Istio metrics"),
        ("{tracing: []}", "no tracing"),
        ("{targetRefs: []}", "Gateway API"),
    ],
)
def test_what_the_lab_cannot_log_is_refused(small: SmallMesh, spec: str, says: str) -> None:
    assert says in small.refusal(telemetry(spec))
