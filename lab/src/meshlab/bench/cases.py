"""Reading policy tests: a YAML file of cases, refused as a whole if any word in it is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from meshlab.bench.tokens import NAMES
from meshlab.errors import LabError
from meshlab.manifest import parse_yaml

Target = Literal["gateway", "sidecar"]
Client = Literal["gateway", "neighbour", "stranger", "none", "plaintext"]
Answerer = Literal["gateway", "sidecar", "app"]


@dataclass(frozen=True)
class Expectation:
    """The fate of a request.

    Attributes:
        by: Who gave the answer: a proxy, or the application when the request got in.
        status: HTTP status of the answer.
        refused: True when the connection must end without any HTTP answer.
        says: Words that the body of the answer must hold.
    """

    by: Answerer
    status: int | None = None
    refused: bool = False
    says: str = ""


@dataclass(frozen=True)
class Case:
    """One request and its expected fate.

    Attributes:
        name: The promise, unique in its file.
        expect: What must happen.
        to: The proxy that the request is sent to.
        client: The certificate shown to the sidecar, or `plaintext` for a request without TLS.
        token: Name of the bearer token, or `none`; see `meshlab.bench.tokens`.
        query_token: Name of a token sent as the query parameter `access_token`, or `none`.
        method: The request's method, sent as it is.
        path: The request's path, sent as it is.
        host: The Host header; by default the contract's.
        host_port: A port added to the Host header.
    """

    name: str
    expect: Expectation
    to: Target = "gateway"
    client: Client = "none"
    token: str = "valid"  # noqa: S105 - a name
    query_token: str = "none"  # noqa: S105 - a name
    method: str = "GET"
    path: str = "/"
    host: str | None = None
    host_port: int | None = None


def load_cases(path: Path) -> list[Case]:
    """Read a file of policy tests.

    Raises:
        LabError: The file is not what it should be; the message names the case and the word.
        ManifestError: It is not YAML.
    """
    document, *more = parse_yaml(path.read_text(), str(path)) or [None]
    if more or not isinstance(document, Mapping) or set(document) - {"defaults", "cases"}:
        raise LabError(f"{path}: expected a mapping with `cases` and, if wanted, `defaults`")
    defaults = document.get("defaults", {})
    cases = [
        _case(f"{path}: case {number}", {**defaults, **raw})
        for number, raw in enumerate(document["cases"], 1)
    ]
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise LabError(f"{path}: two cases are named {name!r}: give each promise its own name")
    return cases


def _case(where: str, raw: Mapping[str, Any]) -> Case:
    if "name" not in raw or "expect" not in raw:
        raise LabError(f"{where}: a case needs `name` and `expect`")
    where = f"{where} ({raw['name']})"
    _only_known(where, raw, Case)
    _only_known(f"{where}: expect", raw["expect"], Expectation)
    if "by" not in raw["expect"] or ("status" in raw["expect"]) == ("refused" in raw["expect"]):
        raise LabError(f"{where}: expect needs `by` and one of `status` and `refused`")
    expect = Expectation(**raw["expect"])
    case = replace(Case(**raw), expect=expect)
    for value, allowed in ((case.to, Target), (case.client, Client), (expect.by, Answerer)):
        if value not in get_args(allowed):
            raise LabError(f"{where}: {value!r} is not one of {', '.join(get_args(allowed))}")
    for token in (case.token, case.query_token):
        if token not in NAMES | {"none"}:
            raise LabError(f"{where}: unknown token {token!r}; known are none, {', '.join(sorted(NAMES))}")
    return case


def _only_known(where: str, raw: Mapping[str, Any], kind: type[Case] | type[Expectation]) -> None:
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(raw) - known)
    if unknown:
        raise LabError(f"{where}: unknown word {unknown[0]!r}; known are {', '.join(sorted(known))}")
