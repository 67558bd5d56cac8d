"""The JSON schema of case files (draft 2020-12), made from the words that the reader knows.

The package ships it as `data/case-file.schema.json`, and a test compares the two. After a change of the words,
`python -m meshlab.bench.case_file.schema` prints it anew. What a schema cannot say, such as that a
caller is declared, only the reader checks.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from meshlab.bench.case_file import format_words
from meshlab.bench.flaws import FLAWS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SCHEMA_ID", "case_file_schema"]

SCHEMA_ID = "urn:meshlab:case-file"
"""The schema's name. It is no address: editors get the schema as a file, and nothing is fetched."""

Schema = dict[str, Any]


def case_file_schema() -> Schema:
    """Return the schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "meshlab case file",
        "description": "Requests into a mesh, and the outcome that each must have.",
        **_object(_FILE),
        "anyOf": [{"required": ["cases"]}, {"required": ["matrix"]}],
        "$defs": _DEFS,
    }


def _object(properties: Schema, required: Sequence[str] = (), **more: object) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {**found, "required": list(required)} if required else found


def _map(values: Schema, names: Schema | None = None, **more: object) -> Schema:
    found: Schema = {"type": "object", "additionalProperties": values, **more}
    return {**found, "propertyNames": names} if names else found


def _list(items: Schema, **more: object) -> Schema:
    return {"type": "array", "items": items, **more}


def _text(pattern: str = "", description: str = "", **more: object) -> Schema:
    found: Schema = {"type": "string", **more}
    if pattern:
        found["pattern"] = pattern
    return {**found, "description": description} if description else found


def _ref(name: str, description: str = "") -> Schema:
    found: Schema = {"$ref": f"#/$defs/{name}"}
    return {**found, "description": description} if description else found


def _pick(properties: Schema, chosen: Sequence[str]) -> Schema:
    return {word: properties[word] for word in chosen}


_WORD = _text(r"\S")
_STATUS: Schema = {"type": "integer", "minimum": 100, "maximum": 599, "description": "The HTTP status."}
_PORT: Schema = {
    "type": "integer",
    "minimum": 1,
    "maximum": 65535,
    "description": "The pod's own port (a Service's targetPort); may be left out where the pod has only one.",
}
_HEADER_VALUE: Schema = {"type": ["string", "integer"], "pattern": r"^[^\r\n\u0000]*$"}
_HEADER_NAME: Schema = {"pattern": format_words.HEADER}
_HEADERS = _map(_HEADER_VALUE, _HEADER_NAME)
_COMPARED_HEADERS: Schema = {
    **_map({"type": ["string", "integer", "null"], "pattern": r"^[^\r\n\u0000]*$"}, _HEADER_NAME),
    "description": "Headers that must be there with exactly this value; null for one that must be absent.",
}

_CALLER: Schema = {
    "outside": _text(
        format_words.REF, "A client outside the mesh that connects to this gateway, NAMESPACE/NAME."
    ),
    "workload": _text(format_words.REF, "A workload that sends through its own sidecar, NAMESPACE/NAME."),
    "bypass": _text(
        format_words.POLICY,
        "A workload that goes around its sidecar, NAMESPACE/NAME; `none` for a client without identity.",
    ),
    "mesh": _text(format_words.SPIFFE, "The SPIFFE id of a workload of another mesh."),
    "address": _text(format_words.IP, "The IP address of a client that is no workload of the mesh."),
    "certificate": _ref("certificate"),
    "authority": _text(
        r"\S",
        "The authority that signed it: `mesh`, `gateways`, `internet`, one of `authorities`, or the credential or "
        "CA file that a gateway checks its clients with.",
    ),
    "to": _text(format_words.REF, "The workload that it connects to, NAMESPACE/NAME."),
    "port": _PORT,
    "mode": {
        "enum": list(format_words.BYPASS_MODES),
        "description": "`plaintext` when left out; `tls` has no client certificate, `mtls` has the workload's.",
    },
    "use": _text(r"\S", "A caller of `callers` whose words are taken over."),
}
_REQUIRED_OF_CALLERS = {"bypass": ["to"], "mesh": ["authority", "to"]}
_TOKEN: Schema = {
    "use": _text(r"\S", "A token of `tokens` whose words are taken over; claims are joined claim by claim."),
    "issuer": _text(r"\S", "The issuer; may be left out where the manifests have exactly one."),
    "claims": {
        "type": "object",
        "description": "Claims; null leaves one out. iss, aud, iat, nbf, exp and jti are added unless they stand here.",
    },
    "flaw": {
        "enum": list(FLAWS),
        "description": "; ".join(f"{name}: {meaning}" for name, meaning in FLAWS.items()) + ".",
    },
    "in": {"enum": list(format_words.PLACEMENTS), "description": "Where it is sent; `header` when left out."},
    "name": _text(r"\S", "The header, query parameter or cookie."),
    "prefix": _text(description="What stands before it in the header; `Bearer ` when left out."),
    "literal": _text(description="A text that is sent in place of a token."),
}
_REQUEST: Schema = {
    "method": _text(format_words.METHOD, "The method, sent as written; GET when left out."),
    "url": _text(format_words.URL, "Scheme, host, port, path and query."),
    "headers": {
        **_map({"anyOf": [_HEADER_VALUE, _list(_HEADER_VALUE)]}, _HEADER_NAME),
        "description": "Further headers; a list repeats one. `host` replaces the URL's.",
    },
    "body": _text(description="The body."),
    "http": {"enum": ["1.1", "2", 1.1, 2], "description": "The version; 1.1 when left out."},
    "target": _text(format_words.LINE, "The raw request target, in place of the URL's path and query."),
    "sni": _text(description="The TLS server name; the host when left out, none when empty."),
    "tcp": _text(format_words.HOST_PORT, "HOST:PORT of a bare TCP connection."),
    "tls": _text(format_words.HOST_PORT, "HOST:PORT of a TLS connection whose certificate is looked at."),
    "send": _text(description="The text that is sent."),
}
_EXPECT: Schema = {
    "status": _STATUS,
    "refused": {"const": True, "description": "The connection ends without an answer of any application."},
    "answered": {"const": True, "description": "For tcp and tls: an application answers."},
    "app": {
        "anyOf": [_text(format_words.APP), {**_list(_text(format_words.APP)), "minItems": 1}],
        "description": "Whose application gave the answer: NAMESPACE/NAME or an external host; a list for any of them.",
    },
    "proxy": _text(format_words.REF, "Whose proxy gave the answer or ended the connection, NAMESPACE/NAME."),
    "subset": _text(r"\S", "The version label or subset of the workload that answered."),
    "policy": _text(
        format_words.POLICY,
        "The AuthorizationPolicy that refused it, NAMESPACE/NAME; `none` where no rule allowed it.",
    ),
    "rule": {
        "type": "integer",
        "minimum": 0,
        "maximum": 9999,
        "description": "The index of the rule, from 0.",
    },
    "says": _text(r"\S", "Words that the body, or the reason of the proxy that refused, holds."),
    "headers": _COMPARED_HEADERS,
    "received": _ref("received"),
    "certificate": _text(r"\S", "For tls: a DNS or URI name that the answering certificate must have."),
}
_RECEIVED: Schema = {
    "method": _WORD,
    "path": _text(r"\S", "The path with its query, after rewriting."),
    "host": _text(r"\S", "The Host (`:authority`)."),
    "headers": _COMPARED_HEADERS,
    "identity": _text(
        r"\S", "The SPIFFE id of the last mTLS client, as the application gets it; `none` without one."
    ),
    "sni": _text(r"\S", "The server name that the last client asked for with TLS; `none` for no TLS."),
}
_INHERITED: Schema = {
    "from": _ref("from", "Who sends: a name of `callers`, or a caller."),
    "token": _ref("tokenUse", "Which tokens go along: a name of `tokens`, `none`, a token, or a list."),
    "request": _ref("request", "What is sent: METHOD URL, or a mapping."),
}
_NAME = _text(format_words.LINE)


def _callers() -> list[Schema]:
    kinds = [
        _object(_pick(_CALLER, (kind, *more)), [kind, *_REQUIRED_OF_CALLERS.get(kind, [])])
        for kind, more in format_words.CALLER_KINDS.items()
    ]
    inherited = [
        _object(_pick(_CALLER, ("use", kind, *more)), ["use"])
        for kind, more in format_words.CALLER_KINDS.items()
    ]
    return [*kinds, *inherited]


def _requests() -> list[Schema]:
    return [
        _object(_pick(_REQUEST, format_words.HTTP_WORDS), minProperties=1),
        _object(_pick(_REQUEST, format_words.TCP_WORDS), ["tcp"]),
        _object(_pick(_REQUEST, format_words.TLS_WORDS), ["tls"]),
        _object(_pick(_REQUEST, ("sni", "send")), minProperties=1),
    ]


def _authorizer_rules() -> list[Schema]:
    passed = {
        "path": _WORD,
        "method": _text(format_words.METHOD),
        "headers": _HEADERS,
        "addHeaders": _HEADERS,
    }
    denied = {**passed, "status": _STATUS, "body": _text()}
    return [
        _object({"allow": {"const": True}, **passed}, ["allow"]),
        _object({"allow": {"const": False}, **denied}, ["allow"]),
    ]


_FILE: Schema = {
    "workloads": {
        **_map(_ref("workload"), {"pattern": format_words.REF}),
        "description": "Workloads that the manifests do not hold, by NAMESPACE/NAME.",
    },
    "addresses": {
        **_map(_text(format_words.IP, "An IPv4 or IPv6 address."), {"pattern": format_words.REF}),
        "description": "The IP addresses of pods, by NAMESPACE/NAME, for policies that ask for addresses.",
    },
    "apps": {
        **_map(_ref("app"), {"pattern": format_words.APP}),
        "description": "What answers in place of applications, by NAMESPACE/NAME or external host.",
    },
    "authorizers": {
        **_map(_list({"anyOf": _authorizer_rules()}, minItems=1)),
        "description": "Scripts of external authorizers, by extension provider. The first rule that matches decides.",
    },
    "authorities": {
        **_list(
            {**_text(format_words.AUTHORITY), "not": {"enum": list(format_words.AUTHORITIES)}},
            uniqueItems=True,
        ),
        "description": "Certificate authorities beside the mesh's own.",
    },
    "tokens": {
        **_map(_ref("tokenWords"), {"not": {"const": format_words.NONE}}),
        "description": "Names for tokens used below.",
    },
    "callers": {**_map(_ref("caller")), "description": "Names for senders used below."},
    "defaults": {**_object(_INHERITED), "description": "Words of every case that does not write its own."},
    "cases": _list(_ref("case")),
    "matrix": _list(_ref("matrix")),
}

_DEFS: Schema = {
    "workload": {
        "anyOf": [
            {"type": "null"},
            _object(
                {
                    "serviceAccount": _text(r"\S", "Its service account; `default` when left out."),
                    "labels": {**_map(_text()), "description": "The pod's labels."},
                    "proxy": {
                        "enum": list(format_words.PROXY_KINDS),
                        "description": "`sidecar` when left out.",
                    },
                    "ports": {
                        **_map({"enum": list(format_words.PROTOCOLS)}, {"pattern": "^[0-9]+$"}),
                        "description": "The pod's own ports with their protocols, for a workload without a Service.",
                    },
                }
            ),
        ]
    },
    "app": {
        "anyOf": [
            _object(
                {
                    "status": _STATUS,
                    "headers": _HEADERS,
                    "body": _text(),
                    "certificate": _ref("certificate", "What it shows to TLS clients."),
                },
                minProperties=1,
            ),
            _object(
                {
                    "command": {
                        "anyOf": [_WORD, {**_list(_text(), minItems=1), "prefixItems": [_text(minLength=1)]}],
                        "description": "Your own program; it listens on the port in the environment variable PORT.",
                    }
                },
                ["command"],
            ),
        ]
    },
    "certificate": _object(
        {
            "authority": _CALLER["authority"],
            "uris": {**_list(_WORD), "description": "URI names."},
            "dns": {**_list(_WORD), "description": "DNS names."},
        },
        ["authority"],
    ),
    "caller": {"anyOf": _callers()},
    "from": {"anyOf": [_text(r"\S", "A name of `callers`."), _ref("caller")]},
    "tokenWords": _object(_TOKEN),
    "token": {"anyOf": [_text(r"\S", "A name of `tokens`."), _ref("tokenWords")]},
    "tokenUse": {"anyOf": [_ref("token"), _list(_ref("token"), minItems=1)]},
    "request": {"anyOf": [_text(format_words.SHORT_REQUEST, "METHOD URL."), *_requests()]},
    "received": {
        **_object(_RECEIVED, minProperties=1),
        "description": "What must have reached the application. Only what is written is compared.",
    },
    "expect": {
        "anyOf": [
            _STATUS,
            _text(
                format_words.SHORT_EXPECT,
                "`403 istio-ingress/gateway`, `200 app shop/cart`, `refused shop/cart`.",
            ),
            {
                **_object(_EXPECT),
                "oneOf": [{"required": [word]} for word in ("status", "refused", "answered")],
            },
        ]
    },
    "cell": {"anyOf": [_ref("expect"), {"const": format_words.NO_CASE, "description": "No case."}]},
    "case": _object(
        {
            "name": _text(format_words.LINE, "What the case shows; unique in its file."),
            **_INHERITED,
            "expect": _ref("expect", "The outcome: a short form, or a mapping."),
        },
        ["name", "expect"],
    ),
    "line": _object(_INHERITED),
    "matrix": _object(
        {
            "name": _NAME,
            **_INHERITED,
            "columns": {
                **_map(
                    {"anyOf": [_text(format_words.SHORT_REQUEST), _ref("line")]},
                    {"pattern": r"\S"},
                    minProperties=1,
                ),
                "description": "Requests by name.",
            },
            "rows": {
                **_map({"anyOf": [_WORD, _ref("line")]}, {"pattern": r"\S"}, minProperties=1),
                "description": "Callers by name.",
            },
            "expect": {
                **_map({"anyOf": [_list(_ref("cell")), _map(_ref("cell"))]}),
                "description": "The cells by row: a list in the order of the columns, or a mapping by column.",
            },
        },
        ["name", "columns", "rows", "expect"],
    ),
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(case_file_schema(), indent=2) + "\n")
