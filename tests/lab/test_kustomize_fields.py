"""Labels, annotations, images and replicas: which fields of which kinds they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.kustomizations import ROUTE, SERVICE, expect, refusal

if TYPE_CHECKING:
    from pathlib import Path

WORKLOADS = f"""{SERVICE}---
{ROUTE}---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{topologySpreadConstraints: [{{labelSelector: {{matchLabels: {{app: web}}}}}}]}}
---
{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: job}}, spec: {{jobTemplate: {{}}}}}}
---
{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: web}}, spec: {{selector: {{}}}}}}
"""


def test_common_labels_reach_selectors_and_templates(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], commonLabels: {team: shop}}",
            "all.yaml": WORKLOADS,
        },
        """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {team: shop}}
spec: {ports: [{port: 80}], selector: {team: shop}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, labels: {team: shop}}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {team: shop}}
spec:
  selector: {matchLabels: {app: web, team: shop}}
  template:
    metadata: {labels: {app: web, team: shop}}
    spec: {topologySpreadConstraints: [{labelSelector: {matchLabels: {app: web, team: shop}}}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: job, labels: {team: shop}}
spec: {jobTemplate: {metadata: {labels: {team: shop}}, spec: {template: {metadata: {labels: {team: shop}}}}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, labels: {team: shop}}
spec: {selector: {}}
""",
    )


@pytest.mark.parametrize(
    ("options", "selector", "template"),
    [
        ("", "{app: web}", "{app: web}"),
        (", includeTemplates: true", "{app: web}", "{app: web, team: shop}"),
        (", includeSelectors: true", "{app: web, team: shop}", "{app: web, team: shop}"),
        (
            ", fields: [{path: spec/selector/matchLabels, kind: Deployment}]",
            "{app: web, team: shop}",
            "{app: web}",
        ),
    ],
)
def test_labels_reach_what_they_include(tmp_path: Path, options: str, selector: str, template: str) -> None:
    pods = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web%s}
spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s}}}
"""
    expect(
        tmp_path,
        {
            "kustomization.yaml": f"{{resources: [all.yaml], labels: [{{pairs: {{team: shop}}{options}}}]}}",
            "all.yaml": pods % ("", "{app: web}", "{app: web}"),
        },
        pods % (", labels: {team: shop}", selector, template),
    )


def test_labels_reach_claims_of_a_stateful_set(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "resources: [all.yaml]\nlabels: [{pairs: {a: b}, includeVolumeClaimTemplates: true}]",
            "all.yaml": "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, "
            "spec: {volumeClaimTemplates: [{metadata: {name: data}}]}}",
        },
        """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, labels: {a: b}}
spec: {volumeClaimTemplates: [{metadata: {name: data, labels: {a: b}}}]}
""",
        in_kubectl=False,
    )


def test_annotations_reach_templates_and_become_strings(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], commonAnnotations: {a: b}}",
            "all.yaml": "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, annotations: {port: 80}}, "
            "spec: {template: {}}}\n---\n{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {}}}",
        },
        """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, annotations: {port: "80", a: b}}
spec: {template: {metadata: {annotations: {a: b}}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {a: b}}}
""",
    )


@pytest.mark.parametrize(
    ("entry", "before", "after"),
    [
        ("{name: nginx, newTag: '2'}", "nginx", "nginx:2"),
        ("{name: nginx, newTag: '2'}", "nginx:1", "nginx:2"),
        ("{name: nginx, newTag: '2'}", "nginx:1@sha256:ab", "nginx:2"),
        ("{name: nginx, newTag: '2'}", "library/nginx:1", "library/nginx:1"),
        ("{name: nginx, newName: 'r.io:5000/n'}", "nginx:1", "r.io:5000/n:1"),
        ("{name: nginx, digest: 'sha256:cd'}", "nginx:1", "nginx@sha256:cd"),
        ("{name: nginx, newTag: '2', digest: 'sha256:cd'}", "nginx:1", "nginx:2@sha256:cd"),
        ("{name: 'r.io:5000/n', newTag: '2'}", "r.io:5000/n@sha256:ab", "r.io:5000/n:2"),
        ("{name: ngin., newTag: '2'}", "nginx", "nginx:2"),
        ("{name: nginx, tagSuffix: -x}", "nginx:1", "nginx:1-x-x"),
    ],
)
def test_images_are_renamed(tmp_path: Path, entry: str, before: str, after: str) -> None:
    pods = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: '%s'}]}}"
    expect(
        tmp_path,
        {"kustomization.yaml": f"{{resources: [all.yaml], images: [{entry}]}}", "all.yaml": pods % before},
        pods % after,
    )


