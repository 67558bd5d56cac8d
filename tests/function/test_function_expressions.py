"""Expressions of `pipeline.toml`: plain paths walked by hand, everything else by JMESPath."""

import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from enrichment.expressions import (
    EvaluationError,
    Expression,
    ExpressionError,
    Scope,
    compile_expression,
    message_root,
    pseudonyms,
    query,
)
from enrichment.expressions.functions import FUNCTIONS, kind_of
from enrichment.expressions.pseudonyms import set_key
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import FUNCTION

ROOTS = ("event", "message", "trace", "now", "profile")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = {
    "type": "order",
    "at": "2026-03-01T13:00:00+01:00",
    "empty": "",
    "commas": "," * 50_000,
    "zero": 0,
    "foo-bar": {"$id": 7},
    "order": {"total": 1.5, "lines": [{"sku": "a", "n": 2}, {"sku": "b"}, {"n": 1}]},
    "labels": [{"name": "bug"}, {"name": None}, {"name": "p1"}],
    "nested": [[1, 2], [3], 4],
    "payload": '{"id": 9, "tags": ["x"]}',
    "ms": 250000000000,
    "user": {"email": "Ada@Example.com", "id": None},
}


def scope() -> Scope:
    message = message_root("m-1", NOON, "", {"ce-type": "T", "a.b": "c"})
    roots = {
        "event": EVENT,
        "message": message,
        "trace": {"id": "ab" * 16},
        "now": NOON,
        "profile": {"plan": "pro"},
    }
    return Scope(roots, {"at": NOON, "kind": "default", "user.name": "unknown", "missing": None})


def value(text: str) -> object:
    return compile_expression(text, ROOTS).evaluate(scope())


def problem(text: str) -> str:
    with pytest.raises(ExpressionError) as raised:
        compile_expression(text, ROOTS)
    return str(raised.value)


