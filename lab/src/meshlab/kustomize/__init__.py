"""A documented subset of kustomize: the manifests that `kubectl apply -k` would send, without kubectl.

Of a `kustomization.yaml` (Kustomization or Component) it reads:

| field | subset |
|---|---|
| `resources` | files with any number of documents, directories |
| `components` | directories |
| `namespace` | the namespace of every object that has one; names no ServiceAccount of another namespace |
| `labels` | `pairs`, on the objects alone (no `includeSelectors`, no `includeTemplates`) |
| `configMapGenerator` | `name`, `namespace`, `literals`, `envs`, `files`, `options` |
| `generatorOptions` | `disableNameSuffixHash`, `labels`, `annotations` |
| `patches` | `path` or `patch`, with or without a `target`; JSON 6902, or a merge of maps |
| `replacements` | inline or `path`; everything but `sourceValue` |

An object annotated `config.kubernetes.io/local-config: "true"` can be a source of replacements and is left out of the
result, as kubectl does. A generated ConfigMap that is not left out must disable the hash behind its name. Anything else
is refused with an error that names file and field.
"""

from meshlab.kustomize.build import build

__all__ = ["build"]
