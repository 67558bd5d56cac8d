"""Words of the field in names and texts, and no coined ones (CONTRIBUTING.md, "Language")."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.house.source_texts import ROOT, names, texts, tracked, words

# Coined word -> the field's. A name is a defect if one of its words is here.
COINED_NAMES = {
    "fate": "disposition",
    "fates": "dispositions",
    "flight": "single flight",
    "flights": "single flight",
    "hand_back": "nack",
    "letter": "dead letter",
    "letters": "dead letters",
    "narrow_down": "restrict",
    "nobody": "no one thing that the code can name",
    "pace": "minimum interval",
    "paces": "minimum intervals",
    "promise": "expectation",
    "promises": "expectations",
    "somebody": "the caller, the user, ...",
    "sort_out": "deduplicate, partition, ...",
    "standin": "fake or emulator",
    "strike": "injected fault",
    "surroundings": "context",
    "told": "reported, logged",
    "trouble": "transient error",
    "whoever": "the caller, the user, ...",
}
# Two words that are the field's together, whatever one of them is alone.
FIELD_NAMES = ("dead_letter", "dead_letters", "in_flight", "single_flight")

# What a text must not hold, and what it says instead.
COINED_TEXTS = {
    r"fates?": "disposition, outcome",
    r"flights?": "single flight",
    r"(?:hand(?:s|ed)?|handing) (?:it |them )?back": "nack, return",
    r"knows? no such": "... not found",
    r"letters?": "dead letter",
    r"looks? the same over": "deduplicate",
    r"narrow(?:s|ed|ing)? down": "restrict",
    r"nobody": "name what is not there: no caller, no process",
    r"pace[sd]?": "interval, rate",
    r"promise[sd]?": "guarantee; of a test: expectation",
    r"somebody": "name who: the caller, another team",
    r"sort(?:s|ed|ing)? out": "partition, choose",
    r"stand-ins?": "fake or emulator",
    r"(?:strikes?|struck)": "injected fault",
    r"surroundings": "context, environment",
    r"tell(?:s|ing)? (?:\w+ )?(?:\w+ )?apart": "distinguish",
    r"told": "reported, logged, given",
    r"troubles?": "transient error",
    r"who (?:got|gets) in": "access matrix; which callers are accepted",
    r"whoever": "name who: the caller, each thread",
}
# Letters of the alphabet, and what the field calls so.
FIELD_TEXTS = re.compile(
    r"dead[- ]letters?|in[- ]flight|single[- ]flight|letter by letter"
    r"|letters?(?: of the alphabet|, digits|,? (?:and|or) digits?| first| U\+)"
    r"|[/:] ?nobody|nobody[.-]\w+|somebody-else"  # names in test data
    r"|(?:accented|capital|escaped|last|lower-case|of|other|same|small|upper-case) letters?",
    re.IGNORECASE,
)

# A file that may say a word, and why.
ALLOWED = {
    ("CHANGELOG.md", "handed back"): "quotes a log line as it was",
    ("tests/docs/site/test_site.py", "promise"): "JavaScript's Promise",
    ("tests/house/test_words.py", "*"): "has the list",
    ("tests/sdk/test_sdk_words.py", "*"): "has a list of the SDK's own",
}

# What a file must hold to be read at all: most files have none of these, and reading one takes milliseconds.
_SEEDS = (
    *(
        "fate",
        "hand back",
        "hand_back",
        "handed back",
        "handing back",
        "hands back",
        "hand it back",
        "hand them back",
    ),
    *("hands it back", "hands them back", "knows no such", "know no such", "same over", "narrow", "nobody"),
    *(
        " pace",
        "_pace",
        "pace_setter",
        "promise",
        "somebody",
        "sort_out",
        "sort out",
        "sorted out",
        "sorting out",
    ),
    *(
        "sorts out",
        "stand-in",
        "stand_in",
        "standin",
        "strike",
        "struck",
        "surrounding",
        "apart",
        " told",
        "_told",
    ),
    *("told_", "told ", "trouble", "who got in", "who gets in", "whoever"),
)
_PARTS = {
    "letter": ("dead letter", "dead_letter", "dead-letter", "deadletter"),
    "flight": ("in flight", "in_flight", "in-flight", "single flight", "single_flight", "singleflight"),
}
_TEXT = re.compile(rf"\b(?:{'|'.join(COINED_TEXTS)})\b", re.IGNORECASE)


def coined_in_name(name: str) -> str:
    """Return the coined word of a name, or an empty text."""
    joined = f"_{'_'.join(words(name))}_"
    for field in FIELD_NAMES:
        joined = joined.replace(f"_{field}_", "_x_")
    return next((word for word in COINED_NAMES if f"_{word}_" in joined), "")


def coined_in_text(text: str) -> list[str]:
    """Return the coined words of a text."""
    return [found.lower() for found in _TEXT.findall(FIELD_TEXTS.sub("x", text))]


def findings(path: str, source: str) -> list[str]:
    """Return each coined word of a file, with its line."""
    found: list[tuple[int, str, str]] = []
    if not _may_be_coined(source.lower()):
        return []
    if path.endswith(".py"):
        found += [(line, word, name) for line, name in names(source) if (word := coined_in_name(name))]
    found += [(line, word, text) for line, text in texts(path, source) for word in coined_in_text(text)]
    return [
        f"{path}:{line}: {word!r} in {text[:100]!r}"
        for line, word, text in sorted(set(found))
        if (path, word) not in ALLOWED and (path, "*") not in ALLOWED
    ]


def _may_be_coined(source: str) -> bool:
    return any(seed in source for seed in _SEEDS) or any(
        source.count(word) > sum(source.count(whole) for whole in wholes) for word, wholes in _PARTS.items()
    )


@cache
def _files() -> tuple[str, ...]:
    return tuple(
        path
        for path in tracked()
        if path.endswith((".py", ".md", ".yaml", ".yml", ".toml", ".tf", ".sh", ".env", ".sql", "Makefile"))
    )


@pytest.mark.parametrize(
    ("name", "coined"),
    [
        ("Fate", "fate"), ("_assert_fate", "fate"), ("letter_of", "letter"), ("test_it_is_told", "told"),
        ("FlightPlan", "flight"), ("hand_back_all", "hand_back"), ("dead_letter", ""), ("DeadLetters", ""),
        ("SingleFlight", ""), ("IN_FLIGHT", ""), ("namespace", ""), ("threshold", ""),
    ],
)  # fmt: skip
def test_a_coined_word_of_a_name_is_found_in_either_case(name: str, coined: str) -> None:
    assert coined_in_name(name) == coined


@pytest.mark.parametrize(
    ("text", "coined"),
    [
        ("Nobody is told.", ["nobody", "told"]),
        ("a stand-in for BigQuery", ["stand-in"]),
        ("stand in a row", []),
        ("64 in flight", []),
        ("a flight of stairs", ["flight"]),
        ("the dead letter is published", []),
        ("the letter is published", ["letter"]),
        ("30 lower-case letters, digits and hyphens", []),
        ("see Troubleshooting", []),
        ("Tell the two apart.", ["tell the two apart"]),
    ],
)
def test_a_coined_word_of_a_text_is_found(text: str, coined: list[str]) -> None:
    assert coined_in_text(text) == coined


def test_names_and_texts_use_the_words_of_the_field() -> None:
    found = [
        finding for path in _files() for finding in findings(path, (ROOT / path).read_text(encoding="utf-8"))
    ]

    assert not found, "\n".join(found)


def test_every_exception_is_needed() -> None:
    """A word that a file no longer has is taken off the list."""
    for path, word in ALLOWED:
        source = (ROOT / path).read_text(encoding="utf-8")
        said = [one for _, text in texts(path, source) for one in coined_in_text(text)]
        said += [coined_in_name(name) for _, name in names(source)] if path.endswith(".py") else []
        assert any(said) if word == "*" else word in said, f"{path} does not say {word!r} any more"
