"""The kustomize subset builds what kubectl builds, and refuses the rest."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from meshlab.kustomize import build
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

KINDS = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ns}\nspec: {ports: [{port: 80}, {port: 81}]}\n"
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: ns, labels: {a: b}}
spec:
  hosts: [one/host, two]
  http:
    - {name: x, timeout: 1s}
    - {name: z, timeout: 1s}
"""
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b, namespace: ns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects: [{kind: ServiceAccount, name: a, namespace: ns}]
"""
SETTINGS = """configMapGenerator:
  - name: settings
    envs: [settings.env]
    literals: [quoted="a b", plain=c=d]
    files: [keys.json, other.txt=keys.json]
    options:
      disableNameSuffixHash: true
      labels: {x: z}
      annotations: {config.kubernetes.io/local-config: "true"}
"""
ENV = "# comment\nHOST=cart.example\n\n EMPTY=\nSPACED= a b \nEQUALS=a=b\n"

IDENTITY = "apiVersion: v1, kind: Service, metadata: {name: s}"
PATCH = "resources: [a.yaml]\npatches: [{target: {kind: Service}, patch: "
COPY = "resources: [a.yaml]\nreplacements: [{source: "

Tree = dict[str, str]

TREES: dict[str, Tree] = {
    "files and directories in order": {
        "kustomization.yaml": f"{KINDS}resources: [base, b.yaml]\n",
        "base/kustomization.yaml": f"{KINDS}resources: [a.yaml]\n",
        "base/a.yaml": SERVICE,
        "b.yaml": f"{ROUTE}---\n---\n{SERVICE.replace('name: s', 'name: t')}",
    },
    "a kustomization without kind or version": {
        "kustomization.yaml": "resources: [a.yaml]\n",
        "a.yaml": SERVICE,
    },
    "a namespace for all": {
        "kustomization.yaml": f"{KINDS}namespace: other\nresources: [a.yaml, b.yaml, c.yaml]\n",
        "a.yaml": SERVICE,
        "b.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n",
        "c.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: c}\nrules: []\n",
    },
    "labels on the objects alone": {
        "kustomization.yaml": f"{KINDS}labels: [{{pairs: {{team: edge, a: c}}}}]\nresources: [a.yaml, b.yaml]\n",
        "a.yaml": SERVICE,
        "b.yaml": ROUTE,
    },
    "a generated map that is applied": {
        "kustomization.yaml": (
            f"{KINDS}generatorOptions: {{disableNameSuffixHash: true, labels: {{g: h}}}}\n"
            f"{SETTINGS.partition('    options:')[0]}    options: {{labels: {{x: z}}}}\n"
        ),
        "settings.env": ENV,
        "keys.json": '{"keys": []}\n',
    },
    "a local map feeds replacements and is left out": {
        "kustomization.yaml": f"{KINDS}{SETTINGS}resources: [a.yaml, b.yaml]\n"
        """replacements:
  - source: {kind: ConfigMap, name: settings, fieldPath: data.HOST}
    targets:
      - select: {kind: VirtualService}
        fieldPaths: [spec.hosts.1, spec.http.*.name]
      - select: {kind: VirtualService, name: v, namespace: ns, group: networking.istio.io, version: v1}
        fieldPaths: [spec.hosts.0]
        options: {delimiter: /, index: 1}
      - select: {kind: VirtualService}
        fieldPaths: ["spec.http.[name=cart.example].timeout"]
      - select: {namespace: ns}
        reject: [{kind: VirtualService}, {kind: Service, name: other}]
        fieldPaths: [metadata.annotations.host, "metadata.labels.[a.b/c]"]
        options: {create: true}
  - source: {kind: ConfigMap, name: settings, fieldPath: "data.[keys.json]"}
    targets:
      - select: {kind: Service}
        fieldPaths: ["metadata.annotations.keys"]
        options: {create: true}
  - source: {kind: ConfigMap, name: settings, fieldPath: data.EQUALS, options: {delimiter: "=", index: 1}}
    targets:
      - select: {kind: VirtualService}
        fieldPaths: [metadata.labels.a]
  - source: {kind: Service, name: s, fieldPath: spec.ports.0.port}
    targets:
      - select: {kind: Service}
        fieldPaths: [spec.ports.1.port]
