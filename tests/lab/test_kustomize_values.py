"""Values that travel between objects: replacements and vars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.kustomizations import ROUTE, SERVICE, expect, refusal

if TYPE_CHECKING:
    from pathlib import Path

DATA = "{host: shop.example, port: '8080', url: 'https://a.example/b', keys.json: '{}'}"
SETTINGS = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {DATA}}}\n"
THING = """
apiVersion: x.io/v1
kind: Thing
metadata: {name: t, labels: {a: b}}
spec:
  number: 1
  text: "1"
  map: {a: b}
  list: [{name: app, v: "1"}, {name: my-app, v: "2"}, {name: db, v: "3"}]
"""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("'spec.list.[name=db].v'", "3"),
        ("spec.list.1.v", "2"),
        ("spec.list.-.v", "3"),
        ("'data.keys\\.json'", "x"),
        ("metadata.name", "t"),
        ("''", "t"),
    ],
)
def test_a_value_is_found_by_its_path(tmp_path: Path, path: str, value: str) -> None:
    thing = f"{THING}data: {{keys.json: x}}\n"
    expect(
        tmp_path,
        {
            "kustomization.yaml": "resources: [thing.yaml]\nreplacements:\n"
            f"  - source: {{kind: Thing, fieldPath: {path}}}\n"
            "    targets: [{select: {kind: Thing}, fieldPaths: [spec.text]}]\n",
            "thing.yaml": thing,
        },
        thing.replace('text: "1"', f'text: "{value}"'),
    )


@pytest.mark.parametrize(
    ("field", "target", "changed"),
    [
        ("data.port", "fieldPaths: [spec.number]", ("number: 1", "number: 8080")),
        ("data.port", "fieldPaths: [spec.text]", ('text: "1"', 'text: "8080"')),
        ("data.host", "fieldPaths: [spec.map.a]", ("{a: b}\n  list", "{a: shop.example}\n  list")),
        ("data.host", "fieldPaths: [spec.map]", ("map: {a: b}", "map: shop.example")),
        ("data", "fieldPaths: [spec.map]", ("map: {a: b}", f"map: {DATA}")),
        ("data.host", "fieldPaths: [spec.list.0.v]", ('v: "1"', "v: shop.example")),
        (
            "data.host",
            "fieldPaths: ['spec.list.[name=app].v']",
            ('v: "1"}, {name: my-app, v: "2"', "v: shop.example}, {name: my-app, v: shop.example"),
        ),
        (
            "data.host",
            "fieldPaths: ['spec.list.[name=^app$].v']",
            ('v: "1"', "v: shop.example"),
        ),
        (
            "data.host",
            "fieldPaths: ['spec.list.*.name']",
            ("name: app, v", "name: shop.example, v"),
        ),
        (
            "data.port",
            "fieldPaths: [spec.new.deep], options: {create: true}",
            ("spec:", "spec:\n  new: {deep: 8080}"),
        ),
        (
            "data.host",
            "fieldPaths: ['spec.list.[name=new].v'], options: {create: true}",
            ('v: "3"}', 'v: "3"}, {name: new, v: shop.example}'),
        ),
        ("'data.[keys.json]'", "fieldPaths: [spec.text]", ('text: "1"', 'text: "{}"')),
        (
            "data.host",
            "fieldPaths: ['metadata.annotations.[a.b/c]'], options: {create: true}",
            ("labels: {a: b}", "labels: {a: b}, annotations: {a.b/c: shop.example}"),
        ),
    ],
)
def test_a_value_is_copied_into_a_field(
    tmp_path: Path, field: str, target: str, changed: tuple[str, str]
) -> None:
    built = THING.replace(*changed)
    if "*.name" in target:
        built = built.replace("name: my-app", "name: shop.example").replace("name: db", "name: shop.example")
    expect(
        tmp_path,
        {
            "kustomization.yaml": "resources: [settings.yaml, thing.yaml]\nreplacements:\n"
            f"  - source: {{kind: ConfigMap, name: settings, fieldPath: {field}}}\n"
            f"    targets: [{{select: {{kind: Thing}}, {target}}}]\n",
            "settings.yaml": SETTINGS,
            "thing.yaml": THING,
        },
        f"{SETTINGS}---\n{built}",
    )


def test_parts_of_values_are_copied(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [settings.yaml, all.yaml]
replacements:
  - source: {kind: ConfigMap, fieldPath: data.url, options: {delimiter: /, index: 2}}
    targets:
      - {select: {kind: VirtualService}, fieldPaths: [spec.hosts.0]}
      - select: {kind: Service}
        fieldPaths: [metadata.annotations.path]
        options: {delimiter: /, index: 1}
      - select: {kind: Service}
        fieldPaths: [metadata.annotations.ends]
        options: {delimiter: /, index: -1}
      - select: {kind: Service}
        fieldPaths: [metadata.annotations.ends]
        options: {delimiter: /, index: 9}
""",
            "settings.yaml": SETTINGS,
            "all.yaml": f"{ROUTE}---\n"
            "{apiVersion: v1, kind: Service, metadata: {name: web, annotations: {path: x/y, ends: m}}}",
        },
        f"""{SETTINGS}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec: {{hosts: [a.example], http: [{{route: [{{destination: {{host: web}}}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, annotations: {{path: x/a.example, ends: a.example/m/a.example}}}}
""",
    )


