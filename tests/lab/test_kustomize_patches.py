"""Patches: strategic merges by key and by directive, JSON 6902, and which objects they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.kustomizations import DEPLOYMENT, ROUTE, SERVICE, expect, refusal

if TYPE_CHECKING:
    from pathlib import Path

PODS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web, tier: front}}
spec:
  replicas: 2
  template:
    spec:
      nodeSelector: {disk: ssd}
      containers:
        - name: app
          image: app:1
          args: [a, b]
          env: [{name: A, value: "1"}, {name: B, value: "2"}]
          ports: [{containerPort: 80, name: http}, {containerPort: 53, protocol: UDP}]
        - {name: proxy, image: proxy:1}
      volumes: [{name: tmp, emptyDir: {}}]
"""
IDENTITY = "apiVersion: apps/v1, kind: Deployment, metadata: {name: web}"


def merged(tmp_path: Path, change: str, built: str, objects: str = PODS) -> None:
    """Expect what a strategic merge patch makes, as an entry of patches and of patchesStrategicMerge."""
    for field, entry in (("patches", "{path: change.yaml}"), ("patchesStrategicMerge", "change.yaml")):
        tree = {
            "kustomization.yaml": f"{{resources: [all.yaml], {field}: [{entry}]}}",
            "all.yaml": objects,
            "change.yaml": change,
        }
        expect(tmp_path / field, tree, built)


def test_lists_of_pods_merge_by_key_and_new_elements_go_first(tmp_path: Path) -> None:
    merged(
        tmp_path,
        f"""
{{{IDENTITY}, spec: {{template: {{spec: {{
  containers: [
    {{name: log, image: "log:1"}},
    {{name: app, image: "app:2", args: [c], env: [{{name: C, value: "3"}}, {{name: A, value: null}}],
      ports: [{{containerPort: 8080}}, {{containerPort: 53, protocol: UDP, name: dns}}]}}],
  volumes: [{{name: data, emptyDir: {{}}}}],
  nodeSelector: {{disk: null, zone: a}}}}}}}}}}
""",
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web, tier: front}}
spec:
  replicas: 2
  template:
    spec:
      nodeSelector: {zone: a}
      containers:
        - {name: log, image: "log:1"}
        - name: app
          image: app:2
          args: [c]
          env: [{name: C, value: "3"}, {name: A}, {name: B, value: "2"}]
          ports:
            - {containerPort: 8080}
            - {containerPort: 80, name: http}
            - {containerPort: 53, protocol: UDP, name: dns}
        - {name: proxy, image: proxy:1}
      volumes: [{name: data, emptyDir: {}}, {name: tmp, emptyDir: {}}]
""",
    )


def test_scalars_merge_by_value_and_elements_without_all_keys_keep_their_place_at_the_end(
    tmp_path: Path,
) -> None:
    merged(
        tmp_path,
        """
apiVersion: v1
kind: Service
metadata: {name: web, finalizers: [b, c]}
spec: {ports: [{port: 80, protocol: TCP, name: new}, {port: 90}], selector: {n: 2}}
""",
        """
apiVersion: v1
kind: Service
metadata: {name: web, finalizers: [b, c, a]}
spec:
  ports: [{port: 90}, {port: 80, name: old}, {port: 81, protocol: UDP}]
  selector: {n: "2"}
""",
        objects="{apiVersion: v1, kind: Service, metadata: {name: web, finalizers: [a, b]}, "
        "spec: {ports: [{port: 80, name: old}, {port: 81, protocol: UDP}], selector: {n: '1'}}}",
    )


def test_directives_delete_and_replace(tmp_path: Path) -> None:
    merged(
        tmp_path,
        f"""
{{{IDENTITY}, spec: {{template: {{spec: {{
  nodeSelector: {{$patch: replace, zone: a}},
  containers: [
    {{name: proxy, $patch: delete}},
    {{name: app, env: [{{$patch: replace}}, {{name: C, value: "3"}}], ports: [{{$patch: delete}}]}}],
  volumes: [{{name: tmp, emptyDir: {{$patch: delete}}}}]}}}}}}}}
""",
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web, tier: front}}
spec:
  replicas: 2
  template:
    spec:
      nodeSelector: {zone: a}
      containers:
        - {name: app, image: "app:1", args: [a, b], env: [{name: C, value: "3"}]}
      volumes: [{name: tmp}]
""",
    )


def test_a_patch_deletes_a_whole_object(tmp_path: Path) -> None:
    merged(
        tmp_path,
        f"{{{IDENTITY}, $patch: delete}}",
        "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}",
        objects=f"{PODS}---\n{SERVICE}",
    )


def test_lists_of_istio_kinds_are_replaced(tmp_path: Path) -> None:
    merged(
        tmp_path,
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {http: [{name: new, route: [{destination: {host: other}}]}]}
""",
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{name: new, route: [{destination: {host: other}}]}]}
""",
        objects=ROUTE,
    )