def test_images_are_found_in_containers_of_any_kind_and_where_a_configuration_says(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [all.yaml]
configurations: [images.yaml]
images: [{name: nginx, newTag: "2"}]
""",
            "images.yaml": "images: [{path: spec/runtime, kind: Thing}]",
            "all.yaml": "{apiVersion: x.io/v1, kind: Thing, metadata: {name: t}, spec: {runtime: nginx, other: nginx, "
            "deep: [{containers: [{image: nginx}], initContainers: [{image: 'nginx:1'}, {name: none}]}]}}",
        },
        """
apiVersion: x.io/v1
kind: Thing
metadata: {name: t}
spec:
  runtime: nginx:2
  other: nginx
  deep: [{containers: [{image: "nginx:2"}], initContainers: [{image: "nginx:2"}, {name: none}]}]
""",
    )


def test_replicas_find_a_workload_by_any_of_its_names(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "resources: [base]\nreplicas: [{name: web, count: 5}, {name: a-db, count: 2}]",
            "base/kustomization.yaml": "{resources: [all.yaml], namePrefix: a-}",
            "base/all.yaml": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}\n"
            "---\n{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}}",
        },
        """
{apiVersion: apps/v1, kind: Deployment, metadata: {name: a-web}, spec: {replicas: 5}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a-db}, spec: {replicas: 2}}
""",
    )


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (
            "replicas: [{name: api, count: 1}]",
            (
                "kustomization.yaml: replicas[0].name: api: no object of that name is one of "
                "Deployment, ReplicaSet, ReplicationController, StatefulSet; correct the name."
            ),
        ),
        (
            "replicas: [{name: web, count: many}]",
            "kustomization.yaml: replicas[0].count: expected a whole number, found 'many'.",
        ),
        (
            "images: [{name: a, newTag: 1.2}]",
            "kustomization.yaml: images[0].newTag: expected a string, found 1.2; quote it.",
        ),
        (
            "images: [{name: a, tag: x}]",
            (
                "kustomization.yaml: images[0].tag: not supported; "
                "the subset reads name, newName, newTag, tagSuffix, digest."
            ),
        ),
        (
            "images: [{name: '('}]",
            (
                "kustomization.yaml: images[0].name: is no regular expression: "
                "missing ), unterminated subpattern at position 1."
            ),
        ),
        (
            "commonLabels: {a: 1}",
            "kustomization.yaml: commonLabels.a: expected a string, found 1; quote it.",
        ),
        (
            "labels: [{pairs: {a: b}, includeSelectors: 1}]",
            "kustomization.yaml: labels[0].includeSelectors: expected true or false, found 1.",
        ),
        (
            "labels: [{pairs: {a: b}, fields: [{path: spec/ports/port/deep}]}]",
            (
                "all.yaml:1: Service web: spec/ports/port/deep: "
                "leads through a value that is neither a mapping nor a list."
            ),
        ),
        (
            "labels: [{pairs: {a: b}, fields: [{path: spec/ports/port}]}]",
            "all.yaml:1: Service web: spec/ports/port: expected a mapping, found 80.",
        ),
    ],
)
def test_what_names_no_field_is_refused(tmp_path: Path, field: str, says: str) -> None:
    tree = {"kustomization.yaml": f"resources: [all.yaml]\n{field}\n", "all.yaml": SERVICE}

    assert refusal(tmp_path, tree) == says
