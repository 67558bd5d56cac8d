"""A first case file for a mesh: requests at its gateways, between its workloads, and at its rules.

The questions are drafted from the mesh, sent once, and written down with the answers of today. A draft is also a case
file, so the reader checks it before anything is started.
"""

from __future__ import annotations

import json
import re
from dataclasses import field, replace
from typing import TYPE_CHECKING

from meshlab.bench.case_file import parse_case_file
from meshlab.bench.case_file.nodes import compose
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.bench.survey import ClientCertificate, Endpoint, Entrance, Survey
    from meshlab.bench.verdicts.verdict import Outcome, Verdict
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Draft", "draft_of", "questions", "written"]

_MAX_COLUMNS = 6
_MAX_ROWS = 8
_MAX_GATEWAYS = 4
_MAX_TOKENS = 4
_MAX_RULES = 6
_MAX_REASON = 200

_HEADER = """\
# Requests into this mesh, and the outcome of each on the day this file was written. Read every line: is it what you
# want? Change what is not, and fix the manifests until `meshlab test` passes.
#
# A case says who sends (`from`), what (`request`), with which token (`token`), and what must happen (`expect`):
#
#   - name: an expired token
#     from: {outside: istio-ingress/gateway}        # or {workload: NS/NAME}, or {bypass: NS/NAME, to: NS/NAME}
#     token: {issuer: https://idp.example, claims: {sub: alice}, flaw: expired}
#     request: GET https://shop.example/orders/1    # or a mapping: method, url, headers, body; or tcp: HOST:PORT
#     expect: {status: 401, proxy: istio-ingress/gateway, says: Jwt is expired}
#
# A matrix is a table of cases: callers are rows, requests are columns. A cell is a short verdict:
#   200 NS/NAME       the application of NS/NAME answered    (404 app NS/NAME: it answered 404)
#   403 NS/NAME       the proxy of NS/NAME refused it        (200 proxy NS/NAME: it answered itself)
#   refused NS/NAME   that proxy ended the connection
#   '-'               no case
#
# All words: `meshlab schema`.
"""


@dataclass(frozen=True)
class _Table:
    name: str
    about: str
    sender: str
    columns: Mapping[str, str]
    rows: Mapping[str, str]


@dataclass(frozen=True)
class _Single:
    name: str
    sender: str
    request: str