def test_a_document_of_openapi_makes_lists_of_a_custom_kind_merge(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [base], openapi: {path: kinds.json}, patches: [{path: change.yaml}]}",
            "base/kustomization.yaml": "{resources: [all.yaml]}",
            "base/all.yaml": "{apiVersion: x.io/v1, kind: Hive, metadata: {name: h}, "
            "spec: {bees: [{name: a, age: 1}, {name: b}]}}",
            "change.yaml": "{apiVersion: x.io/v1, kind: Hive, metadata: {name: h}, "
            "spec: {bees: [{name: a, wings: 2}]}}",
            "kinds.json": """{"definitions": {"v1.Hive": {
  "type": "object",
  "x-kubernetes-group-version-kind": [{"group": "x.io", "version": "v1", "kind": "Hive"}],
  "properties": {"spec": {"$ref": "#/definitions/v1.Spec"}}},
 "v1.Spec": {"type": "object", "properties": {"bees": {
  "type": "array", "items": {"type": "object"},
  "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name"}}}}}""",
        },
        "{apiVersion: x.io/v1, kind: Hive, metadata: {name: h}, "
        "spec: {bees: [{name: a, age: 1, wings: 2}, {name: b}]}}",
    )


def test_definitions_of_kubernetes_serve_custom_kinds_below_the_kustomization_that_is_built(
    tmp_path: Path,
) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], components: [part]}",
            "all.yaml": "{apiVersion: x.io/v1, kind: Hive, metadata: {name: h}, "
            "spec: {template: {spec: {containers: [{name: a, image: 'a:1'}]}}}}",
            "part/kustomization.yaml": "{apiVersion: kustomize.config.k8s.io/v1alpha1, kind: Component, "
            "openapi: {path: kinds.json}, patches: [{path: change.yaml}]}",
            "part/change.yaml": "{apiVersion: x.io/v1, kind: Hive, metadata: {name: h}, "
            "spec: {template: {spec: {containers: [{name: a, args: [b]}]}}}}",
            "part/kinds.json": """{"definitions": {"v1.Hive": {
  "type": "object",
  "x-kubernetes-group-version-kind": [{"group": "x.io", "version": "v1", "kind": "Hive"}],
  "properties": {"spec": {"type": "object", "properties": {
    "template": {"$ref": "#/definitions/io.k8s.api.core.v1.PodTemplateSpec"}}}}}}}""",
        },
        "{apiVersion: x.io/v1, kind: Hive, metadata: {name: h}, "
        "spec: {template: {spec: {containers: [{name: a, image: 'a:1', args: [b]}]}}}}",
    )


@pytest.mark.parametrize(
    ("target", "patched"),
    [
        ("{kind: Deployment}", {"web", "api"}),
        ("{kind: Dep.*, name: w.*}", {"web"}),
        ("{name: we}", set()),
        ("{labelSelector: tier=front}", {"web"}),
        ("{labelSelector: '!tier, app in (api, web)'}", {"api"}),
        ("{labelSelector: app!=api}", {"web"}),
        ("{annotationSelector: mark}", {"api"}),
        ("{namespace: default}", {"web"}),
        ("{namespace: shop, group: apps, version: v1}", {"api"}),
        ("{}", {"web", "api"}),
    ],
)
def test_a_target_chooses_by_patterns_and_by_labels(tmp_path: Path, target: str, patched: set[str]) -> None:
    objects = {
        "web": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web, tier: front}}%s}",
        "api": "{apiVersion: apps/v1, kind: Deployment, "
        "metadata: {name: api, namespace: shop, labels: {app: api}, annotations: {mark: x}}%s}",
    }
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], patches: [{patch: '{kind: X, metadata: {name: x}, "
            f"spec: {{paused: true}}}}', target: {target.replace(chr(39), chr(34))}}}]}}",
            "all.yaml": "\n---\n".join(text % "" for text in objects.values()),
        },
        "\n---\n".join(
            text % (", spec: {paused: true}" if name in patched else "") for name, text in objects.items()
        ),
    )


