"""`meshlab check`: what of manifests is read, before anything starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

GOOD = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""
FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch, namespace: shop}
spec: {workloadSelector: {labels: {app: cart}}}
"""
WRONG = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec: {surprise: 1, action: ALLOW}
"""
OLD = """
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec:
  hosts: [outside.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
"""
CONFIG_MAP = "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: shop}}"
TEMPLATE = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: {{ .Name }}}
"""
APPLICATION = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: cart}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80}]}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> Callable[..., Path]:
    def write(**texts: str) -> Path:
        for name, text in texts.items():
            file = tmp_path / f"{name.replace('__', '/')}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


def test_manifests_that_are_read_end_with_0(command: Command, manifests: Callable[..., Path]) -> None:
    done = command("check", "-f", manifests(good=GOOD))
    assert (done.code, done.out) == (0, "2 objects: nothing refused\n")


def test_a_refusal_shows_file_line_object_field_and_the_traffic(
    command: Command, manifests: Callable[..., Path]
) -> None:
    directory = manifests(good=GOOD, patch=FILTER, wrong=WRONG)
    done = command("check", "-f", directory)
    words = " ".join(done.out.split())
    assert done.code == 2
    assert f"{directory}/patch.yaml\n  3: EnvoyFilter shop/patch: kind: " in done.out
    assert "not judged: requests through proxies with app=cart in shop" in words
    assert "5: AuthorizationPolicy shop/callers: spec.surprise: this field is not known" in words
    assert "not judged: requests through proxies in shop" in words
    assert done.out.endswith("4 objects: 2 refused\n")
    assert max(map(len, (line for line in done.out.splitlines() if "/" not in line))) <= 80


def test_a_note_fails_the_check_only_where_it_is_strict(
    command: Command, manifests: Callable[..., Path]
) -> None:
    directory = manifests(old=OLD)
    done = command("check", "-f", directory)
    assert done.code == 0
    assert "is an old version; write v1" in " ".join(done.out.split())
    assert command("check", "--strict", "-f", directory).code == 2


def test_what_is_passed_over_is_named(command: Command, manifests: Callable[..., Path]) -> None:
    done = command("check", "-f", manifests(good=GOOD, map=CONFIG_MAP, values="replicas: 1"))
    assert "1 ConfigMap: kinds that never decide a request" in done.out
    assert "values.yaml:1: no Kubernetes object" in " ".join(done.out.split())


def test_the_json_has_everything_that_the_text_has(command: Command, manifests: Callable[..., Path]) -> None:
    directory = manifests(good=GOOD, wrong=WRONG, old=OLD)
    done = command("check", "--json", "-f", directory)
    found = json.loads(done.out)
    assert done.code == found["exit_code"] == 2
    assert found["objects"] == 4
    ((refusal),) = found["refusals"]
    (problem,) = refusal["problems"]
    assert (problem["file"], problem["line"]) == (f"{directory}/wrong.yaml", 5)
    assert (problem["object"], problem["field"]) == ("AuthorizationPolicy shop/callers", "spec.surprise")
    assert refusal["not_judged"] == ["requests through proxies in shop"]
    assert "old version" in found["notes"][0]["text"]


def test_each_file_is_an_input_of_its_own(command: Command, manifests: Callable[..., Path]) -> None:
    # The same object in two files is no conflict, and a file without Istio's objects does not count.
    directory = manifests(
        good=GOOD, again=GOOD, patch=FILTER, wrong=WRONG, map=CONFIG_MAP, chart__template=TEMPLATE
    )
    done = command("check", "--each", "-f", directory)
    words = " ".join(done.out.split())
    assert done.code == 2
    assert "files with objects of Istio or the Gateway API: 2 of 4 read (50 %), and 1 templates" in words
    assert "files with policies: 2 of 3 read (67 %), and 1 templates" in words
    assert "1 AuthorizationPolicy: spec.surprise: this field is not known" in words
    assert "map.yaml" not in done.out


def test_braces_in_a_string_make_no_template(command: Command, manifests: Callable[..., Path]) -> None:
    braces = WRONG.replace("surprise: 1", "surprise: '{{ x }}'")
    done = command("check", "--each", "-f", manifests(braces=braces))
    assert "0 of 1 read (0 %)" in " ".join(done.out.split())
    assert "templates" not in done.out


def test_reasons_are_counted_without_the_values_in_them(
    command: Command, manifests: Callable[..., Path]
) -> None:
    modes = {f"mode{number}": GOOD.replace("STRICT", f"MODE{number}") for number in (1, 2)}
    done = command("check", "--each", "--json", "-f", manifests(**modes))
    (found,) = json.loads(done.out)["reasons"]
    assert found["count"] == 2
    assert found["reason"].startswith(
        "PeerAuthentication: spec.mtls.mode: a value is not supported; use one of"
    )


def test_each_leaves_out_files_by_their_names(command: Command, manifests: Callable[..., Path]) -> None:
    directory = manifests(good=GOOD, **{"wrong-invalid": WRONG})
    assert command("check", "--each", "-f", directory).code == 2
    assert command("check", "--each", "--leave-out", "*-invalid.yaml", "-f", directory).code == 0


def test_each_directory_is_an_input_of_its_own(command: Command, manifests: Callable[..., Path]) -> None:
    directory = manifests(one__good=GOOD, one__app=APPLICATION, two__wrong=WRONG)
    done = command("check", "--each-directory", "-f", directory)
    words = " ".join(done.out.split())
    assert "directories with objects of Istio or the Gateway API: 1 of 2 read (50 %)" in words
    assert "directories with workloads and Services beside them: 1 of 1 read (100 %)" in words


def test_each_has_its_totals_as_json(command: Command, manifests: Callable[..., Path]) -> None:
    done = command("check", "--each", "--json", "-f", manifests(good=GOOD, wrong=WRONG))
    found = json.loads(done.out)
    assert found["totals"]["inputs"] == {"read": 1, "refused": 1, "template": 0}
    assert found["totals"]["policies"] == {"read": 1, "refused": 1, "template": 0}
    assert [entry["count"] for entry in found["reasons"]] == [1]
    assert {entry["state"] for entry in found["inputs"]} == {"read", "refused"}


def test_inputs_apart_come_from_files_and_directories_that_are_there(
    command: Command, tmp_path: Path
) -> None:
    assert "there is no such file" in command("check", "--each", "-f", tmp_path / "nowhere").err
    assert command("check", "--each", "-f", "-").code == 2