@dataclass(frozen=True)
class Draft:
    """Questions to a mesh, in the words of a case file.

    Attributes:
        tokens: Named tokens, as YAML.
        tables: Matrices.
        singles: Cases of their own.
        left_out: What was not asked about, one sentence each.
        alike: Workload to all that stand behind a Service with it.
    """

    tokens: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[_Table, ...] = ()
    singles: tuple[_Single, ...] = ()
    left_out: tuple[str, ...] = ()
    alike: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to ask."""
        return not self.tables and not self.singles


def draft_of(survey: Survey) -> Draft:
    """Return the first questions to a mesh."""
    left_out = list(survey.left_out)
    tokens = _tokens(survey)
    tables = [
        *_entrance_tables(survey, tokens, left_out),
        *_inside_table(survey, left_out),
        *_rule_tables(survey, left_out),
    ]
    return Draft(tokens, tuple(tables), tuple(_around(survey)), tuple(left_out), _alike(survey))


def questions(draft: Draft, file: str) -> CaseFile:
    """Return a draft as cases that only ask what happens.

    Args:
        draft: The draft.
        file: What to call the file.
    """
    # `refused` is a placeholder that fits every kind of request.
    found = parse_case_file(_text(draft, lambda _: "refused", {}), file)
    return replace(found, cases=tuple(replace(case, expect=None) for case in found.cases))


def written(draft: Draft, outcomes: Iterable[Outcome]) -> str:
    """Return the text of the case file, each question with its answer."""
    by_name = {outcome.case.name: outcome for outcome in outcomes}
    unanswered = {name: _why_not(outcome) for name, outcome in by_name.items() if _why_not(outcome)}
    return _text(
        draft, lambda name: _cell(by_name[name], draft.alike) if name in by_name else "'-'", unanswered
    )


def _alike(survey: Survey) -> dict[str, tuple[str, ...]]:
    """Return each workload with those that stand behind a Service with it."""
    behind: dict[str, dict[str, None]] = {}
    for endpoint in survey.endpoints:
        behind.setdefault(endpoint.host, {})[str(endpoint.workload)] = None
    found: dict[str, dict[str, None]] = {}
    for workloads in behind.values():
        for name in workloads:
            found.setdefault(name, {}).update(workloads)
    return {name: tuple(sorted(others)) for name, others in found.items()}


def _tokens(survey: Survey) -> dict[str, str]:
    """Return the tokens that ALLOW rules ask for, and one of each issuer that no rule names."""
    found: dict[str, str] = {}
    for rule in survey.rules:
        short = rule.policy.rpartition("/")[2]
        token = _token(rule.issuer, dict(rule.claims))
        # A gateway and the workloads behind it often ask for the same token.
        if rule.issuer and token not in found.values():
            found[f"token for {rule.policy if f'token for {short}' in found else short}"] = token
    named = {rule.issuer for rule in survey.rules}
    for number, issuer in enumerate(issuer.name for issuer in survey.issuers if issuer.name not in named):
        found[f"token of issuer {number + 1}"] = _token(issuer, {"sub": "alice"})
    return dict(list(found.items())[:_MAX_TOKENS])


def _token(issuer: str, claims: Mapping[str, str]) -> str:
    written = ", ".join(f"{_scalar(name)}: {_scalar(value)}" for name, value in claims.items())
    return f"{{issuer: {_scalar(issuer)}, claims: {{{written}}}}}"


def _entrance_tables(survey: Survey, tokens: Mapping[str, str], left_out: list[str]) -> Iterator[_Table]:
    rows = {"no token": "{token: none}"}
    for name in tokens:
        rows[name] = f"{{token: {_scalar(name)}}}"
        rows[f"{name} expired"] = f"{{token: {{use: {_scalar(name)}, flaw: expired}}}}"
    gateways = list(dict.fromkeys(entrance.gateway for entrance in survey.entrances))
    for gateway in gateways[:_MAX_GATEWAYS]:
        entrances = [entrance for entrance in survey.entrances if entrance.gateway == gateway]
        certificates = dict.fromkeys(entrance.certificate for entrance in entrances if entrance.certificate)
        for certificate in (None, *certificates):
            # Without a certificate every host is asked, so that a host that needs one is seen to refuse.
            asked = [found for found in entrances if certificate in (None, found.certificate)]
            yield _entrance_table(survey, gateway, asked, certificate, rows, left_out)
    if len(gateways) > _MAX_GATEWAYS:
        left_out.append(f"{len(gateways) - _MAX_GATEWAYS} more gateways")


def _entrance_table(
    survey: Survey,
    gateway: WorkloadRef,
    entrances: Sequence[Entrance],
    certificate: ClientCertificate | None,
    rows: Mapping[str, str],
    left_out: list[str],
) -> _Table:
    columns = {
        name: request for entrance in entrances for name, request in _entrance_columns(survey, entrance)
    }
    shown = ""
    if certificate:
        (name, *_) = *certificate.uris, *certificate.dns
        shown = f" with a certificate of {certificate.authority} for {name}"
    sender = f"outside: {gateway}" + (f", certificate: {_certificate(certificate)}" if certificate else "")
    return _Table(
        f"from outside to {gateway}{shown}",
        f"Clients outside the mesh at the gateway {gateway}{shown}.",
        f"{{{sender}}}",
        _first(columns, _MAX_COLUMNS, f"requests to the gateway {gateway}{shown}", left_out),
        rows,
    )


def _certificate(certificate: ClientCertificate) -> str:
    names = {"uris": certificate.uris, "dns": certificate.dns}
    written = [f"{word}: [{', '.join(map(_scalar, found))}]" for word, found in names.items() if found]
    return f"{{{', '.join([f'authority: {_scalar(certificate.authority)}', *written])}}}"


def _entrance_columns(survey: Survey, entrance: Entrance) -> Iterator[tuple[str, str]]:
    """Yield requests to a host: those that the gateway's rules name, then those that its routes match."""
    usual = (entrance.scheme, entrance.port) in (("http", 80), ("https", 443))
    authority = entrance.host if usual else f"{entrance.host}:{entrance.port}"
    asked = [
        (method, path)
        for rule in survey.rules
        if rule.workload == entrance.gateway
        for method in rule.methods or ("GET",)
        for path in rule.paths
    ]
    asked += [("GET", path) for path in entrance.paths or ("/",)]
    for method, path in asked:
        yield f"{method} {authority}{path}", f"{method} {entrance.scheme}://{authority}{path}"


