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
