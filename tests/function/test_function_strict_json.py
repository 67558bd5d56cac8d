"""JSON read strictly: what is wrong with a text is named as what it is."""

import pytest
from enrichment.documents import strict_json


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


@pytest.mark.parametrize("begin", [b'"', b'"\\', b'"\\"', b'"a\\\\'])
def test_a_string_without_an_end_is_read_once_and_holds_no_values(begin: bytes) -> None:
    # Minutes where each quote in it begins a search for its end.
    strict_json.check_values(begin + b'\\",' * 2_100_000)