@pytest.fixture
def key() -> Iterator[bytes]:
    key = b"k" * 32
    set_key(key)
    yield key
    set_key(b"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event", EVENT),
        ("event.order.total", 1.5),
        ("event.foo-bar.$id", 7),
        ("event.order.none.deeper", None),
        ("event.type.deeper", None),
        ("event.labels.name", None),
        ("event.at", NOON),
        ("event.kind", "default"),
        ("event.user.name", "unknown"),
        ("event.missing", None),
        ("message.id", "m-1"),
        ("message.publish_time", NOON),
        ("message.ordering_key", None),
        ("message.attributes", {"ce-type": "T", "a.b": "c"}),
        ("message.attributes.ce-type", "T"),
        ("message.attributes.a.b", "c"),
        ("message.attributes.none", None),
        ("trace.id", "ab" * 16),
        ("now", NOON),
        ("profile.plan", "pro"),
    ],
)
def test_a_plain_path_gives_what_stands_there_and_null_where_nothing_does(
    text: str, expected: object
) -> None:
    expression = compile_expression(text, ROOTS)
    assert expression.is_plain
    assert expression.evaluate(scope()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event.labels[].name", ["bug", "p1"]),
        ("event.order.lines[0].sku", "a"),
        ("event.order.lines[-1].n", 1),
        ("event.order.lines[9].sku", None),
        ("event.nested[]", [1, 2, 3, 4]),
        ("event.user.id || event.type", "order"),
        ("event.empty || profile.plan", "pro"),
        ("event.zero || event.type", 0),
        (
            "event.order.lines[?n].{code: sku, count: n}",
            [{"code": "a", "count": 2}, {"code": None, "count": 1}],
        ),
        ("{kind: event.kind, plan: profile.plan}", {"kind": "default", "plan": "pro"}),
        ("event.type == 'order' && event.order.total > `1`", True),
        ("!(event.user.id)", True),
        ('event."foo-bar"."$id"', 7),
        ('message.attributes."ce-type"', "T"),
        ("[event.type, message.id]", ["order", "m-1"]),
        ("event.at | @", "2026-03-01T12:00:00Z"),
        ("to_string(now)", "2026-03-01T12:00:00Z"),
        ("message.publish_time || now", "2026-03-01T12:00:00Z"),
        ("event.user.name && event.user.email", "Ada@Example.com"),
        ("join(',', event.labels[].name)", "bug,p1"),
        ("`[1, 2]`", [1, 2]),
        ("'constant'", "constant"),
        ("to_string(event.nothing)", None),
        ("to_string({a: 'é'})", '{"a":"é"}'),
        ("to_number('1.5')", 1.5),
        ("to_number('nan')", None),
        ("to_number('1_000')", None),
        ("from_json(event.payload).tags[0]", "x"),
        ("from_unix_ms(event.ms)", "1977-12-03T12:26:40Z"),
        ("from_unix_s(`1.0000019`)", "1970-01-01T00:00:01.000001Z"),
        ("from_unix_us(`-1`)", "1969-12-31T23:59:59.999999Z"),
        ("from_unix_ns(to_number('1700000000123456789'))", "2023-11-14T22:13:20.123456Z"),
        ("parse_time('Sun, 01 Mar 2026 13:00:00 +0100', '%a, %d %b %Y %H:%M:%S %z')", "2026-03-01T12:00:00Z"),
        ("parse_time('01/Mar/2026:12:00:00 -0700', '%d/%b/%Y:%H:%M:%S %z')", "2026-03-01T19:00:00Z"),
        ("parse_time('03/01/2026 01:05 PM', '%m/%d/%Y %I:%M %p')", "2026-03-01T13:05:00Z"),
        ("parse_time('20260301T120000.5Z', '%Y%m%dT%H%M%S.%fZ')", "2026-03-01T12:00:00.500000Z"),
        ("date(parse_time('20260301', '%Y%m%d'))", "2026-03-01"),
        ("date(event.at)", "2026-03-01"),
        ("date('2026-03-01T23:30:00-01:00')", "2026-03-02"),
        ("lower(event.user.email)", "ada@example.com"),
        ("split(event.user.email, '@')[1]", "Example.com"),
        ("truncate(event.type, `2`)", "or"),
        ("omit(event.user, 'email')", {"id": None, "name": "unknown"}),
        ('omit(event.user, `["email", "id"]`)', {"name": "unknown"}),
        ("base64_decode('w6k')", "é"),
        ("sha256(event.type)", hashlib.sha256(b"order").hexdigest()),
    ],
)
def test_everything_else_is_jmespath(text: str, expected: object) -> None:
    expression = compile_expression(text, ROOTS)
    assert not expression.is_plain
    assert expression.evaluate(scope()) == expected


def test_a_pseudonym_is_the_hmac_of_the_text_under_the_key_of_the_process(key: bytes) -> None:
    assert value("hmac_sha256(event.type)") == hmac.new(key, b"order", "sha256").hexdigest()


def test_without_a_key_there_is_no_pseudonym_and_a_short_key_is_refused() -> None:
    with pytest.raises(EvaluationError, match="PSEUDONYM_KEY_FILE"):
        value("hmac_sha256(event.type)")
    with pytest.raises(ValueError, match="has 5 bytes; it needs at least 16"):
        set_key(b"short")


@pytest.mark.parametrize(
    ("env", "content", "said"),
    [
        ({}, b"", "needs one of PSEUDONYM_KEY_FILE and PSEUDONYM_KEY_SECRET_ID, and neither is set"),
        ({"PSEUDONYM_KEY_SECRET_ID": "s"}, b"x" * 32, "and both are set"),
        ({}, b"short\n", "PSEUDONYM_KEY_FILE: the key has 5 bytes"),
        ({}, b"\n", "PSEUDONYM_KEY_FILE: the key is empty"),
        (
            {"PSEUDONYM_KEY_SECRET_ID": "s"},
            b"",
            "PSEUDONYM_KEY_SECRET_ID: 's' does not name a secret's version",
        ),
        ({"PSEUDONYM_KEY_FILE": "/none/there"}, b"", "/none/there cannot be read: No such file or directory"),
    ],
)
def test_a_key_that_cannot_be_used_is_reported_without_the_key(
    tmp_path: Path, env: dict[str, str], content: bytes, said: str
) -> None:
    if content:
        (tmp_path / "key").write_bytes(content)
        env = {"PSEUDONYM_KEY_FILE": str(tmp_path / "key"), **env}
    (problem,) = pseudonyms.load(env)
    assert said in problem
    assert "short" not in problem
    assert not pseudonyms.has_key()


