"""Kustomizations build what kubectl builds: the files, the order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from meshlab.kustomize import build
from meshlab.manifest import ManifestError

from tests.lab.kustomizations import Tree, by_identity, expect, kubectl, refusal, write

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


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_it_builds_what_kubectl_builds(tmp_path: Path, tree: Tree) -> None:
    theirs = kubectl(write(tmp_path, tree))
    if theirs is None:
        pytest.skip("kubectl is not installed; it would have shown that it builds the same")

    assert by_identity([dict(manifest.body) for manifest in build(tmp_path)]) == by_identity(theirs)


@pytest.mark.parametrize(
    "overlay", sorted((ROOT / "infra/mesh/overlays").iterdir()), ids=lambda path: path.name
)
def test_the_shipped_overlays_are_those_that_kubectl_would_apply(overlay: Path) -> None:
    theirs = kubectl(overlay)
    if theirs is None:
        pytest.skip("kubectl is not installed; it would have shown that it applies the same")

    assert by_identity([dict(manifest.body) for manifest in build(overlay)]) == by_identity(theirs)


def test_objects_keep_the_order_of_the_files(tmp_path: Path) -> None:
    directory = write(tmp_path, TREES["files and directories in order"])

    assert [manifest.name for manifest in build(directory)] == ["s", "v", "t"]


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ("{order: fifo}", ["ValidatingWebhookConfiguration", "VirtualService", "Namespace", "Service"]),
        ("{order: legacy}", ["Namespace", "Service", "VirtualService", "ValidatingWebhookConfiguration"]),
        (
            "{order: legacy, legacySortOptions: {orderFirst: [VirtualService], orderLast: [Namespace]}}",
            ["VirtualService", "ValidatingWebhookConfiguration", "Service", "Namespace"],
        ),
    ],
)
def test_sort_options_order_the_objects(tmp_path: Path, options: str, kinds: list[str]) -> None:
    tree = {
        "kustomization.yaml": f"{{resources: [a.yaml], sortOptions: {options}}}",
        "a.yaml": "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n"
        f"metadata: {{name: h}}\n---\n{ROUTE}---\n"
        f"{{apiVersion: v1, kind: Namespace, metadata: {{name: n}}}}\n---\n{SERVICE}",
    }

    directory = write(tmp_path, tree)

    assert [manifest.kind for manifest in build(directory)] == kinds
    theirs = kubectl(directory)
    assert theirs is None or [body["kind"] for body in theirs] == kinds


def test_a_generated_map_holds_what_the_files_say(tmp_path: Path) -> None:
    (manifest,) = build(write(tmp_path, TREES["a generated map that is applied"]))

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


def test_a_local_map_feeds_replacements_and_is_left_out(tmp_path: Path) -> None:
    service, route = build(write(tmp_path, TREES["a local map feeds replacements and is left out"]))

    assert route.body["spec"]["hosts"] == ["one/cart.example", "cart.example"]
    assert [entry["name"] for entry in route.body["spec"]["http"]] == ["cart.example", "cart.example"]
    assert service.body["metadata"]["annotations"] == {"host": "cart.example", "keys": '{"keys": []}\n'}
    assert service.body["spec"]["ports"] == [{"port": 80}, {"port": 80}]


def test_a_manifest_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = write(tmp_path, TREES["files and directories in order"])
    monkeypatch.chdir(directory)

    assert [manifest.source for manifest in build(Path("base/../base"))] == ["base/a.yaml"]
    assert [manifest.source for manifest in build(directory)][1].endswith("/b.yaml")


def test_fields_keep_their_lines_unless_a_patch_moves_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [a.yaml]
namePrefix: a-
patches:
  - target: {kind: VirtualService}
    patch: '- {op: remove, path: /spec/hosts/0}'
""",
            "a.yaml": ROUTE,
        },
    )

    (manifest,) = build(tmp_path)

    assert manifest.line == 2
    assert manifest.line_of(("spec", "http", 1, "timeout")) == 9
    assert manifest.line_of(("spec", "hosts", 0)) == 6


def test_a_list_stands_for_its_items(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{bases: [base], resources: [list.yaml]}",
            "base/kustomization.yaml": "{resources: [a.yaml]}",
            "base/a.yaml": SERVICE,
            "list.yaml": f"{{apiVersion: v1, kind: List, items: [{{{IDENTITY.replace('name: s', 'name: t')}}}]}}",
        },
        f"{SERVICE}---\n{{{IDENTITY.replace('name: s', 'name: t')}}}",
    )


def test_names_of_fields_are_read_whatever_their_case(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {"kustomization.yaml": "{Resources: [a.yaml], nameprefix: a-}", "a.yaml": f"{{{IDENTITY}}}"},
        f"{{{IDENTITY.replace('name: s', 'name: a-s')}}}",
    )


def test_build_metadata_is_passed_over(tmp_path: Path) -> None:
    tree = {
        "kustomization.yaml": "{resources: [a.yaml], buildMetadata: [originAnnotations, managedByLabel]}",
        "a.yaml": SERVICE,
    }

    (manifest,) = build(write(tmp_path, tree))

    assert manifest.body["metadata"] == {"name": "s", "namespace": "ns"}


