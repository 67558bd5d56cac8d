"""Names, and the references by name that follow them: prefixes, suffixes, namespaces, configurations, crds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.kustomizations import DEPLOYMENT, ROUTE, SERVICE, expect, refusal

if TYPE_CHECKING:
    from pathlib import Path

PODS = DEPLOYMENT % (
    "{serviceAccountName: web, "
    "volumes: [{name: a, configMap: {name: settings}}, {name: b, secret: {secretName: key}}, "
    "{name: c, persistentVolumeClaim: {claimName: data}}], "
    "containers: [{name: web, envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: other}}]}]}"
)
NAMED = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}
---
{apiVersion: v1, kind: Secret, metadata: {name: key}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
"""
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects:
  - {kind: ServiceAccount, name: web}
  - {kind: ServiceAccount, name: default, namespace: elsewhere}
  - {kind: ServiceAccount, name: stranger, namespace: elsewhere}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: web}, rules: []}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
"""


def test_references_of_pods_follow_a_prefix_and_a_suffix(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{namePrefix: a-, nameSuffix: -z, resources: [pods.yaml, named.yaml]}",
            "pods.yaml": PODS,
            "named.yaml": NAMED,
        },
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: a-web-z}
spec:
  template:
    spec:
      serviceAccountName: a-web-z
      volumes:
        - {name: a, configMap: {name: a-settings-z}}
        - {name: b, secret: {secretName: a-key-z}}
        - {name: c, persistentVolumeClaim: {claimName: a-data-z}}
      containers:
        - name: web
          envFrom: [{configMapRef: {name: a-settings-z}}, {secretRef: {name: other}}]
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a-settings-z}}
---
{apiVersion: v1, kind: Secret, metadata: {name: a-key-z}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a-data-z}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: a-web-z}}
""",
    )


def test_names_in_istio_kinds_do_not_follow_and_some_kinds_keep_their_name(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{namePrefix: a-, resources: [all.yaml]}",
            "all.yaml": f"{ROUTE}---\n{SERVICE}---\n"
            "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n---\n"
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.x.io}}",
        },
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-web}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: a-web}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.x.io}}
""",
    )


def test_a_configuration_makes_names_in_istio_kinds_follow(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [base], namePrefix: a-}",
            "base/kustomization.yaml": "{resources: [all.yaml], configurations: [names.yaml]}",
            "base/all.yaml": f"{ROUTE}---\n{SERVICE}",
            "base/names.yaml": """
nameReference:
  - kind: Service
    version: v1
    fieldSpecs:
      - {kind: VirtualService, path: spec/hosts}
      - {kind: VirtualService, path: spec/http/route/destination/host}
""",
        },
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-web}
spec: {hosts: [a-web], http: [{route: [{destination: {host: a-web}}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: a-web}, spec: {ports: [{port: 80}]}}
""",
    )


def test_a_configuration_that_names_kinds_restricts_the_prefix_to_them(tmp_path: Path) -> None:
    # kustomize drops its own specification, which is for every kind, where one for a kind has the same path.
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], namePrefix: a-, configurations: [names.yaml]}",
            "all.yaml": f"{ROUTE}---\n{SERVICE}",
            "names.yaml": "namePrefix: [{kind: VirtualService, path: metadata/name}]",
        },
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-web}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}
""",
    )


def test_crds_make_names_in_custom_kinds_follow(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [all.yaml], namePrefix: a-, crds: [kinds.yaml]}",
            "all.yaml": "{apiVersion: x.io/v1, kind: Hive, metadata: {name: h}, spec: {key: {name: key}}}\n---\n"
            "{apiVersion: v1, kind: Secret, metadata: {name: key}}",
            "kinds.yaml": """
github.com/x/v1.Hive:
  Schema:
    properties: {apiVersion: {}, kind: {}, metadata: {}, spec: {$ref: HiveSpec}}
HiveSpec:
  Schema:
    properties:
      key: {x-kubernetes-object-ref-api-version: v1, x-kubernetes-object-ref-kind: Secret}
""",
        },
        """
{apiVersion: x.io/v1, kind: Hive, metadata: {name: a-h}, spec: {key: {name: a-key}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: a-key}}
""",
    )


def test_each_variant_of_a_base_refers_to_its_own(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [one, two], namePrefix: x-}",
            "one/kustomization.yaml": "{resources: [../base], namePrefix: one-}",
            "two/kustomization.yaml": "{resources: [../base], namePrefix: two-}",
            "base/kustomization.yaml": "{resources: [all.yaml]}",
            "base/all.yaml": DEPLOYMENT % "{serviceAccountName: web}"
            + "---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}",
        },
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: x-one-web}
spec: {template: {spec: {serviceAccountName: x-one-web}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: x-one-web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: x-two-web}
spec: {template: {spec: {serviceAccountName: x-two-web}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: x-two-web}}
""",
    )