def test_the_key_is_read_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"0123456789abcdef\n")
    assert pseudonyms.load({"PSEUDONYM_KEY_FILE": str(tmp_path / "key")}) == []
    try:
        assert pseudonyms.pseudonym("a") == hmac.new(b"0123456789abcdef", b"a", "sha256").hexdigest()
    finally:
        set_key(b"")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_our_own_functions_give_null_for_null(name: str) -> None:
    examples = {"string": "'-'", "number": "`1`", "array|string": "`[]`"}
    more = "".join(f", {examples[kind]}" for _, kind in FUNCTIONS[name].parameters[1:])
    assert value(f"{name}(event.nothing{more})") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from_json(event.type)", "calls from_json() with a text that is not JSON"),
        ("from_unix_s(event.type)", "calls from_unix_s() with string as number, which must be number"),
        ("from_unix_s(`1e15`)", "calls from_unix_s(), and the number names no time in the years 1 to 9999"),
        ("date(event.type)", "calls date(), and the text is no time"),
        ("date('9999-12-31T23:59:59-14:00')", "calls date(), and"),
        ("parse_time(event.type, '%Y')", "calls parse_time(), and the text has another form"),
        ("parse_time('2026', event.type)", "calls parse_time(), and the text has another form"),
        ("parse_time('9999-12-31 23 -1400', '%Y-%m-%d %H %z')", "calls parse_time(), and"),
        ("parse_time(join('', [event.commas, event.commas]), '%Y')", "too long for a time"),
        ("split(event.type, '')", "the separator is empty"),
        ("split(join('', [event.commas, event.commas]), ',')", "the text has more than 100000 parts"),
        ("truncate(event.type, `-1`)", "the length is no whole number from 0"),
        ("base64_decode('*')", "the text is not base64"),
        ("base64_decode('/w==')", "no text in UTF-8"),
        ("join(',', event.nothing)", "calls join() with null, which must be an array of strings"),
        ("sum(event.order.lines[].sku)", "calls sum() with string, which must be an array of numbers"),
        ("length(event.zero)", "calls length() with number, which must be string or array or object"),
        ("event.type < event.zero", "combines values of types that do not go together"),
        ("contains(event.type, event.zero)", "combines values of types that do not go together"),
        ("sum(`[1e308, 1e308]`)", "calls sum(), and the result is too large for a number"),
    ],
)
def test_what_an_events_values_do_not_allow_is_said_without_a_value(text: str, said: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        value(text)
    assert said in str(raised.value)
    assert "order" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("event..a", "a key between its dots is empty"),
        ("event.", "a key between its dots is empty"),
        ("event.a\u202eb", "it has a character that cannot be seen"),
        ("evnt.a", "evnt is none of event, message, trace, now, profile. Did you mean event?"),
        ("user_id", "To mean the event's field, write event.user_id; to mean the text, write 'user_id'."),
        ("event.a > 10.5", "it cannot be read at character 11: a number stands in back quotes, `10.5`"),
        ("event.type == ping", "to mean the text, write 'ping'."),
        ("event.type != null", "To mean the constant, write `null` in back quotes."),
        ("event.test == true", "To mean the constant, write `true` in back quotes."),
        ("event.type = 'ping'", "it cannot be read at character 12: to compare, write =="),
        (
            "event.a | event.b",
            "behind a pipe, names begin inside the value on its left, where event.b is not",
        ),
        ("event.a | profile.b", "For the first of two that has a value, write ||"),
        ("event.a | now", "behind a pipe"),
        ("event.a[", "it ends too early"),
        ("event.a]", 'it cannot be read at character 8, before "]"'),
        ("event.foo-bar || event.b", "stands in double quotes"),
        ('event."a', "the quotation mark is not closed"),
        ("event.a == `ping`", "between back quotes stands JSON"),
        ("[event.a, `NaN`]", "NaN and Infinity are not JSON"),
        ('event.a || `"\\ud800"`', "half of a surrogate pair"),
        ("event.a or event.b", "for the first of two that has a value, write ||"),
        ("event.a ?? event.b", "for the first of two that has a value, write ||"),
        ("event.a and event.b", "for both of two conditions, write &&"),
        ("event.a ? 'x' : 'y'", "write CONDITION && VALUE || OTHER"),
        ("event.a?.b", "so write a plain dot"),
        ("event.a + event.b", "join('', [A, B]) puts texts together"),
        ("event['a b'].c", "a key stands behind a dot, and in double quotes"),
        ("$.a.b", "A path begins with a name: event.KEY."),
        ("coalesce(event.a, event.b)", "there is no function coalesce(). Write A || B, or not_null(A, B)."),
        ("CONCAT(event.a, event.b)", "Write join('', [A, B])."),
        ("event.at || now()", "Write now, without parentheses."),
        ("form_json(event.a)", "there is no function form_json(). Did you mean from_json?"),
        ("from_json(event.a, event.b)", "from_json() takes 1 argument, and has 2"),
        ("parse_time(event.a, '%Q')", "the form of a time in it is wrong: it is no form of a time"),
        ("parse_time(event.a, '%H:%M %Z')", "%Z depends on the machine: write %z for an offset"),
        ("parse_time(event.a, '%')", "it is no form of a time"),
        ("join(event.a)", "join() takes 2 arguments, and has 1"),
        ("not_null()", "not_null() takes 1 argument or more, and has 0"),
        ("message.ids", "message has no ids, it has message.id, message.publish_time"),
        ("message.id.x", "message.id has nothing inside"),
        ("message.ids[0]", "message has no ids"),
        ("trace", "write trace.id"),
        ("now.year", "now has nothing inside"),
        ("@", "it must begin with one of event"),
        ("*.a", "it must begin with one of event"),
        ("[0]", "it must begin with one of event"),
        ("length(@)", "it must begin with one of event"),
        ("!event.user.id", ".KEY stands behind boolean, and gives nothing. Put the path in parentheses"),
        ("event.lines[].{a: b}.c", ".KEY stands behind array, and gives nothing"),
        ("length(event.a)[0]", "[N] stands behind number"),
        (
            'event.a[?name == "x"]',
            """"x" in double quotes is a key, and not a text. To mean the text, write 'x'""",
        ),
        ('event.a[?n > `1` && name != "in work"].id', 'to mean the key, write @."in work"'),
        ('event.a[?contains(name, "x")]', "in double quotes is a key"),
        ("event.a" * 1_000, "it is longer than 4096 characters"),
    ],
)
def test_an_expression_that_can_never_give_a_value_is_an_error(text: str, said: str) -> None:
    assert said in problem(text)


