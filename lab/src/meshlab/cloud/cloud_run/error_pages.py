"""What the front door answers a caller that does not get in: Google's status, headers and HTML page.

- 403 without any credential, and for an account that may not call the service.
- 401 for a credential that cannot be verified: expired, for another audience, of another kind.

Sources: https://cloud.google.com/run/docs/troubleshooting#client-error ; the pages as users quote them,
https://github.com/google/adk-python/issues/3814 (401) and
https://github.com/GoogleCloudPlatform/cloud-code-intellij/issues/3133 (403).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.envoy.config import Json

__all__ = ["local_replies"]

_HTML = "text/html; charset=UTF-8"
_PAGE = """<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>{status} {reason}</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: {reason}</h1>
<h2>{sentence}</h2>
<h2></h2>
</body></html>
"""
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_SENTENCES = {
    _UNAUTHORIZED: (
        "Unauthorized",
        "Your client does not have permission to the requested URL <code>{path}</code>.",
    ),
    _FORBIDDEN: (
        "Forbidden",
        "Your client does not have permission to get URL <code>{path}</code> from this server.",
    ),
}
# Envoy does not escape what it puts into a page. So a page repeats a path only if nothing in it has to be escaped, and
# never a query, which may hold a token.
_PLAIN_PATH = r"/[A-Za-z0-9/_.~%-]*"
_SHOWN_PATH, _HIDDEN_PATH = "%REQ(:PATH)%", "/..."
_CHALLENGE = 'Bearer error="invalid_token" error_description="The access token could not be verified"'


def local_replies(unverified: Iterable[Json]) -> Json:
    """Return the part of a connection manager that makes Envoy's own refusals look like Google's.

    Args:
        unverified: Filters of an access log. A refusal that one of them matches becomes a 401.
    """
    failed = _any_of(_status(_UNAUTHORIZED), *unverified)
    return {
        "mappers": [
            *_mappers(failed, _UNAUTHORIZED, {"www-authenticate": _CHALLENGE}),
            *_mappers(_status(_FORBIDDEN), _FORBIDDEN, {}),
        ]
    }


def _mappers(condition: Json, status: int, headers: dict[str, str]) -> list[Json]:
    plain = {
        "headerFilter": {
            "header": {"name": ":path", "stringMatch": {"safeRegex": {"regex": _PLAIN_PATH}}},
        }
    }
    both = {"andFilter": {"filters": [condition, plain]}}
    return [
        {
            "filter": found,
            "statusCode": status,
            "headersToAdd": [
                {"header": {"key": name, "value": value}, "appendAction": "OVERWRITE_IF_EXISTS_OR_ADD"}
                for name, value in headers.items()
            ],
            "bodyFormatOverride": {
                "textFormatSource": {"inlineString": _page(status, path)},
                "contentType": _HTML,
            },
        }
        for found, path in ((both, _SHOWN_PATH), (condition, _HIDDEN_PATH))
    ]


def _page(status: int, path: str) -> str:
    reason, sentence = _SENTENCES[status]
    return _PAGE.format(status=status, reason=reason, sentence=sentence.format(path=path))


def _status(status: int) -> Json:
    value = {"defaultValue": status, "runtimeKey": f"front_door.status_{status}"}
    return {"statusCodeFilter": {"comparison": {"op": "EQ", "value": value}}}


def _any_of(*filters: Json) -> Json:
    return {"orFilter": {"filters": list(filters)}}
