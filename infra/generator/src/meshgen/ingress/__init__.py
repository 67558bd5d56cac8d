"""The internal gateway: callers in infra/mesh/callers, services in infra/mesh/services, and what follows from them.

`model` is what descriptions say, `reading` and `agreement` check them, `policies` and `routes` decide what follows,
`cases` what must then happen to requests, and `files` where all of it is written.
"""

from __future__ import annotations

from meshgen.ingress.files import ingress_files

__all__ = ["ingress_files"]
