"""Kustomizations as manifests: what `kubectl apply -k` would send, without kubectl.

`build` follows kustomize 5.8 and the 5.5 of kubectl 1.32, which agree on what is read here. `build_with_tool` asks the
kustomize or kubectl of the machine, and `build_any` prefers it where it is installed.

Of a `kustomization.yaml` (Kustomization or Component) `build` reads:

| field | what is read |
|---|---|
| `resources`, `bases` | files with any number of objects, directories; nothing remote |
| `components` | directories |
| `configurations` | every section |
| `crds` | references, labels, annotations and identities of OpenAPI definitions |
| `openapi` | `path`, of which the merge keys count; the `version` that kustomize carries |
| `configMapGenerator`, `secretGenerator` | everything, with the hash behind the name |
| `generatorOptions` | everything |
| `patches` | strategic merge and JSON 6902, with and without a `target`, `options` |
| `patchesStrategicMerge`, `patchesJson6902` | everything |
| `namespace`, `namePrefix`, `nameSuffix` | everything, and the references by name that follow |
| `labels`, `commonLabels`, `commonAnnotations` | everything |
| `replicas`, `images`, `imageTags` | everything |
| `replacements` | inline or `path`; whole names in selectors, no pattern; no field inside of a string |
| `vars` | everything |
| `sortOptions` | everything; without it the objects keep the order of the files |
| `buildMetadata` | passed over: the annotations and the label about the build are not written |

`helmCharts`, `generators`, `transformers` and `validators` are refused, and so is anything else, with an error that
names file and field. An object annotated `config.kubernetes.io/local-config: "true"` can be a source of replacements
and references, and is left out of the result.

Known differences from kustomize: a field whose value is left blank stays in an object that a patch changes, as null;
text in YAML's folded style (`>`) is read as YAML says, where kustomize adds blank lines to some of it.
"""

from __future__ import annotations

from meshlab.kustomize.build import build, build_any
from meshlab.kustomize.tool import build_with_tool

__all__ = ["build", "build_any", "build_with_tool"]