@pytest.mark.parametrize(
    "text",
    [
        "event.errors[].message",
        "event.errors[].{text: message, at: now}",
        "event.errors[0] | message",
        "event.items[?event.type == 'x']",
        "sort_by(event.items, &event.at)",
        "event.a | [0]",
        "max_by(event.items, &n).sku",
        """event.items[?"content-type" == 'x' && @."a b" == @."x" && a.b == c."d"]""",
        """event.items[].{"a b": "c d", e: ["f", "g h"], i: not_null("j k", l)}""",
        """event."a b" == event."c d" || contains(event.list, 'x, "y"')""",
    ],
)
def test_names_behind_a_projection_belong_to_its_elements(text: str) -> None:
    compile_expression(text, ROOTS)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("event.a.b", {("event", "a", "b")}),
        ("event.a || profile.b", {("event", "a"), ("profile", "b")}),
        ("event.items[0].amount", {("event", "items")}),
        ("event.labels[].name", {("event", "labels")}),
        ("event.a.[b, c]", {("event", "a")}),
        ("from_json(event.a.b).c", {("event", "a", "b")}),
        ("{a: event.x, b: message.id}", {("event", "x"), ("message", "id")}),
        ("event.items[?n > `1`]", {("event", "items")}),
        ("'x'", set()),
    ],
)
def test_an_expression_says_which_paths_it_begins_with(text: str, paths: set[tuple[str, ...]]) -> None:
    expression = compile_expression(text, ROOTS)
    assert set(expression.paths) == paths
    assert expression.roots == {path[0] for path in paths}


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("event.a == event.b", {"boolean"}),
        ("{a: event.x}", {"object"}),
        ("event.a[].b", {"array"}),
        ("event.a || 'x'", set()),
        ("date(event.a) || `1`", {"string", "number"}),
        ("event.a[].b | [0]", set()),
        ("length(event.a)", {"number"}),
        ("event.a.b[0]", set()),
    ],
)
def test_an_expression_says_which_types_it_can_have_where_that_is_known(text: str, kinds: set[str]) -> None:
    assert compile_expression(text, ROOTS).kinds == kinds


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("event.zero", True),
        ("event.empty", False),
        ("event.user.id", False),
        ("event.labels", True),
        ("event.no[]", False),
    ],
)
def test_a_condition_is_true_as_jmespath_says(text: str, *, true: bool) -> None:
    assert compile_expression(text, ROOTS).is_true(scope()) is true