def _inside_table(survey: Survey, left_out: list[str]) -> Iterator[_Table]:
    columns = {_endpoint_name(endpoint): _request(endpoint, "GET", "/") for endpoint in survey.endpoints}
    rows = {str(sender): f"{{from: {{workload: {sender}}}}}" for sender in survey.senders}
    if columns and rows:
        yield _Table(
            "between workloads",
            "Workloads of the mesh, each through its own sidecar.",
            "",
            _first(columns, _MAX_COLUMNS, "workloads", left_out),
            _first(rows, _MAX_ROWS, "senders", left_out),
        )


def _rule_tables(survey: Survey, left_out: list[str]) -> Iterator[_Table]:
    endpoints = {endpoint.workload: endpoint for endpoint in reversed(survey.endpoints) if endpoint.http}
    workloads = list(dict.fromkeys(rule.workload for rule in survey.rules if rule.workload in endpoints))
    for workload in workloads[:_MAX_RULES]:
        endpoint = endpoints[workload]
        columns: dict[str, str] = {}
        policies: dict[str, None] = {}
        for rule in survey.rules:
            if rule.workload == workload and (rule.methods or rule.paths):
                policies[rule.policy] = None
                for method in rule.methods or ("GET",):
                    for path in rule.paths or ("/",):
                        columns[f"{method} {path}"] = _request(endpoint, method, path)
        others = [sender for sender in survey.senders if sender != workload]
        rows = {str(sender): f"{{from: {{workload: {sender}}}}}" for sender in others}
        if rows and columns:
            yield _Table(
                f"rules of {workload}",
                f"What the rules of {', '.join(policies)} name.",
                "",
                _first(columns, _MAX_COLUMNS, f"requests that rules of {workload} name", left_out),
                _first(rows, _MAX_ROWS, f"senders to {workload}", left_out),
            )
    if len(workloads) > _MAX_RULES:
        left_out.append(f"the rules of {len(workloads) - _MAX_RULES} more workloads")


def _around(survey: Survey) -> Iterator[_Single]:
    seen = set()
    for endpoint in survey.endpoints:
        if endpoint.workload not in seen:
            seen.add(endpoint.workload)
            sender = f"{{bypass: none, to: {endpoint.workload}, port: {endpoint.target}, mode: plaintext}}"
            name = f"plaintext to {endpoint.workload}, without a sidecar"
            yield _Single(name, sender, _request(endpoint, "GET", "/"))


def _endpoint_name(endpoint: Endpoint) -> str:
    short = endpoint.host.removesuffix(".svc.cluster.local")
    return f"{short}:{endpoint.port}"


def _request(endpoint: Endpoint, method: str, path: str) -> str:
    if not endpoint.http:
        return f"{{request: {{tcp: '{endpoint.host}:{endpoint.port}'}}}}"
    port = "" if endpoint.port == 80 else f":{endpoint.port}"
    return f"{method} http://{endpoint.host}{port}{path}"


def _first(found: Mapping[str, str], limit: int, what: str, left_out: list[str]) -> dict[str, str]:
    if len(found) > limit:
        left_out.append(f"{len(found) - limit} more {what}")
    return dict(list(found.items())[:limit])


def _text(draft: Draft, cell: Callable[[str], str], unanswered: Mapping[str, str]) -> str:
    parts = [_HEADER]
    if draft.left_out:
        parts.append(f"# Not asked about: {'; '.join(draft.left_out)}.\n")
    if draft.tokens:
        lines = [f"  {name}: {text}" for name, text in draft.tokens.items()]
        parts.append("\n".join(["tokens:", *lines]) + "\n")
    if draft.tables:
        tables = [_table_text(table, cell, unanswered) for table in draft.tables]
        parts.append("matrix:\n" + "\n".join(tables))
    singles = [_single_text(single, cell, unanswered) for single in draft.singles]
    if singles:
        # A list whose every line is a comment would be no list.
        head = "cases:\n" if any(not text.lstrip().startswith("#") for text in singles) else ""
        parts.append(head + "".join(singles))
    return "\n".join(parts)


