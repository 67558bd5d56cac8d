"""A TOML file read key by key, so that all of its mistakes can be reported at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a question that names the known word closest to one that is not known, empty if none is close."""
    import difflib  # only where there is a mistake

    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f" Did you mean {folded[close[0]]}?" if close else ""


class Section:
    """One table of a file, with what was found wrong in it.

    A getter that meets a mistake notes it and gives None, or the default where there is one: the file is refused in
    the end, and reading goes on for the sake of the other mistakes.

    Args:
        values: The table.
        place: The keys that lead to it: `lookup.cache`; empty for the file itself.
        problems: Where mistakes are noted, one sentence each.
        file: The file's name.
    """

    def __init__(self, values: Mapping[str, object], place: str, problems: list[str], file: str) -> None:
        self.values = values
        self._place = place
        self._problems = problems
        self._file = file

    def problem(self, key: str, what: str) -> None:
        """Note a mistake.

        Args:
            key: Where in this section; empty for the section as a whole.
            what: What is wrong and what to do, a sentence that follows the place.
        """
        self._problems.append(f"{self._file}: {self._under(key)} {what}")

    @property
    def mistakes(self) -> int:
        """How many mistakes are noted by now, anywhere in the file."""
        return len(self._problems)

    def refuse_others(self, known: Iterable[str]) -> None:
        """Note every key that is not one of `known`."""
        known = tuple(known)
        for key in self.values:
            if key not in known:
                self.problem(key, f"is not known here.{suggestion(key, known)}")

    def section(self, key: str) -> "Section":
        """Return the table under a key; an empty one where it is missing or no table, of which the latter is noted."""
        found = self.values.get(key, {})
        if not isinstance(found, dict):
            self.problem(key, "must be a table.")
            found = {}
        return Section(found, self._under(key), self._problems, self._file)

    def sections(self, key: str) -> list["Section"]:
        """Return the tables of an array of tables; none where it is missing or something else, which is noted."""
        found = self.values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            self.problem(key, f"must be an array of tables: [[{key}]].")
            return []
        return [
            Section(one, f"{self._under(key)}[{number}]", self._problems, self._file)
            for number, one in enumerate(found)
        ]

    def file_beside(self, key: str, about: str, folder: Path) -> Path | None:
        """Return the path of a file that is named here and lies in a folder.

        Args:
            key: Where.
            about: What it is, to follow "it must be".
            folder: The folder of the file that names it.
        """
        name = self.text(key, f"{about}, beside {self._file}")
        if name is not None and Path(name).name != name:
            self.problem(key, f"is {shown(name)}; it must be the name of a file beside {self._file}.")
            return None
        return None if name is None else folder / name

    def text(self, key: str, about: str) -> str | None:
        """Return a string that must be there and must not be empty.

        Args:
            key: Where.
            about: What it must be, to follow "it must be".
        """
        if key not in self.values:
            self.problem(key, f"is missing; it must be {about}.")
            return None
        found = self.values[key]
        if not isinstance(found, str) or not found:
            self.problem(key, f"is {shown(found)}; it must be {about}.")
            return None
        return found

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str | None:
        """Return one of a few words."""
        if key not in self.values and default is not None:
            return default
        names = tuple(choices)
        found = self.text(key, f"one of {', '.join(names)}")
        if found is not None and found not in names:
            self.problem(
                key, f"is {shown(found)}; it must be one of {', '.join(names)}.{suggestion(found, names)}"
            )
            return default
        return found

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        found = self.values.get(key, default)
        if not isinstance(found, bool):
            self.problem(key, f"is {shown(found)}; it must be true or false.")
            return default
        return found

    def whole(self, key: str, default: int, low: int, high: int, unit: str) -> int:
        """Return a whole number from `low` to `high`."""
        found = self.values.get(key, default)
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            self.problem(
                key, f"is {shown(found)}; it must be a whole number of {unit} from {low:,} to {high:,}."
            )
            return default
        return found

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        """Return a number of seconds from `low` to `high`."""
        found = self.values.get(key, default)
        if not isinstance(found, int | float) or isinstance(found, bool) or not low <= found <= high:
            # Not a number (nan) is in no range either.
            self.problem(key, f"is {shown(found)}; it must be a number of seconds from {low:,} to {high:,}.")
            return default
        return float(found)

    def _under(self, key: str) -> str:
        """Return the place of a key, as TOML writes it."""
        bare = key.replace("_", "").replace("-", "")
        written = key if not key or (bare.isalnum() and bare.isascii()) else f'"{ascii(key)[1:-1]}"'
        return ".".join(filter(None, (self._place, written)))


def shown(value: object) -> str:
    """Return a value of the file as it is quoted in a sentence: short, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = f'"{ascii(value)[1:-1]}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
