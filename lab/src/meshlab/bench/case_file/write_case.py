"""Cases as the words of a case file, the reverse of reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload, HttpRequest, TcpRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.bench.case import AppSpec, Case, Certificate, DeclaredWorkload, Sender, TlsRequest, TokenSpec
    from meshlab.bench.protocol import Setup

__all__ = ["case_file_text", "case_text", "case_words", "setup_words"]

_WIDTH = 110
_USUAL_STATUS = 200


def case_words(case: Case, expect: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case as a case file has it.

    Args:
        case: The case.
        expect: What must happen, in the words of `expect`.
    """
    tokens = [_token(token) for token in case.tokens]
    found: dict[str, Any] = {"name": case.name, "from": _sender(case.sender)}
    if tokens:
        found["token"] = tokens[0] if len(tokens) == 1 else tokens
    return {**found, "request": _request(case.request), "expect": dict(expect)}


def case_text(case: Case, expect: Mapping[str, Any]) -> str:
    """Return a case as one item of the list `cases`, ready to paste."""
    return _dumped([case_words(case, expect)])


def setup_words(setup: Setup) -> dict[str, Any]:
    """Return what cases need around them, as a case file has it: workloads, applications, authorities, addresses."""
    found: dict[str, Any] = {}
    if setup.workloads:
        found["workloads"] = {str(ref): _workload(declared) for ref, declared in setup.workloads.items()}
    if setup.apps:
        found["apps"] = {app.target: _app(app) for app in setup.apps}
    if setup.authorities:
        found["authorities"] = list(setup.authorities)
    if setup.addresses:
        found["addresses"] = {str(ref): address for ref, address in setup.addresses.items()}
    return found


def case_file_text(setup: Setup, cases: Iterable[tuple[Case, Mapping[str, Any]]]) -> str:
    """Return a whole case file.

    Args:
        setup: What the cases need around them.
        cases: The cases, each with what must happen.
    """
    written = [case_words(case, expect) for case, expect in cases]
    return _dumped({**setup_words(setup), "cases": written})


def _dumped(document: object) -> str:
    # Characters beyond ASCII are escaped, so that no text of a manifest can change how the file looks.
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=_WIDTH)
    return text


def _sender(sender: Sender) -> dict[str, Any]:
    match sender:
        case FromOutside():
            found: dict[str, Any] = {"outside": str(sender.gateway)}
            if sender.address is not None:
                found["address"] = sender.address
            if sender.certificate is not None:
                found["certificate"] = _certificate(sender.certificate)
            return found
        case FromWorkload():
            return {"workload": str(sender.workload)}
        case FromBypass():
            found = {"bypass": str(sender.workload) if sender.workload else "none", "to": str(sender.to)}
            if sender.port is not None:
                found["port"] = sender.port
            found |= {"mode": sender.mode} if sender.mode != "plaintext" else {}
            return found | ({"address": sender.address} if sender.address is not None else {})
        case FromForeignMesh():
            found = {"mesh": sender.identity, "authority": sender.authority, "to": str(sender.to)}
            found |= {"port": sender.port} if sender.port is not None else {}
            return found | ({"address": sender.address} if sender.address is not None else {})


def _app(app: AppSpec) -> dict[str, Any]:
    if app.command:
        return {"command": list(app.command)}
    found: dict[str, Any] = {}
    if app.status != _USUAL_STATUS:
        found["status"] = app.status
    if app.headers:
        found["headers"] = dict(app.headers)
    if app.body is not None:
        found["body"] = app.body
    if app.certificate is not None:
        found["certificate"] = _certificate(app.certificate)
    return found or {"status": app.status}


def _certificate(certificate: Certificate) -> dict[str, Any]:
    found: dict[str, Any] = {"authority": certificate.authority}
    if certificate.uris:
        found["uris"] = list(certificate.uris)
    if certificate.dns:
        found["dns"] = list(certificate.dns)
    return found


def _token(token: TokenSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if token.literal is not None:
        found["literal"] = token.literal
    else:
        if token.issuer is not None:
            found["issuer"] = token.issuer
        if token.claims:
            found["claims"] = dict(token.claims)
        if token.flaw:
            found["flaw"] = token.flaw
    if token.placement != "header":
        found["in"] = token.placement
    elif token.prefix != "Bearer ":
        found["prefix"] = token.prefix
    return found | ({"name": token.name} if token.name else {})


def _request(request: HttpRequest | TcpRequest | TlsRequest) -> object:
    if not isinstance(request, HttpRequest):
        kind = "tcp" if isinstance(request, TcpRequest) else "tls"
        found: dict[str, Any] = {kind: f"{request.host}:{request.port}"}
        if not isinstance(request, TcpRequest) and request.sni is not None:
            found["sni"] = request.sni
        return found | ({"send": request.send} if request.send != "hello\n" else {})
    usual = HttpRequest(request.url, method=request.method)
    if request == usual:
        return f"{request.method} {request.url}"
    found = {"method": request.method, "url": request.url}
    if request.headers:
        headers: dict[str, list[str]] = {}
        for name, value in request.headers:
            headers.setdefault(name, []).append(value)
        found["headers"] = {
            name: values[0] if len(values) == 1 else values for name, values in headers.items()
        }
    if request.body:
        found["body"] = request.body
    if request.version != "1.1":
        found["http"] = request.version
    if request.target is not None:
        found["target"] = request.target
    return found | ({"sni": request.sni} if request.sni is not None else {})


def _workload(declared: DeclaredWorkload) -> dict[str, Any]:
    found: dict[str, Any] = {"serviceAccount": declared.service_account}
    if declared.labels:
        found["labels"] = dict(declared.labels)
    if declared.proxy != "sidecar":
        found["proxy"] = declared.proxy
    if declared.ports:
        found["ports"] = dict(declared.ports)
    return found