def _table_text(table: _Table, cell: Callable[[str], str], unanswered: Mapping[str, str]) -> str:
    lines = [f"  # {one_line(table.about)}", f"  - name: {_scalar(table.name)}"]
    if table.sender:
        lines.append(f"    from: {table.sender}")
    lines.append("    columns:")
    lines += [f"      {_scalar(name)}: {_request_text(request)}" for name, request in table.columns.items()]
    lines.append("    rows:")
    lines += [f"      {_scalar(name)}: {words}" for name, words in table.rows.items()]
    lines.append("    expect:")
    cells = {row: [cell(f"{table.name}: {row} / {column}") for column in table.columns] for row in table.rows}
    width = max(len(_scalar(row)) for row in table.rows) + 1
    widths = [max(len(found[index]) for found in cells.values()) for index in range(len(table.columns))]
    lines.append(f"      # {' ' * (width - 1)} {one_line(', '.join(table.columns))}")
    for row, found in cells.items():
        for column in table.columns:
            why = unanswered.get(f"{table.name}: {row} / {column}")
            if why:
                lines.append(f"      # {one_line(f'{row} / {column}')}: {why}")
        padded = [f"{text},".ljust(wide + 2) for text, wide in zip(found, widths, strict=True)]
        lines.append(f"      {(_scalar(row) + ':').ljust(width)} [{''.join(padded).rstrip().rstrip(',')}]")
    return "\n".join(lines) + "\n"


def _single_text(single: _Single, cell: Callable[[str], str], unanswered: Mapping[str, str]) -> str:
    request = single.request
    if request.startswith("{request: "):
        request = request.removeprefix("{request: ").removesuffix("}")
    lines = [
        f"  - name: {_scalar(single.name)}",
        f"    from: {single.sender}",
        f"    request: {request}",
        f"    expect: {cell(single.name)}",
    ]
    why = unanswered.get(single.name)
    if why:
        lines = [f"  # {why}", *(f"  # {line}" for line in lines[:-1])]
    return "\n".join(lines) + "\n"


def _request_text(request: str) -> str:
    return request if request.startswith("{") else _scalar(request)


def _cell(outcome: Outcome, alike: Mapping[str, tuple[str, ...]]) -> str:
    """Return a verdict in its short form; a dash where there is none.

    Args:
        outcome: What happened.
        alike: Workload to all that stand behind the same Service: any of them may answer the next time.
    """
    verdict = outcome.verdict
    if verdict is None or _why_not(outcome):
        return "'-'"
    status = verdict.reply.status
    if verdict.proxy and len(alike.get(str(verdict.proxy), ())) > 1 and _shared(outcome):
        return _refused_by_any(verdict)
    if status is None:
        if verdict.answered:
            return f"answered {verdict.app}" if verdict.app else "answered"
        return f"refused {verdict.proxy}" if verdict.proxy else "refused"
    if verdict.app and len(others := alike.get(verdict.app, ())) > 1 and _shared(outcome):
        subset = f", subset: {verdict.subset}" if verdict.subset else ""
        return f"{{status: {status}, app: [{', '.join(others)}]{subset}}}"
    if verdict.app:
        return f"{status} {verdict.app}" if 200 <= status < 300 else f"{status} app {verdict.app}"
    if verdict.proxy:
        return f"{status} {verdict.proxy}" if status >= 400 else f"{status} proxy {verdict.proxy}"
    return str(status)


def _refused_by_any(verdict: Verdict) -> str:
    """Return a refusal that the proxies of several workloads give alike: by its policy where it has one."""
    status = verdict.reply.status
    ending = "refused: true" if status is None else f"status: {status}"
    policy = verdict.decisive.policy if verdict.decisive else None
    if policy is None:
        return f"{{{ending}}}"
    rule = "" if policy.rule is None else f", rule: {policy.rule}"
    return f"{{{ending}, policy: {policy.name}{rule}}}"


def _shared(outcome: Outcome) -> bool:
    """Return whether a proxy chose the application among the servers of a Service."""
    verdict = outcome.verdict
    return verdict is not None and len(verdict.hops) > 1


def _why_not(outcome: Outcome) -> str:
    if outcome.state in ("not judged", "error"):
        reasons = "; ".join(outcome.reasons) or "no reason was given"
        return f"{outcome.state}: {one_line(reasons, _MAX_REASON)}"
    return ""


def _scalar(text: str) -> str:
    """Return a text as a YAML scalar, in quotes only where it needs them."""
    if (
        text.isprintable()
        and re.search(r"^[A-Za-z0-9/]", text)
        and not re.search(r"[\[\]{},\x00-\x1f]|: |:$| #", text)
    ):
        root, problems = compose(f"key: {text}", "")
        if root is not None and not problems:
            value = root.by_key().get("key")
            if value is not None and value.is_text and value.text() == text:
                return text
    return "".join(map(_escaped, json.dumps(text, ensure_ascii=False)))


def _escaped(character: str) -> str:
    """Return a character as it may stand between a YAML scalar's double quotes."""
    return character if character.isprintable() else f"\\U{ord(character):08x}"
