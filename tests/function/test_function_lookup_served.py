"""Which lookup the HTTP entry point serves is said at its start, and is never a guess."""

import json
from pathlib import Path

import pytest
from enrichment import assembly
from enrichment.settings.environment import PIPELINE_FILE, SettingsError

PROFILE = '[lookup]\npath = "/profile/{user_id}"\n'
SHOP = '[lookups.shop]\npath = "/shops/{shop}"\nparams = { shop = "event.shop" }\n'
SEARCH = '[lookups.search]\npath = "/search"\nquery = { q = "event.type" }\n'
BATCH = (
    '[lookups.users]\nparams = { id = "event.user_id" }\n'
    'batch = { path = "/users/batch-get", body_field = "ids", key = "id" }\n'
)


def served(
    settings: dict[str, str], directory: Path, capfd: pytest.CaptureFixture[str], *lookups: str, **env: str
) -> str:
    """Start the entry point with these lookups and give what it says; what is wrong where it does not start."""
    text = PIPELINE_FILE.read_text()
    before, after = text.partition("[lookup]\n")[0], text.partition("[columns]\n")[2]
    columns = "".join(line for line in after.splitlines(keepends=True) if "profile" not in line)
    (directory / "pipeline.toml").write_text(f"{before}{''.join(lookups)}[columns]\n{columns}")
    try:
        assembly.http_lookup({**settings, "PIPELINE_FILE": str(directory / "pipeline.toml"), **env})
    except SettingsError as error:
        return " ".join(error.problems)
    (line,) = capfd.readouterr().out.splitlines()
    return str(json.loads(line)["message"])


@pytest.mark.parametrize(
    ("lookups", "name", "said"),
    [
        ([PROFILE], "", "from lookup: GET /profile/{user_id}"),
        ([PROFILE, SEARCH], "", "from lookup: GET /profile/{user_id}"),
        ([SEARCH, SHOP], "", "from lookups.shop: GET /shops/{shop}"),
        ([BATCH], "", "from lookups.users: POST /users/batch-get"),
        ([PROFILE, SHOP], "shop", "from lookups.shop: GET /shops/{shop}"),
        ([PROFILE, SHOP], "profile", "from lookup: GET /profile/{user_id}"),
        ([PROFILE, SHOP], "", "2 lookups of pipeline.toml take one key: set it to one of profile, shop."),
        ([PROFILE, SEARCH], "search", "LOOKUP is 'search'; it must name a lookup of"),
        ([PROFILE, SEARCH], "search", "that takes one key: profile."),
        ([PROFILE], "shpo", "LOOKUP is 'shpo'"),
        ([SEARCH], "", "no lookup that takes one key"),
        ([], "", "no lookup that takes one key"),
    ],
)  # fmt: skip
def test_it_serves_the_one_that_is_named_or_the_only_one_that_takes_one_key(
    settings: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    lookups: list[str],
    name: str,
    said: str,
) -> None:
    assert said in served(settings, tmp_path, capfd, *lookups, **({"LOOKUP": name} if name else {}))