def test_a_scope_takes_more_roots_and_leaves_the_event_as_it_came() -> None:
    first = scope()
    before = repr(EVENT)
    expression: Expression = compile_expression("[item.sku, index, event.kind]", (*ROOTS, "item", "index"))
    assert first.document["event"] != EVENT
    assert expression.evaluate(first.extended({"item": {"sku": "a"}, "index": 0})) == ["a", 0, "default"]
    assert repr(EVENT) == before
    assert "item" not in first.document


def test_plain_paths_do_not_import_jmespath() -> None:
    code = (
        "import sys; from enrichment.expressions import compile_expression;"
        "compile_expression('event.a.b', ('event',));"
        "assert 'jmespath' not in sys.modules; compile_expression('event.a[0]', ('event',));"
        "assert 'jmespath' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=FUNCTION)


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=6)
    | st.sampled_from(["2026-03-01T12:00:00Z", "1e999", '{"a": 1}', "YQ=="]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=10,
)
_ARITIES = {
    **{name: least for name, (least, _) in query.ARITIES.items()},
    **{name: len(own.parameters) for name, own in FUNCTIONS.items()},
}
_CALLS = [
    f"{name}({', '.join(('event.a', 'event.b')[:least])})"
    for name, least in _ARITIES.items()
    if not name.endswith("_by") and name != "map"
]
_EXPRESSIONS = [
    *_CALLS,
    *(f"{name}(event.a, &b)" for name in ("sort_by", "min_by", "max_by")),
    "map(&a, event.b)",
    *(f"event.a {operator} event.b" for operator in ("<", "<=", "==", "!=", ">", ">=", "&&", "||")),
    "event.a[?b > `1`].c", "event.a[].b[]", "event.*.a", "event.a[::-1]", "event.a.b.c", "!(event.a)",
]  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), _ANY, max_size=3), st.sampled_from(_EXPRESSIONS))
def test_whatever_an_event_holds_an_expression_gives_json_or_says_why_not(
    event: dict[str, object], text: str
) -> None:
    expression = compile_expression(text, ROOTS)
    try:
        found = expression.evaluate(Scope({"event": event}))
    except EvaluationError:
        return
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found is None or not expression.kinds or kind_of(found) in expression.kinds


def test_the_rows_of_one_event_share_its_document() -> None:
    base = Scope({"event": {"at": "a", "items": [1, 2]}, "now": NOON}, {"at": NOON})
    one, two = (base.extended({"item": item, "now": NOON}).extended({"row": {"id": "r"}}) for item in (1, 2))
    assert one.document["event"] is two.document["event"]
    assert one.document == {
        "event": {"at": "2026-03-01T12:00:00Z", "items": [1, 2]},
        "now": "2026-03-01T12:00:00Z",
        "item": 1,
        "row": {"id": "r"},
    }
    assert two.document["item"] == 2