""",
        "a.yaml": SERVICE,
        "b.yaml": ROUTE,
        "settings.env": ENV,
        "keys.json": '{"keys": []}\n',
    },
    "replacements of a file": {
        "kustomization.yaml": f"{KINDS}resources: [a.yaml, b.yaml]\nreplacements: [{{path: r.yaml}}]\n",
        "a.yaml": SERVICE,
        "b.yaml": ROUTE,
        "r.yaml": (
            "source: {kind: Service, name: s}\n"
            "targets: [{select: {kind: VirtualService}, fieldPaths: [spec.hosts.0], "
            "options: {delimiter: /, index: 0}}]\n"
        ),
    },
    "a component changes what stands before it": {
        "kustomization.yaml": f"{KINDS}resources: [a.yaml]\ncomponents: [more, change]\n",
        "a.yaml": ROUTE,
        "more/kustomization.yaml": f"{COMPONENT}resources: [b.yaml]\n",
        "more/b.yaml": SERVICE,
        "change/kustomization.yaml": f"{COMPONENT}{SETTINGS}"
        """replacements:
  - source: {kind: ConfigMap, name: settings, fieldPath: data.HOST}
    targets: [{select: {kind: VirtualService}, fieldPaths: [spec.hosts.1]}]
patches:
  - target: {kind: Service}
    patch: |
      - {op: replace, path: /spec/ports/0/port, value: 8080}
""",
        "change/settings.env": ENV,
        "change/keys.json": "{}",
    },
    "patches": {
        "kustomization.yaml": f"{KINDS}resources: [a.yaml, b.yaml]\n"
        """patches:
  - path: merge.yaml
  - target: {kind: VirtualService, name: v}
    patch: |
      - {op: add, path: /spec/hosts/-, value: three}
      - {op: add, path: /spec/hosts/0, value: zero}
      - {op: add, path: /metadata/labels/c~1d, value: e}
      - {op: remove, path: /spec/http/1}
  - target: {kind: Service}
    patch: |
      apiVersion: v1
      kind: Service
      metadata: {name: whatever, annotations: {a: b}}
      spec: {type: LoadBalancer}