def test_operations_of_a_json_patch(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], patches: [{path: change.yaml, target: {kind: Deployment}}]}",
            "all.yaml": PODS,
            "change.yaml": """
- {op: test, path: /spec/replicas, value: 2}
- {op: replace, path: /spec/replicas, value: 3}
- {op: replace, path: /spec/paused, value: true}
- {op: add, path: /metadata/annotations/a.b~1c, value: d}
- {op: remove, path: /metadata/labels/tier}
- {op: add, path: /spec/template/spec/containers/0/args/1, value: x}
- {op: add, path: /spec/template/spec/containers/0/args/-, value: z}
- {op: remove, path: /spec/template/spec/containers/-1}
- {op: move, from: /spec/template/spec/containers/0/env/0, path: /spec/template/spec/containers/0/env/1}
- {op: copy, from: /spec/template/spec/nodeSelector/disk, path: /spec/template/spec/nodeSelector/other}
- {op: remove, path: /spec/template/spec/volumes}
- {op: remove, path: /spec/template/spec/containers/0/ports}
""",
        },
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}, annotations: {a.b/c: d}}
spec:
  replicas: 3
  paused: true
  template:
    spec:
      nodeSelector: {disk: ssd, other: ssd}
      containers:
        - name: app
          image: app:1
          args: [a, x, b, z]
          env: [{name: B, value: "2"}, {name: A, value: "1"}]
""",
    )


def test_a_json_patch_may_be_json(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], patches: [{path: change.json, target: {kind: Service}}]}",
            "all.yaml": SERVICE,
            "change.json": '[{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]',
        },
        "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 81}]}}",
    )


def test_patches_json_6902_chooses_by_name(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [all.yaml]
namePrefix: a-
patchesJson6902:
  - target: {version: v1, kind: Service, name: web}
    patch: |-
      - {op: replace, path: /spec/ports/0/port, value: 81}
""",
            "all.yaml": SERVICE,
        },
        "{apiVersion: v1, kind: Service, metadata: {name: a-web}, spec: {ports: [{port: 81}]}}",
    )


def test_several_patches_of_one_file_each_find_their_own_object(tmp_path: Path) -> None:
    merged(
        tmp_path,
        "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer}}\n---\n# nothing\n---\n"
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web}, spec: {http: null}}",
        """
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web}, spec: {hosts: [web]}}
""",
        objects=f"{SERVICE}---\n{ROUTE}",
    )