def test_replacements_choose_by_former_names_and_labels_and_reject(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [base, settings.yaml]
replacements: [{path: replacements.yaml}]
""",
            "replacements.yaml": """
- source: {kind: ConfigMap, name: settings, fieldPath: data.host}
  targets:
    - select: {name: web, labelSelector: tier=front}
      reject: [{kind: Secret}, {name: a-web, namespace: other}]
      fieldPaths: [metadata.annotations.host]
      options: {create: true}
""",
            "settings.yaml": SETTINGS,
            "base/kustomization.yaml": "{resources: [all.yaml], namePrefix: a-}",
            "base/all.yaml": """
{apiVersion: v1, kind: Service, metadata: {name: web, labels: {tier: front}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: web, labels: {tier: front}}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: other, labels: {tier: front}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web, labels: {tier: back}}}
""",
        },
        f"""{SETTINGS}---
{{apiVersion: v1, kind: Service,
 metadata: {{name: a-web, labels: {{tier: front}}, annotations: {{host: shop.example}}}}}}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: a-web, labels: {{tier: front}}}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: a-web, namespace: other, labels: {{tier: front}}}}}}
---
{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: a-web, labels: {{tier: back}}}}}}
""",
    )


def test_a_value_may_stand_in_the_replacement(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [thing.yaml], replacements: [{sourceValue: new, "
            "targets: [{select: {kind: Thing}, fieldPaths: [spec.text]}]}]}",
            "thing.yaml": THING,
        },
        THING.replace('text: "1"', "text: new"),
        in_kubectl=False,
    )


@pytest.mark.parametrize(
    ("replacement", "says"),
    [
        ("{source: {kind: Thing}}", ".targets: missing; name the fields to write."),
        ("{source: {}, targets: [{}]}", ".source: missing; say which objects are meant."),
        ("{source: {kind: X}, targets: [{}]}", ".source: kind X: 0 objects match; exactly one must."),
        (
            "{source: {kind: Thing, fieldPath: spec.no}, targets: [{}]}",
            ".source.fieldPath: thing.yaml:2: Thing t: has no field spec.no; correct the path.",
        ),
        (
            "{source: {kind: Thing, options: {delimiter: /, index: 3}}, targets: [{}]}",
            ".source.options.index: metadata.name has 1 parts; there is no part 3.",
        ),
        (
            "{source: {kind: Thing, fieldPath: spec.map, options: {delimiter: /}}, targets: [{}]}",
            ".source.options.delimiter: expected a scalar, found {'a': 'b'}; choose a field below or above it.",
        ),
        (
            "{source: {kind: Thing}, targets: [{fieldPaths: [a]}]}",
            ".targets[0].select: missing; say which objects are meant.",
        ),
        (
            "{source: {kind: Thing}, targets: [{select: {kind: T.*}}]}",
            ".targets[0].select.kind: 'T.*': patterns are not supported; write the whole kind.",
        ),
        (
            "{source: {kind: Thing}, targets: [{select: {kind: Thing}, reject: [{}]}]}",
            ".targets[0].reject[0]: missing; say which objects are meant.",
        ),
        (
            "{source: {kind: Thing}, targets: [{select: {kind: Thing}, fieldPaths: [spec.no.more]}]}",
            ".targets[0]: thing.yaml:2: Thing t: has no field spec.no.more; correct it or set options.create.",
        ),
        (
            "{source: {kind: Thing}, targets: [{select: {kind: Thing}, fieldPaths: [spec.list.9.v]}]}",
            ".targets[0]: thing.yaml:2: Thing t: has no field spec.list.9.v; correct it or set options.create.",
        ),
        (
            "{source: {kind: Thing}, targets: [{select: {kind: Thing}, fieldPaths: [spec.number]}]}",
            (
                ".targets[0]: thing.yaml:2: Thing t: spec.number: 't' is not of the type of 1, which it replaces; "
                "quote the old value."
            ),
        ),
        (
            (
                "{source: {kind: Thing, fieldPath: spec.map}, "
                "targets: [{select: {kind: Thing}, fieldPaths: [spec.text]}]}"
            ),
            (
                ".targets[0]: thing.yaml:2: Thing t: spec.text: expected a scalar, found {'a': 'b'}; "
                "choose a field below or above it."
            ),
        ),
        ("{source: {kind: Thing}, sourceValue: x}", ": has both source and sourceValue; remove one."),
    ],
)
def test_a_replacement_without_source_or_field_is_refused(
    tmp_path: Path, replacement: str, says: str
) -> None:
    tree = {
        "kustomization.yaml": f"{{resources: [thing.yaml], replacements: [{replacement}]}}",
        "thing.yaml": THING,
    }

    assert refusal(tmp_path, tree) == f"kustomization.yaml: replacements[0]{says}"


def test_variables_are_replaced_where_kustomize_and_configurations_say(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
namePrefix: a-
resources: [all.yaml]
configurations: [places.yaml]
vars:
  - {name: NAME, objref: {apiVersion: v1, kind: Service, name: web}}
  - {name: PORT, objref: {apiVersion: v1, kind: Service, name: web}, fieldref: {fieldPath: "spec.ports[0].port"}}
  - {name: PORTS, objref: {apiVersion: v1, kind: Service, name: web}, fieldref: {fieldpath: spec.ports}}
""",
            "places.yaml": "varReference: [{kind: VirtualService, path: spec/hosts}, {kind: Thing, path: spec}]",
            "all.yaml": f"""{SERVICE}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, annotations: {{a: "$(NAME):$(PORT)"}}}}
spec: {{hosts: ["$(NAME).example"], gateways: ["$(NAME)"]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  containers:
    - name: c
      command: ["$(NAME)"]
      args: [$(OTHER), $$(NAME), "$$", "$(open", "$(PORTS)", a$b]
      env: [{{name: A, value: "x-$(PORT)"}}]
---
{{apiVersion: x.io/v1, kind: Thing, metadata: {{name: t}}, spec: {{number: $(PORT), text: "$(PORT)/", more: 1}}}}
""",
        },
        """
{apiVersion: v1, kind: Service, metadata: {name: a-web}, spec: {ports: [{port: 80}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-web, annotations: {a: "a-web:80"}}
spec: {hosts: ["a-web.example"], gateways: ["$(NAME)"]}
---
apiVersion: v1
kind: Pod
metadata: {name: a-p}
spec:
  containers:
    - name: c
      command: [a-web]
      args: [$(OTHER), $(NAME), $, "$(open", "$(PORTS)", a$b]
      env: [{name: A, value: x-80}]
---
{apiVersion: x.io/v1, kind: Thing, metadata: {name: a-t}, spec: {number: 80, text: "80/", more: 1}}
""",
    )


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            "[{name: A, objref: {apiVersion: x.io/v1, kind: Thing, name: no-such}}]",
            "vars[0].objref: no object is Thing no-such; list it as a resource.",
        ),
        (
            "[{name: A, objref: {apiVersion: x.io/v1, kind: Thing, name: t}, fieldref: {fieldPath: spec.gone}}]",
            "vars[0].fieldref.fieldPath: thing.yaml:2: Thing t: has no field spec.gone; correct the path.",
        ),
        (
            "[{name: A, objref: {apiVersion: x.io/v1, kind: Thing, name: t}}, {name: A, objref: {kind: X, name: x}}]",
            "vars[1].name: A is defined in kustomization.yaml: vars[0] too; rename one.",
        ),
    ],
)
def test_a_variable_without_a_value_is_refused(tmp_path: Path, variables: str, says: str) -> None:
    tree = {"kustomization.yaml": f"{{resources: [thing.yaml], vars: {variables}}}", "thing.yaml": THING}

    assert refusal(tmp_path, tree) == f"kustomization.yaml: {says}"