""",
        "a.yaml": SERVICE,
        "b.yaml": ROUTE,
        "merge.yaml": (
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
            "metadata: {name: v, namespace: ns, labels: {a: null}}\n"
            "spec: {gateways: [g], hosts: [one]}\n"
        ),
    },
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Tree], Path]:
    """Writes the files of a tree and returns its directory."""

    def write_tree(tree: Tree) -> Path:
        for name, text in tree.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write_tree


def by_name(bodies: list[Any]) -> dict[tuple[str, str, str], Any]:
    return {
        (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]): body
        for body in bodies
    }


def kubectl(directory: Path) -> list[Any]:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")
    run = subprocess.run(
        [program, "kustomize", directory], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return list(yaml.safe_load_all(run.stdout))


def refusal(directory: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        build(directory)
    return str(caught.value)


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_it_builds_what_kubectl_builds(write: Callable[[Tree], Path], tree: Tree) -> None:
    directory = write(tree)

    ours = [dict(manifest.body) for manifest in build(directory)]

    assert by_name(ours) == by_name(kubectl(directory))


@pytest.mark.parametrize(
    "overlay", sorted((ROOT / "infra/mesh/overlays").iterdir()), ids=lambda path: path.name
)
def test_the_shipped_overlays_are_those_that_kubectl_would_apply(overlay: Path) -> None:
    ours = [dict(manifest.body) for manifest in build(overlay)]

    assert by_name(ours) == by_name(kubectl(overlay))


def test_objects_keep_the_order_of_the_files(write: Callable[[Tree], Path]) -> None:
    names = [manifest.name for manifest in build(write(TREES["files and directories in order"]))]

    assert names == ["s", "v", "t"]


def test_a_generated_map_holds_what_the_files_say(write: Callable[[Tree], Path]) -> None:
    (manifest,) = build(write(TREES["a generated map that is applied"]))

    assert manifest.body["data"] == {
        "HOST": "cart.example",
        "EMPTY": "",
        "SPACED": " a b ",
        "EQUALS": "a=b",
        "keys.json": '{"keys": []}\n',
        "other.txt": '{"keys": []}\n',
        "quoted": "a b",
        "plain": "c=d",
    }
    assert manifest.body["metadata"]["labels"] == {"g": "h", "x": "z"}


def test_a_local_map_feeds_replacements_and_is_left_out(write: Callable[[Tree], Path]) -> None:
    service, route = build(write(TREES["a local map feeds replacements and is left out"]))

    assert route.body["spec"]["hosts"] == ["one/cart.example", "cart.example"]
    assert [entry["name"] for entry in route.body["spec"]["http"]] == ["cart.example", "cart.example"]
    assert service.body["metadata"]["annotations"] == {"host": "cart.example", "keys": '{"keys": []}\n'}
    assert service.body["spec"]["ports"] == [{"port": 80}, {"port": 80}]


def test_one_file_can_be_substituted(write: Callable[[Tree], Path]) -> None:
    directory = write(TREES["a generated map that is applied"])

    (manifest,) = build(directory, files={directory / "settings.env": "HOST=other\n"})

    assert manifest.body["data"]["HOST"] == "other"
    assert manifest.body["data"]["keys.json"] == '{"keys": []}\n'


def test_a_manifest_says_where_it_comes_from(
    write: Callable[[Tree], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write(TREES["files and directories in order"])
    monkeypatch.chdir(directory)

    assert [manifest.source for manifest in build(Path("base/../base"))] == ["base/a.yaml"]
    assert [manifest.source for manifest in build(directory)][1].endswith("/b.yaml")


@pytest.mark.parametrize(
    ("kustomization", "says"),
    [
        ("resources: [a.yaml]\nimages: []\n", "kustomization.yaml.images: not supported"),
        ("kind: Other\n", "kind: 'Other' is neither"),
        ("apiVersion: kustomize.config.k8s.io/v1\n", "apiVersion: write kustomize.config.k8s.io/v1beta1"),
        ("resources: a.yaml\n", "resources: expected a list"),
        ("resources: [missing.yaml]\n", "missing.yaml: cannot be read: No such file"),
        ("resources: [../a.yaml]\n", "resources: ../a.yaml lies outside"),
        ("resources: [a.yaml, a.yaml]\n", "the same object comes from"),
        ("resources: [.]\n", "refers to itself"),
        ("resources: [part]\n", "part is a Component; list it under components"),
        ("components: [a.yaml]\n", "a.yaml is not a directory"),
        ("components: [plain]\n", "so it must be a Component"),
        ("configMapGenerator: [{name: a, literals: [b=c]}]\n", "set disableNameSuffixHash"),
        (
            "configMapGenerator: [{name: a, behavior: merge}]\n",
            "configMapGenerator[0].behavior: not supported",
        ),
        ("configMapGenerator: [{literals: [b=c]}]\n", "configMapGenerator[0].name: expected a string"),
        (
            "configMapGenerator: [{name: a, literals: [b], options: {disableNameSuffixHash: true}}]\n",
            "key=value",
        ),
        (
            "configMapGenerator: [{name: a, literals: [b=c, b=d], options: {disableNameSuffixHash: true}}]\n",
            "the key b occurs twice",
        ),
        (
            "configMapGenerator: [{name: a, envs: [../x.env], options: {disableNameSuffixHash: true}}]\n",
            "lies outside",
        ),
        (
            "configMapGenerator: [{name: a, envs: [bad.env], options: {disableNameSuffixHash: true}}]\n",
            "bad.env: line 1: expected KEY=VALUE",
        ),
        ("labels: [{pairs: {a: b}, includeSelectors: true}]\n", "includeSelectors: not supported"),
        ("labels: [{pairs: {a: 1}}]\n", "expected a string, found 1"),
        ("resources: [binding.yaml]\nnamespace: other\n", "does not follow its subject a"),
        (
            "replacements: [{source: {kind: Service}}]\n",
            "replacements[0].source: kind Service: 0 objects match",
        ),
        ("resources: [a.yaml]\nreplacements: [{source: {kind: Service}}]\n", "targets: missing"),
        (
            "resources: [a.yaml]\nreplacements: [{source: {kind: Service, fieldPath: spec.no}, targets: [{}]}]\n",
            "has no field spec.no",
        ),
        (
            "resources: [a.yaml]\nreplacements: [{source: {kind: Service}, targets: [{fieldPaths: [spec.a]}]}]\n",
            "select: missing",
        ),
        (f"{COPY}{{kind: Service}}, targets: [{{select: {{kind: S.*}}}}]}}]\n", "patterns are not supported"),
        (
            f"{COPY}{{kind: Service}}, targets: [{{select: {{kind: A}}, reject: [{{}}]}}]}}]\n",
            "reject[0]: missing",
        ),
        (f"{COPY}{{}}, targets: [{{select: {{kind: A}}}}]}}]\n", "source: missing"),
        (
            "resources: [a.yaml]\npatches: [{target: {kind: Service}, patch: '{spec: {a: b}}'}]\n",
            "apiVersion: expected a string",
        ),
        (
            f"{COPY}{{kind: Service}}, targets: [{{select: {{kind: Service}}, fieldPaths: [spec.no.more]}}]}}]\n",
            "Service ns/s: has no field spec.no.more",
        ),
        (
            f"{COPY}{{kind: Service, options: {{delimiter: /, index: 3}}}}, targets: [{{}}]}}]\n",
            "there is no part 3",
        ),
        (
            "resources: [a.yaml]\nreplacements: [{source: {kind: Service}, targets: [{select: {kind: Service}}]}]\n",
            "renaming objects is not supported",
        ),
        ("replacements: [{sourceValue: x}]\n", "sourceValue: not supported"),
        ("resources: [a.yaml]\npatches: [{path: a.yaml, patch: x}]\n", "needs either patch or path"),
        ("resources: [a.yaml]\npatches: [{patch: '[]'}]\n", "0 documents"),
        ("resources: [a.yaml]\npatches: [{patch: '[{op: remove, path: /a}]'}]\n", "target: missing"),
        (
            f"resources: [a.yaml]\npatches: [{{target: {{kind: Other}}, patch: '{{{IDENTITY}}}'}}]\n",
            "kind Other: no object matches",
        ),
        (
            f"{PATCH}'{{{IDENTITY}, spec: {{ports: [1]}}}}'}}]\n",
            "merge by key",
        ),
        (
            f"{PATCH}'{{{IDENTITY}, spec: {{$patch: delete}}}}'}}]\n",
            "patch directives",
        ),
        (
            f"{PATCH}'[{{op: remove, path: /spec/no}}]'}}]\n",
            "/spec/no: there is no no",
        ),
        (
            f"{PATCH}'[{{op: copy, path: /a, value: b}}]'}}]\n",
            "'copy' is not supported",
        ),
    ],
)
def test_what_lies_outside_the_subset_is_refused(
    write: Callable[[Tree], Path], kustomization: str, says: str
) -> None:
    directory = write(
        {
            "inner/kustomization.yaml": kustomization,
            "inner/a.yaml": SERVICE,
            "inner/binding.yaml": BINDING,
            "inner/bad.env": "nothing\n",
            "inner/part/kustomization.yaml": COMPONENT,
            "inner/plain/kustomization.yaml": KINDS,
            "a.yaml": SERVICE,
        }
    )

    assert says in refusal(directory / "inner")


def test_a_directory_without_a_kustomization_is_refused(tmp_path: Path) -> None:
    assert "holds 0 of kustomization.yaml" in refusal(tmp_path)