def test_a_patch_finds_its_object_by_its_first_name_and_renames_it_when_allowed(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [base]
patches:
  - patch: '{apiVersion: v1, kind: Service, metadata: {name: web, labels: {a: b}}}'
  - target: {kind: ServiceAccount}
    patch: '{kind: ServiceAccount, metadata: {name: robot}}'
    options: {allowNameChange: true}
""",
            "base/kustomization.yaml": "{resources: [all.yaml], namePrefix: a-}",
            "base/all.yaml": f"{SERVICE}---\n{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: web}}}}\n---\n"
            + DEPLOYMENT % "{serviceAccountName: web}",
        },
        """
{apiVersion: v1, kind: Service, metadata: {name: a-web, labels: {a: b}}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a-web}
spec: {template: {spec: {serviceAccountName: robot}}}
""",
    )


def test_a_patch_that_means_several_objects_is_refused(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "resources: [one, two]\n"
            "patches: [{patch: '{apiVersion: v1, kind: Service, metadata: {name: web}}'}]",
            "one/kustomization.yaml": "{resources: [../base], namePrefix: one-}",
            "two/kustomization.yaml": "{resources: [../base], namePrefix: two-}",
            "base/kustomization.yaml": "{resources: [all.yaml]}",
            "base/all.yaml": SERVICE,
        },
    )

    assert message == (
        "kustomization.yaml: patches[0]: Service web: several objects match: base/all.yaml:1: Service one-web, "
        "base/all.yaml:1: Service two-web. Give the patch a target that means one."
    )


def test_null_for_a_label_is_text_where_the_patch_has_a_target(tmp_path: Path) -> None:
    # kustomize copies such a patch with its labels as texts. Without a target the label is removed.
    change = "{apiVersion: v1, kind: Service, metadata: {name: web, labels: {a: null}}}"
    objects = "{apiVersion: v1, kind: Service, metadata: {name: web, labels: {a: b}}}"
    expect(
        tmp_path / "target",
        {
            "kustomization.yaml": f"{{resources: [all.yaml], patches: [{{patch: '{change}', target: {{}}}}]}}",
            "all.yaml": objects,
        },
        "{apiVersion: v1, kind: Service, metadata: {name: web, labels: {a: 'null'}}}",
    )
    expect(
        tmp_path / "own",
        {
            "kustomization.yaml": f"{{resources: [all.yaml], patches: [{{patch: '{change}'}}]}}",
            "all.yaml": objects,
        },
        "{apiVersion: v1, kind: Service, metadata: {name: web, labels: {}}}",
    )


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("patches: [{}]", "patches[0]: needs either patch or path."),
        ("patches: [{path: all.yaml, patch: x}]", "patches[0]: needs either patch or path."),
        (
            "patches: [{patch: '- {op: remove, path: /a}'}]",
            "patches[0].target: missing; a JSON 6902 patch does not say what it patches.",
        ),
        (
            "patches: [{target: {}, patch: '[{op: remove, path: /a}]'}]",
            "patches[0]: kustomize reads a patch that begins with [ as JSON, and it is none; begin it with a dash.",
        ),
        (
            "patches: [{patch: '{apiVersion: v1, kind: Service, metadata: {name: db}}'}]",
            (
                "patches[0]: Service db: no object matches; "
                "correct apiVersion, kind, name or namespace of the patch."
            ),
        ),
        (
            "patches: [{patch: '{kind: Service, metadata: {name: web}}'}]",
            "patches[0]: apiVersion: expected a string, found null.",
        ),
        (
            'patches: [{target: {}, patch: "{kind: A, metadata: {name: a}}\\n---\\n{kind: A, metadata: {name: b}}"}]',
            "patches[0].target: goes with one patch, found 2; write an entry for each.",
        ),
        (
            "patches: [{target: {name: '('}, patch: '[]'}]",
            (
                "patches[0].target.name: '(' is no regular expression: "
                "missing ), unterminated subpattern at position 0."
            ),
        ),
        (
            "patches: [{target: {labelSelector: 'a=b=c'}, patch: '[]'}]",
            "patches[0].target.labelSelector: 'a=b=c' is no label selector; write it like app=web,tier in (a,b).",
        ),
        (
            "patchesStrategicMerge: [empty.yaml]",
            "patchesStrategicMerge: holds no patch; write one or remove the field.",
        ),
        (
            "patchesJson6902: [{target: {kind: Service}, patch: '[]'}]",
            "patchesJson6902[0].target.name: missing; patchesJson6902 needs it, patches does not.",
        ),
        (
            "patchesJson6902: [{target: {name: web}, patch: '{a: b}'}]",
            "patchesJson6902[0]: expected one list of operations; write a strategic merge under patches.",
        ),
    ],
)
def test_a_patch_that_is_none_or_means_nothing_is_refused(tmp_path: Path, field: str, says: str) -> None:
    tree = {
        "kustomization.yaml": f"resources: [all.yaml]\n{field}\n",
        "all.yaml": SERVICE,
        "empty.yaml": "# nothing\n",
    }

    assert refusal(tmp_path, tree) == f"kustomization.yaml: {says}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("{spec: {ports: 80}}", "spec: ports: the patch has a scalar where the object has a list."),
        ("{spec: {ports: {a: b}}}", "spec: ports: the patch has a mapping where the object has a list."),
        ("{spec: {$patch: drop}}", "spec: $patch: expected one of delete, replace, merge, found 'drop'."),
        (
            "{$patch: replace}",
            (
                "$patch: kustomize does not replace whole objects and ignores the patch; "
                "list the new object under resources instead."
            ),
        ),
        (
            "{spec: {externalIPs: [{$patch: delete}]}}",
            (
                "spec: externalIPs: $patch: kustomize does not carry it out here and leaves it in the object; "
                "use a JSON 6902 patch."
            ),
        ),
        (
            "{spec: {$setElementOrder/ports: []}}",
            (
                "spec: $setElementOrder/ports: kustomize does not carry it out here and leaves it in the object; "
                "use a JSON 6902 patch."
            ),
        ),
        (
            "- {op: drop, path: /a}",
            "operation 0.op: expected one of add, replace, remove, move, copy, test, found 'drop'.",
        ),
        ("- {op: add, path: /a}", "operation 0: needs a value."),
        (
            "- {op: add, path: a, value: b}",
            "operation 0.path: a: needs a path below the root, which begins with a slash.",
        ),
        ("- {op: remove, path: /spec/no}", "operation 0: /spec/no: there is no no; correct the path."),
        (
            "- {op: add, path: /spec/no/more, value: 1}",
            "operation 0: /spec/no/more: there is no no; correct the path.",
        ),
        (
            "- {op: add, path: /spec/ports/2, value: 1}",
            "operation 0: /spec/ports/2: there is no 2; correct the path.",
        ),
        (
            "- {op: add, path: /kind/a, value: 1}",
            "operation 0: /kind/a: leads through a value that is neither a mapping nor a list; correct the path.",
        ),
        (
            "- {op: test, path: /kind, value: A}",
            "operation 0: /kind: the test fails; its value is 'Service'.",
        ),
        ("- {op: copy, path: /a}", "operation 0.from: expected a string that is not empty, found None."),
    ],
)
def test_a_patch_that_does_not_fit_its_object_is_refused(tmp_path: Path, change: str, says: str) -> None:
    if change.startswith("{"):
        change = f"{{kind: Service, metadata: {{name: web}}, {change[1:]}"
    tree = {
        "kustomization.yaml": "{resources: [all.yaml], patches: [{path: change.yaml, target: {kind: Service}}]}",
        "all.yaml": SERVICE,
        "change.yaml": change,
    }

    assert refusal(tmp_path, tree) == f"kustomization.yaml: patches[0]: all.yaml:1: Service web: {says}"
