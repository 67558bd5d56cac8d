"""Generated ConfigMaps and Secrets: their data, their hash, and what they merge with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.kustomize import build

from tests.lab.kustomizations import DEPLOYMENT, expect, refusal, write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_generated_name_ends_with_the_hash_of_the_content_and_references_follow(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [pods.yaml]
namePrefix: a-
configMapGenerator:
  - {name: settings, literals: [HOST=cart.example, "MARKS=<&>"]}
secretGenerator:
  - {name: key, type: x/y, literals: [token=abc]}
""",
            "pods.yaml": DEPLOYMENT
            % "{containers: [{name: c, envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: key}}]}]}",
        },
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: a-web}
spec:
  template:
    spec:
      containers:
        - name: c
          envFrom:
            - {configMapRef: {name: a-settings-hcfbbhmfmh}}
            - {secretRef: {name: a-key-8g7688m486}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a-settings-hcfbbhmfmh}
data: {HOST: cart.example, MARKS: <&>}
---
apiVersion: v1
kind: Secret
metadata: {name: a-key-8g7688m486}
type: x/y
data: {token: YWJj}
""",
    )


def test_data_comes_from_literals_env_files_and_files(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
generatorOptions: {disableNameSuffixHash: true, labels: {all: yes-please}}
configMapGenerator:
  - name: settings
    literals: ['quoted="a b"', plain=c=d, empty=]
    envs: [one.env]
    env: two.env
    files: [keys.json, other.txt=keys.json]
    options: {immutable: true, labels: {all: mine}, annotations: {a: b}}
""",
            "one.env": "# comment\nHOST=cart.example\n\n  SPACED= a b \nNONE\r\n",
            "two.env": "TWO=2\n",
            "keys.json": '{"keys": []}\r\n',
        },
        r"""
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {all: mine}, annotations: {a: b}}
immutable: true
data:
  quoted: a b
  plain: c=d
  empty: ""
  HOST: cart.example
  SPACED: " a b "
  NONE: ""
  TWO: "2"
  keys.json: "{\"keys\": []}\r\n"
  other.txt: "{\"keys\": []}\r\n"
""",
    )


def test_what_is_no_text_becomes_binary_data(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"\xff\x00")

    expect(
        tmp_path,
        {"kustomization.yaml": "configMapGenerator: [{name: m, files: [raw]}]"},
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: m-db7hf9kht6}, binaryData: {raw: /wA=}}",
    )


def test_a_long_secret_is_broken_into_lines_and_an_empty_one_has_data(tmp_path: Path) -> None:
    line = "eHh4" * 17 + "eH"
    expect(
        tmp_path,
        {
            "kustomization.yaml": "secretGenerator: [{name: long, files: [key]}, {name: none}]",
            "key": "x" * 60,
        },
        f"""
apiVersion: v1
kind: Secret
metadata: {{name: long-4b9mk29dcb}}
type: Opaque
data: {{key: "{line}\\nh4eHh4eHh4\\n"}}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: none-46f8b28mk5}}, type: Opaque, data: {{}}}}
""",
    )


def test_a_generator_merges_into_the_one_of_its_base(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [base]
nameSuffix: -z
configMapGenerator:
  - {name: one, behavior: merge, literals: [b=3, c=4], options: {labels: {top: "1"}}}
  - {name: two, behavior: replace, literals: [c=4]}
  - {name: plain, behavior: merge, literals: [c=4]}
""",
            "base/kustomization.yaml": """
resources: [plain.yaml]
namePrefix: a-
configMapGenerator:
  - {name: one, literals: [a=1, b=2], options: {labels: {base: "1"}}}
  - {name: two, literals: [a=1, b=2]}
""",
            "base/plain.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}, data: {a: '1'}}",
        },
        """
apiVersion: v1
kind: ConfigMap
metadata: {name: a-one-z-fbcmkbc66h, labels: {base: "1", top: "1"}}
data: {a: "1", b: "3", c: "4"}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a-two-z-257h29ftfg}, data: {c: "4"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a-plain-z}, data: {a: "1", c: "4"}}
""",
    )


def test_one_file_can_be_substituted(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "kustomization.yaml": "configMapGenerator: [{name: m, envs: [a.env], files: [b.txt]}]",
            "a.env": "HOST=cart.example\n",
            "b.txt": "text\n",
        },
    )

    (manifest,) = build(tmp_path, files={tmp_path / "a.env": "HOST=other\n"})

    assert manifest.body["data"] == {"HOST": "other", "b.txt": "text\n"}


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        ("{literals: [b=c]}", ".name: expected a string that is not empty, found None."),
        ("{name: m, literals: [b]}", ".literals[0]: 'b' is not of the form key=value."),
        ("{name: m, literals: [b=c, b=d]}", ": the key b occurs twice."),
        ("{name: m, files: [a=b=c]}", ".files[0]: 'a=b=c' is neither a file nor of the form key=file."),
        ("{name: m, envs: [../x.env]}", ".envs: ../x.env lies outside "),
        (
            "{name: m, envs: ['https://x.io/y']}",
            ".envs: https://x.io/y is remote, and nothing is fetched; list a copy of it.",
        ),
        (
            "{name: m, behavior: merge}",
            ".behavior: 0 objects are ConfigMap m; merge needs exactly one.",
        ),
        (
            "{name: old}",
            ".behavior: old.yaml:1: ConfigMap old: exists already; set behavior: merge or replace, or rename one.",
        ),
        (
            "{name: m, type: Opaque}",
            (
                ".type: not supported; the subset reads "
                "name, namespace, behavior, literals, envs, env, files, options."
            ),
        ),
    ],
)
def test_a_malformed_generator_is_refused(tmp_path: Path, generator: str, says: str) -> None:
    tree = {
        "kustomization.yaml": f"resources: [old.yaml]\nconfigMapGenerator: [{generator}]\n",
        "old.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: old}}",
    }

    assert refusal(tmp_path, tree).startswith(f"kustomization.yaml: configMapGenerator[0]{says}")


def test_an_env_file_without_a_key_is_refused(tmp_path: Path) -> None:
    tree = {"kustomization.yaml": "configMapGenerator: [{name: m, envs: [a.env]}]", "a.env": "A=1\n=2\n"}

    assert refusal(tmp_path, tree) == "a.env: line 2: expected KEY=VALUE."


def test_a_secret_with_string_data_is_not_merged_into(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "resources: [s.yaml]\n"
            "secretGenerator: [{name: s, behavior: merge, literals: [a=b]}]",
            "s.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {c: d}}",
        },
    )

    assert message == (
        "kustomization.yaml: secretGenerator[0].behavior: s.yaml:1: Secret s: has stringData, "
        "which releases of kustomize merge differently; write it as data."
    )