def test_a_name_that_may_mean_two_objects_is_refused(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": """
resources: [role.yaml]
configMapGenerator:
  - {name: settings, namespace: a, literals: [a=1]}
  - {name: settings, namespace: b, literals: [b=2]}
""",
            "role.yaml": """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{resourceNames: [settings]}]
""",
        },
    )

    assert message == (
        "role.yaml:2: ClusterRole reader: rules/resourceNames: settings may mean "
        "kustomization.yaml: configMapGenerator[0]: ConfigMap a/settings-h29d89cmmt, "
        "kustomization.yaml: configMapGenerator[1]: ConfigMap b/settings-fmbk44khfc; give them different names."
    )


def test_the_namespace_reaches_every_object_that_has_one_and_what_refers_to_them(tmp_path: Path) -> None:
    expect(
        tmp_path,
        {
            "kustomization.yaml": "{namespace: shop, resources: [all.yaml, binding.yaml]}",
            "binding.yaml": BINDING,
            "all.yaml": f"""{SERVICE}---
{{apiVersion: v1, kind: Namespace, metadata: {{name: old}}}}
---
{{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{name: fast}}}}
---
{{apiVersion: x.io/v1, kind: Thing, metadata: {{name: t, namespace: old}}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {{name: hook}}
webhooks: [{{name: h, clientConfig: {{service: {{name: web, path: /x}}}}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: things.x.io}}
spec: {{conversion: {{webhook: {{clientConfig: {{service: {{name: web, namespace: old}}}}}}}}}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {{name: v1.x.io}}
spec: {{service: {{name: web}}}}
""",
        },
        """
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}}
---
{apiVersion: x.io/v1, kind: Thing, metadata: {name: t, namespace: shop}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: hook}
webhooks: [{name: h, clientConfig: {service: {name: web, namespace: shop, path: /x}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.x.io}
spec: {conversion: {webhook: {clientConfig: {service: {name: web, namespace: shop}}}}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.x.io}
spec: {service: {name: web, namespace: shop}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects:
  - {kind: ServiceAccount, name: web, namespace: shop}
  - {kind: ServiceAccount, name: default, namespace: shop}
  - {kind: ServiceAccount, name: stranger, namespace: elsewhere}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: web, namespace: shop}, rules: []}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: shop}}
""",
    )


def test_a_namespace_that_makes_two_objects_the_same_is_refused(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "{namespace: shop, resources: [one.yaml, two.yaml]}",
            "one.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a}}",
            "two.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: b}}",
        },
    )

    assert message == (
        "kustomization.yaml: namespace: two.yaml:1: Secret shop/s: the same object comes from one.yaml already."
    )


def test_a_configuration_with_an_unknown_section_is_refused(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [a.yaml], configurations: [names.yaml]}",
            "a.yaml": SERVICE,
            "names.yaml": "nameReferences: []",
        },
    )

    assert message.startswith("names.yaml.nameReferences: kustomize has no such section; it has namePrefix, ")


def test_specifications_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        {
            "kustomization.yaml": "{resources: [a.yaml], configurations: [names.yaml]}",
            "a.yaml": SERVICE,
            "names.yaml": "replicas: [{path: spec/replicas, kind: Deployment}]",
        },
    )

    assert message == (
        "kustomization.yaml: replicas: spec/replicas: an earlier specification says create: true; say the same."
    )


def test_a_base_may_have_a_placeholder_as_a_name_and_the_result_may_not(tmp_path: Path) -> None:
    base = {
        "base/kustomization.yaml": "{resources: [all.yaml]}",
        "base/all.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: $(NAME)}}",
    }
    change = "- {op: replace, path: /metadata/name, value: s}"
    expect(
        tmp_path,
        {
            **base,
            "kustomization.yaml": "resources: [base]\n"
            f"patches: [{{target: {{kind: Secret}}, patch: '{change}'}}]",
        },
        "{apiVersion: v1, kind: Secret, metadata: {name: s}}",
    )

    assert refusal(tmp_path, base, top="base") == (
        "base/all.yaml:1: metadata.name: '$(NAME)' is not a name that Kubernetes takes; use letters, digits and -."
    )
