"""Removal of what a recording must not hold: addresses of people, values of unknown variables, query strings.

Names of service accounts, groups and principals of Workload Identity stay, because findings are about them. No secret
payload and no token is ever read, so none can be in an answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

HIDDEN = "(not recorded)"

_ADDRESS = re.compile(r"(?P<kind>[a-zA-Z]+:)?(?P<name>[\w.+-]+)@(?P<domain>[\w-]+(\.[\w-]+)+)")
_QUERY = re.compile(r"^(https?://[^?\s]*)\?.*$", re.DOTALL)
_VARIABLES = frozenset({"environmentVariables", "buildEnvironmentVariables"})
# Webhooks have their secret in the path or before the host; the words of a container's command can hold one.
_ENDPOINT = re.compile(r"^(https?://)(?:[^/?#\s]*@)?([^/?#\s@]*).*$", re.DOTALL)
_COMMANDS = frozenset({"args", "command"})


class Scrubber:
    """Scrubber of one recording.

    One person gets one invented address in the whole recording, so that answers and contract still agree.

    Args:
        known_variables: Environment variables whose values may be recorded: those that the contract gives.
    """

    def __init__(self, known_variables: Collection[str]) -> None:
        self._known = set(known_variables)
        self._people: dict[str, str] = {}

    def text(self, value: str) -> str:
        """Return a text without addresses of people and without the query of a URL."""
        return _ADDRESS.sub(self._address, _QUERY.sub(r"\1", value))

    def answer(self, data: Any) -> Any:  # noqa: ANN401 - JSON
        """Return an answer that may be recorded."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, list):
            return [self.answer(item) for item in data]
        if not isinstance(data, dict):
            return data
        scrubbed = {self.text(key): self._member(key, value) for key, value in data.items()}
        # A container's variables are objects with name and value.
        if isinstance(data.get("env"), list):
            scrubbed["env"] = [self._variable(item) for item in data["env"]]
        return scrubbed

    def _member(self, key: str, value: Any) -> Any:  # noqa: ANN401 - JSON
        if key in _VARIABLES:
            return self._variables(value)
        if key in _COMMANDS:
            return [HIDDEN]
        if key == "pushEndpoint" and isinstance(value, str):
            found = _ENDPOINT.match(value)
            path = value[found.end(2) :].partition("?")[0].strip("/") if found else ""
            return f"{found[1]}{found[2]}{'/not-recorded' if path else ''}" if found else HIDDEN
        return self.answer(value)

    def _variables(self, values: Any) -> Any:  # noqa: ANN401 - JSON
        if not isinstance(values, dict):
            return HIDDEN
        return {name: self.answer(v) if name in self._known else HIDDEN for name, v in values.items()}

    def _variable(self, item: Any) -> Any:  # noqa: ANN401 - JSON
        if not isinstance(item, dict) or "value" not in item or item.get("name") in self._known:
            return self.answer(item)
        return {**{key: self.answer(value) for key, value in item.items()}, "value": HIDDEN}

    def _address(self, found: re.Match[str]) -> str:
        kind = found["kind"] or ""
        if found["domain"].endswith("gserviceaccount.com") or kind == "group:":
            return found[0]
        address = f"{found['name']}@{found['domain']}".lower()
        invented = self._people.setdefault(address, f"person-{len(self._people) + 1}@example.com")
        return f"{kind}{invented}"
