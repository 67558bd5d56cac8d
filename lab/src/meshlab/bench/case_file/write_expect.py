"""Expectations as the words of a case file, and cases as lines of it, the reverse of reading them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.write_case import case_words
from meshlab.yaml_reader import AMBIGUOUS, StrictLoader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.bench.case import Case, Expectation, Received

__all__ = ["case_lines", "expect_words", "flow_text"]

_NO_LIMIT = 1_000_000


def case_lines(case: Case) -> str:
    """Return a case with its expectation as an entry of `cases`, a line for each word.

    It says its token even where it has none, so that the defaults of a file add none.
    """
    found = {"token": format_words.NONE, **case_words(case, {})}
    found["expect"] = expect_words(case.expect) if case.expect else format_words.NONE
    ordered = [(name, found[name]) for name in format_words.CASE_WORDS]
    lines = [f"{'- ' if name == 'name' else '  '}{name}: {flow_text(value)}" for name, value in ordered]
    return "".join(f"  {line}\n" for line in lines)


def flow_text(value: object) -> str:
    """Return a value as YAML on one line, all of it in ASCII."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=False, width=_NO_LIMIT
    )
    return text.removesuffix("\n").removesuffix("\n...")


class _Dumper(yaml.SafeDumper):
    """Quotes what the reader of case files would not take as it stands, such as `y`."""

    def ignore_aliases(self, data: object) -> bool:
        """Write what stands in several places in each of them."""
        del data
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = StrictLoader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(_STRING, text, style="'" if plain == AMBIGUOUS else None)


_STRING = "tag:yaml.org,2002:str"
_Dumper.add_representer(str, _text)


def expect_words(expect: Expectation) -> str | int | dict[str, Any]:
    """Return an expectation in its short form, or as a mapping where that does not say all of it."""
    short = _short(expect)
    if short and re.search(format_words.SHORT_EXPECT, short):
        return int(short) if short.isdigit() else short
    found: dict[str, Any] = {
        "status": expect.status,
        "refused": expect.refused or None,
        "answered": expect.answered or None,
        "app": list(expect.app) if isinstance(expect.app, tuple) else expect.app,
        "proxy": str(expect.proxy) if expect.proxy else None,
        "subset": expect.subset,
        "policy": expect.policy,
        "rule": expect.rule,
        "says": expect.says or None,
        "headers": dict(expect.headers) or None,
        "received": _received(expect.received) if expect.received else None,
        "certificate": expect.certificate,
    }
    return {name: value for name, value in found.items() if value is not None}


def _short(expect: Expectation) -> str:
    """Return the short form of an expectation; empty where it has none."""
    further: tuple[object, ...] = (
        expect.subset,
        expect.policy,
        expect.rule,
        expect.received,
        expect.certificate,
    )
    if isinstance(expect.app, tuple) or expect.says or expect.headers:
        return ""
    if any(value is not None for value in further):
        return ""
    ending = str(expect.status or ("refused" if expect.refused else "answered"))
    if expect.app:
        return f"{ending} {expect.app}" if ending[0] in "2a" else f"{ending} app {expect.app}"
    if expect.proxy:
        return f"{ending} {expect.proxy}" if ending[0] in "45r" else f"{ending} proxy {expect.proxy}"
    return ending


def _received(received: Received) -> Mapping[str, Any]:
    names = ("method", "path", "host", "identity", "sni")
    found: dict[str, Any] = {name: value for name in names if (value := getattr(received, name)) is not None}
    return found | ({"headers": dict(received.headers)} if received.headers else {})
