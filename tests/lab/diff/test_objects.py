"""Objects that differ between two sets of manifests: what was added, removed or changed, and where."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from meshlab.diff.object_changes import ObjectChange, object_changes
from meshlab.manifest import Manifest, parse_manifests

POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  rules:
    - to:
        - operation:
            methods: [GET]
            paths: [/a, /b]
"""


def changes(old: str, new: str) -> list[ObjectChange]:
    return object_changes(parse_manifests(old, "old.yaml"), parse_manifests(new, "new.yaml"))


def fields(old: str, new: str) -> list[tuple[str, str, str, str]]:
    (found,) = changes(old, new)
    return [(field.path, field.old, field.new, field.place) for field in found.fields]


def test_objects_that_are_the_same_are_no_change_wherever_they_stand() -> None:
    assert changes(POLICY, "# moved\n\n" + POLICY) == []


def test_a_value_that_is_added_is_named_with_its_line() -> None:
    longer = POLICY.replace("[GET]", "[GET, POST]")
    place = "spec.rules[0].to[0].operation.methods[1]"
    assert fields(POLICY, longer) == [(place, "absent", '"POST"', "new.yaml:8")]
    assert fields(longer, POLICY) == [(place, '"POST"', "absent", "old.yaml:8")]


def test_a_value_at_the_front_of_a_list_shifts_nothing() -> None:
    assert fields(POLICY, POLICY.replace("[/a,", "[/new, /a,")) == [
        ("spec.rules[0].to[0].operation.paths[0]", "absent", '"/new"', "new.yaml:9")
    ]


def test_an_entry_that_is_changed_is_compared_with_the_one_in_its_place() -> None:
    assert fields(POLICY, POLICY.replace("/b", "/c")) == [
        ("spec.rules[0].to[0].operation.paths[1]", '"/b"', '"/c"', "new.yaml:9")
    ]


def test_another_order_is_a_change_because_it_counts_for_routes() -> None:
    ((path, old, new, _),) = fields(POLICY, POLICY.replace("[/a, /b]", "[/b, /a]"))
    assert (path, old, new) == ("spec.rules[0].to[0].operation.paths", '["/a", "/b"]', '["/b", "/a"]')


@pytest.mark.parametrize(("old", "new"), [("1", "true"), ("1", '"1"'), ("0", "false"), ("null", "0")])
def test_values_of_other_types_differ(old: str, new: str) -> None:
    assert len(fields(POLICY + f"  x: {old}\n", POLICY + f"  x: {new}\n")) == 1


def test_objects_of_one_side_are_added_or_removed() -> None:
    other = POLICY.replace("readers", "writers")
    (added,) = changes(POLICY, f"{POLICY}---\n{other}")
    assert (added.what, added.subject, added.place) == (
        "added",
        "AuthorizationPolicy shop/writers",
        "new.yaml:11",
    )
    (removed,) = changes(f"{POLICY}---\n{other}", POLICY)
    assert (removed.what, removed.summary, removed.place) == ("removed", "removed", "old.yaml:11")


def test_another_version_of_the_api_is_the_same_object() -> None:
    assert fields(POLICY, POLICY.replace("/v1\n", "/v1beta1\n")) == [
        ("apiVersion", '"security.istio.io/v1"', '"security.istio.io/v1beta1"', "new.yaml:1")
    ]


def test_a_summary_names_the_first_field_and_counts_the_others() -> None:
    (found,) = changes(POLICY, POLICY.replace("[GET]", "[PUT]").replace("/b", "/c"))
    assert found.summary == 'spec.rules[0].to[0].operation.methods[0]: "GET", now "PUT" and 1 more'


def test_what_a_field_holds_is_shown_on_one_line_and_cut() -> None:
    ((_, _, new, _),) = fields(POLICY, POLICY + f'  x: "a\\n{"b" * 500}\\u001b[31m"\n')
    assert len(new) <= 80
    assert new.isprintable()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=1), inner, max_size=2),
    max_leaves=8,
)


@given(old=_JSON, new=_JSON)
@example(old=[False, False, False], new=[False, False, 0])
@example(old=[{"x": 1}, 0], new=[{"x": True}, 0])
@example(old={"x": 0, "y": 0}, new={"y": 0, "x": 0})
def test_two_objects_have_a_change_exactly_when_they_differ(old: object, new: object) -> None:
    def manifest(spec: object) -> Manifest:
        return Manifest("v1", "Service", "a", "b", {"spec": spec}, "a.yaml")

    # JSON distinguishes `0` from `false`, which Python calls equal.
    differ = json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True)
    assert bool(object_changes([manifest(old)], [manifest(new)])) == differ