@pytest.mark.parametrize(
    ("kustomization", "says"),
    [
        (
            "helmCharts: []",
            (
                "kustomization.yaml: helmCharts: charts are not rendered; "
                "run `helm template`, and list its output under resources."
            ),
        ),
        (
            "transformers: [a.yaml]",
            (
                "kustomization.yaml: transformers: plugins are not run; "
                "use the fields of the kustomization instead, or build with kustomize."
            ),
        ),
        ("unknown: 1", "kustomization.yaml.unknown: not supported; the subset reads apiVersion, kind, "),
        ("kind: Other", "kustomization.yaml: kind: 'Other' is neither Kustomization nor Component."),
        (
            "apiVersion: kustomize.config.k8s.io/v1",
            "kustomization.yaml: apiVersion: write kustomize.config.k8s.io/v1beta1.",
        ),
        ("{}\n---\n{}", "kustomization.yaml: holds 2 documents; a kustomization is one."),
        ("namePrefix: 1", "kustomization.yaml: namePrefix: expected a string, found 1; quote it."),
        ("resources: a.yaml", "kustomization.yaml: resources: expected a list, found 'a.yaml'."),
        ("resources: [missing.yaml]", "missing.yaml: cannot be read: No such file or directory."),
        ("resources: [circle.yaml]", "circle.yaml: cannot be read: Too many levels of symbolic links."),
        ("resources: [circle]", "circle: cannot be read: Too many levels of symbolic links."),
        ("resources: [../a.yaml]", "kustomization.yaml: resources: ../a.yaml lies outside "),
        ("resources: [a.yaml, a.yaml]", "a.yaml:1: Service ns/s: the same object comes from a.yaml already."),
        (
            "resources: [.]",
            "kustomization.yaml: resources: .: refers to itself or to a directory above it, which is a cycle.",
        ),
        ("resources: [..]", "kustomization.yaml: resources: ..: refers to itself or to a directory above it"),
        ("resources: [plain]", "plain/kustomization.yaml: holds no field, which kustomize refuses; list"),
        (
            "generatorOptions: {hash: false}\nsecretGenerator: [{name: s}]",
            "kustomization.yaml: generatorOptions.hash: not supported; the subset reads disableNameSuffixHash, ",
        ),
        (
            "resources: [part]",
            "kustomization.yaml: resources: part is a Component; list it under components.",
        ),
        (
            "components: [a.yaml]",
            "kustomization.yaml: components: a.yaml is not a directory; list a copy of it.",
        ),
        (
            "components: [plain]",
            "plain/kustomization.yaml: kind: it is listed under components, so it must be",
        ),
        (
            "resources: [nameless.yaml]",
            "nameless.yaml:1: the object has no metadata; give it a metadata.name.",
        ),
        (
            "resources: [odd.yaml]",
            'odd.yaml:1: Service s: metadata.labels: expected a mapping, found ["a"].',
        ),
        (
            "sortOptions: {order: up}",
            "kustomization.yaml: sortOptions.order: expected one of fifo, legacy, found 'up'.",
        ),
        (
            "sortOptions: {order: fifo, legacySortOptions: {}}",
            "kustomization.yaml: sortOptions.legacySortOptions: goes with order: legacy alone; remove it.",
        ),
        (
            "openapi: {version: v1.20.4}",
            "kustomization.yaml: openapi.version: v1.20.4: kustomize carries v1.21.2 alone; remove the field.",
        ),
        (
            "openapi: {version: v1.21.2, path: a.json}",
            "kustomization.yaml: openapi: has both path and version; remove one.",
        ),
    ],
)
def test_what_lies_outside_the_subset_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kustomization: str, says: str
) -> None:
    write(
        tmp_path,
        {
            "inner/kustomization.yaml": kustomization,
            "inner/a.yaml": SERVICE,
            "inner/part/kustomization.yaml": COMPONENT,
            "inner/plain/kustomization.yaml": KINDS,
            "inner/nameless.yaml": "{apiVersion: install.istio.io/v1alpha1, kind: IstioOperator}",
            "inner/odd.yaml": "{apiVersion: v1, kind: Service, metadata: {name: s, labels: [a]}}",
            "a.yaml": SERVICE,
        },
    )
    for circle in ("circle", "circle.yaml"):
        (tmp_path / "inner" / circle).symlink_to(circle)
    monkeypatch.chdir(tmp_path / "inner")

    with pytest.raises(ManifestError) as caught:
        build(Path())

    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.com/all.yaml",
        "github.com/owner/name/base?ref=v1",
        "git@github.com:owner/name",
        "ssh://git@example.com/name",
        "https://github.com/owner/name//base",
    ],
)
def test_what_is_remote_is_refused_by_its_name(tmp_path: Path, reference: str) -> None:
    message = refusal(tmp_path, {"kustomization.yaml": f"resources: ['{reference}']"})

    assert message == (
        f"kustomization.yaml: resources: {reference} is remote, and nothing is fetched; "
        "list a copy of it, or build with kustomize."
    )


def test_a_directory_without_a_kustomization_is_refused(tmp_path: Path) -> None:
    assert "holds 0 of kustomization.yaml" in refusal(tmp_path, {})
