"""`workloads`, `addresses`, `apps`, `authorizers`, `authorities`: what the cases of a file need around them."""

from __future__ import annotations

import re
import shlex
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

from meshlab.bench.case import AppSpec, Authorizer, AuthorizerRule, DeclaredWorkload
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor
from meshlab.bench.case_file.read_certificate import read_certificate
from meshlab.bench.case_file.read_texts import header_map, ip_address, matching, port_number, text_map
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from meshlab.bench.case_file.reader_context import Context

__all__ = ["read_addresses", "read_apps", "read_authorities", "read_authorizers", "read_workloads"]

_LOWEST, _HIGHEST = 100, 599
_STATIC = ("status", "headers", "body", "certificate")


def read_workloads(context: Context, where: Cursor) -> dict[WorkloadRef, DeclaredWorkload]:
    """Return the workloads that the file declares."""
    found = {}
    for name, at in where.entries():
        if not re.search(format_words.REF, name):
            context.problems.add(at, f"{name!r} is not a workload; write NAMESPACE/NAME")
            continue
        found[WorkloadRef.parse(name)] = context.problems.attempt(
            partial(_workload, context), at, DeclaredWorkload()
        )
    return found


def read_addresses(context: Context, where: Cursor) -> dict[WorkloadRef, str]:
    """Return the IP addresses of pods by workload; no two workloads have the same."""
    found: dict[WorkloadRef, str] = {}
    for name, at in where.entries():
        if not re.search(format_words.REF, name):
            context.problems.add(at, f"{name!r} is not a workload; write NAMESPACE/NAME")
            continue
        context.mention("proxy", name, at)
        address: str | None = context.problems.attempt(ip_address, at, None)
        if address is None:
            continue
        other = next((ref for ref, known in found.items() if known == address), None)
        if other:
            context.problems.add(
                at, f"{other} has the address {address}, too; give each pod its own", "meaning"
            )
        found[WorkloadRef.parse(name)] = address
    return found


def read_apps(context: Context, where: Cursor) -> tuple[AppSpec, ...]:
    """Return what answers in place of applications."""
    found = []
    for name, at in where.entries():
        if not re.search(format_words.APP, name):
            context.problems.add(at, f"{name!r} is no application; write NAMESPACE/NAME or an external host")
            continue
        context.mention("app", name, at)
        app = context.problems.attempt(partial(_app, context, name), at, None)
        if app:
            found.append(app)
    return tuple(found)


def read_authorizers(context: Context, where: Cursor) -> tuple[Authorizer, ...]:
    """Return the scripts of external authorizers."""
    found = []
    for name, at in where.entries():
        context.mention("authorizer", name, at)
        rules_at: list[Cursor] = context.problems.attempt(_rules, at, [])
        rules = [
            context.problems.attempt(partial(_authorizer_rule, context), rule, None) for rule in rules_at
        ]
        found.append(Authorizer(name, tuple(rule for rule in rules if rule)))
    return tuple(found)


def read_authorities(context: Context, where: Cursor) -> tuple[str, ...]:
    """Return the names of certificate authorities beside the mesh's own."""
    found: list[str] = []
    for at in where.items():
        name = context.problems.attempt(
            partial(
                matching,
                pattern=format_words.AUTHORITY,
                expected="a name; write letters, digits, '.', '_' and '-'",
            ),
            at,
            "",
        )
        if name in format_words.AUTHORITIES:
            context.problems.add(at, f"{name!r} is an authority that is always there; choose another name")
        elif name in found:
            context.problems.add(at, f"{name!r} stands here twice; remove one")
        elif name:
            found.append(name)
    return tuple(found)


def _workload(context: Context, where: Cursor) -> DeclaredWorkload:
    if where.is_null:
        return DeclaredWorkload()
    fields = where.fields(context.problems, format_words.WORKLOAD_WORDS, "a workload")
    attempt = context.problems.attempt
    proxy = attempt(partial(Cursor.one_of, choices=format_words.PROXY_KINDS), fields.get("proxy"), "sidecar")
    return DeclaredWorkload(
        labels=attempt(text_map, fields.get("labels"), {}),
        service_account=attempt(Cursor.word, fields.get("serviceAccount"), "default"),
        proxy=cast("Literal['sidecar', 'gateway', 'none']", proxy),
        ports=attempt(_ports, fields.get("ports"), {}),
    )


def _ports(where: Cursor) -> dict[int, str]:
    found = {}
    for key, value in where.entries():
        if not re.search("^[0-9]+$", key):
            raise value.error(f"{key!r} is not a port; write its number")
        found[port_number(value.scalar(key), key)] = value.one_of(format_words.PROTOCOLS)
    return found


def _app(context: Context, name: str, where: Cursor) -> AppSpec:
    fields = where.fields(context.problems, format_words.APP_WORDS, "an application")
    if not fields:
        message = "the application is empty; write `status`, `headers`, `body`, `certificate` or `command`"
        raise where.lacks(format_words.APP_WORDS, "an application", message)
    if "command" in fields:
        for word in _STATIC:
            if word in fields:
                raise fields[word].error(f"`{word}` is for an answer of the bench; `command` answers itself")
        return AppSpec(name, command=command_words(fields["command"]))
    attempt = context.problems.attempt
    return AppSpec(
        name,
        status=attempt(partial(Cursor.number, low=_LOWEST, high=_HIGHEST), fields.get("status"), 200),
        headers=attempt(header_map, fields.get("headers"), {}),
        body=attempt(Cursor.text, fields.get("body"), None),
        certificate=attempt(partial(read_certificate, context), fields.get("certificate"), None),
    )


def command_words(where: Cursor) -> tuple[str, ...]:
    """Return a command: a list of words, or one text that is split as a shell does.

    Raises:
        ReadError: It is neither, or is empty.
    """
    if where.is_list:
        found = tuple(item.text() for item in where.items())
        if not found or not found[0]:
            raise where.error("the command is empty; write a program")
        return found
    try:
        return tuple(shlex.split(where.word()))
    except ValueError as error:
        raise where.error(f"the command cannot be split into words: {error}", "meaning") from None


def _rules(where: Cursor) -> list[Cursor]:
    items = where.items()
    if not items:
        raise where.error("the list is empty; write a rule, such as {allow: true}")
    return items


def _authorizer_rule(context: Context, where: Cursor) -> AuthorizerRule:
    fields = where.fields(context.problems, format_words.AUTHORIZER_WORDS, "a rule of an authorizer")
    if "allow" not in fields:
        message = "a rule needs `allow: true` or `allow: false`"
        raise where.lacks(format_words.AUTHORIZER_WORDS, "a rule of an authorizer", message)
    allow = fields["allow"].truth()
    for word in ("status", "body"):
        if allow and word in fields:
            raise fields[word].error(f"`{word}` is for a denial; remove it or write `allow: false`")
    attempt = context.problems.attempt
    return AuthorizerRule(
        allow=allow,
        path=attempt(Cursor.word, fields.get("path"), None),
        method=attempt(
            partial(matching, pattern=format_words.METHOD, expected="an HTTP method"),
            fields.get("method"),
            None,
        ),
        headers=attempt(header_map, fields.get("headers"), {}),
        status=attempt(partial(Cursor.number, low=_LOWEST, high=_HIGHEST), fields.get("status"), 403),
        body=attempt(Cursor.text, fields.get("body"), ""),
        add_headers=attempt(header_map, fields.get("addHeaders"), {}),
    )
