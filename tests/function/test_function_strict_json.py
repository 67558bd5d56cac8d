"""JSON read strictly: what is wrong with a text is named as what it is."""

import json
import tracemalloc

import pytest
from enrichment.documents import strict_json
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udc00": 1}', "half of a surrogate pair"),
        (b'{"a": "\\ud83d\\ude00"', "truncated"),
        (b'{"a": "\\ud800', "truncated"),
    ],
)
def test_a_text_is_called_truncated_only_where_its_end_is_missing(data: bytes, says: str) -> None:
    with pytest.raises(strict_json.NotJsonError) as caught:
        strict_json.parse(data)
    assert says in str(caught.value)
    assert ("truncated" in str(caught.value)) == (says == "truncated")


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"[1,2,3,4,5,6]", False),
        (b"[1,2,3,4,5,6,7]", True),
        (b"[[],[],[],[]]", True),
        (b"[{},{},{}]", False),
        (b'["\\\\",1,2,3,4,5,6,7]', True),
        (b'["[[,,,\\",,,{{{\\\\",",,,,,,,,,"]', False),
    ],
)
def test_values_are_counted_before_any_is_built_and_not_in_strings(
    data: bytes, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_json, "MAX_VALUES", 6)
    if refused:
        with pytest.raises(strict_json.NotValidError, match="more than 6 values"):
            strict_json.parse(data)
    else:
        strict_json.parse(data)


@pytest.mark.parametrize("begin", [b'"', b'"\\u', b'"\\"', b'"a\\\\'])
def test_a_string_without_an_end_is_read_once_and_holds_no_values(begin: bytes) -> None:
    # Minutes where each quote in it begins a search for its end.
    strict_json.check_values(begin + b'\\",' * 2_100_000)


@pytest.mark.parametrize("piece", [b'"",', b'{"a":[', b'"\\"","\\\\",'])
def test_counting_the_values_of_millions_of_strings_takes_no_more_memory_than_copies_of_the_text(
    piece: bytes,
) -> None:
    """An object for each string would take thirty times the text, and end a function of 512 MiB."""
    data = b"[" + piece * (10_000_000 // len(piece))
    tracemalloc.start()
    try:
        with pytest.raises(strict_json.NotValidError):
            strict_json.check_values(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * len(data)


_JSON = st.recursive(
    st.text('a"\\,[{1é') | st.integers() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('a"\\,[{'), inner),
)


@given(_JSON, st.booleans(), st.integers(1, 9))
def test_what_stands_outside_of_strings_is_left_wherever_slices_end(
    document: object, ascii_only: bool, slice_bytes: int
) -> None:
    def bare(found: object) -> object:
        match found:
            case str():
                return None
            case list():
                return [bare(one) for one in found]
            case dict():
                return {f"k{number}": bare(one) for number, one in enumerate(found.values())}
        return found

    text = json.dumps(document, ensure_ascii=ascii_only)
    known = json.dumps(bare(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "_SLICE_BYTES", slice_bytes)
        left = strict_json.without_strings(text)
    for mark in ",[{:":
        assert left.count(mark) == known.count(mark)
