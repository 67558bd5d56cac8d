"""Coverage of the cases: which rules, conditions, routes and servers of a mesh no case exercised.

| module | what it holds |
|---|---|
| `items` | everything in the manifests that a case can exercise |
| `policies` | which rules and conditions a request exercised |
| `routes`, `servers` | which route a request took, and through which server of a Gateway it came |
| `recorder` | the requests of a whole run |
| `coverage` | the result: counts, and what is missed |
| `report`, `as_json` | the result for people and for programs |

What a request met is what Envoy says: the access log, and probes of each rule and condition
(`bench/evidence/condition_probes.py`). Nothing is evaluated here.
"""