def test_a_variable_of_two_bases_is_refused(tmp_path: Path) -> None:
    base = "{resources: [thing.yaml], namePrefix: %s, vars: [{name: A, objref: {kind: X, name: x}}]}"
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [one, two]}",
            "one/kustomization.yaml": base % "one-",
            "two/kustomization.yaml": base % "two-",
            "one/thing.yaml": THING,
            "two/thing.yaml": THING,
        },
    )

    assert message == (
        "two/kustomization.yaml: vars[0].name: A is defined in one/kustomization.yaml: vars[0] too; rename one."
    )


def test_a_variable_that_two_objects_may_have_is_refused(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "resources: [a.yaml, b.yaml]\n"
            "vars: [{name: A, objref: {apiVersion: v1, kind: Secret, name: s}}]",
            "a.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a}}",
            "b.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: b}}",
        },
    )

    assert message == (
        "kustomization.yaml: vars[0].objref: a.yaml:1: Secret a/s, b.yaml:1: Secret b/s match; exactly one may. "
        "Name the namespace."
    )


def test_a_list_with_variables_holds_strings(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [pod.yaml], "
            "vars: [{name: A, objref: {apiVersion: v1, kind: Pod, name: p}}]}",
            "pod.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{args: [1]}]}}",
        },
    )

    assert message == (
        "pod.yaml:1: Pod p: spec/containers/args: vars need a list of strings here, found 1; quote it."
    )
