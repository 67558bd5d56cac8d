"""Plans of gcloud commands: one description that is run here, or printed as a shell script that does the same.

A plan reads what exists, refuses or decides by it, and runs commands. Because the script is printed from the same
description, ``--dry-run`` shows what the real run does, and ``--dry-run | sh`` does it.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import INTERRUPTED, RefusalError, gcloud
from ..gcloud import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# No value that a plan reads can hold this: names, addresses, roles and members.
_SEPARATOR = "|"


@dataclass(frozen=True)
class Empty:
    """Whether a value is empty: the thing does not exist, or has no such part."""

    name: str
    negated: bool = False

    def holds(self, values: Mapping[str, str]) -> bool:
        """Return whether it is so."""
        return (values[self.name] == "") != self.negated

    def shell(self) -> str:
        """Return a shell command that succeeds if it is so."""
        return f'[ {"-n" if self.negated else "-z"} "${self.name}" ]'


def present(name: str) -> Empty:
    """Return the condition that a value is not empty."""
    return Empty(name, negated=True)


@dataclass(frozen=True)
class Matches:
    """Whether a value matches a shell pattern, in which ``*`` alone is special.

    Attributes:
        name: the variable.
        pattern: for the whole value. A value of several lines begins and ends with a line end.
        negated: to ask for the opposite.
    """

    name: str
    pattern: str
    negated: bool = False

    def holds(self, values: Mapping[str, str]) -> bool:
        """Return whether it is so."""
        expression = ".*".join(re.escape(part) for part in self.pattern.split("*"))
        return bool(re.fullmatch(expression, values[self.name], re.DOTALL)) != self.negated

    def shell(self) -> str:
        """Return a shell command that succeeds if it is so."""
        pattern = "*".join(shlex.quote(part) if part else "" for part in self.pattern.split("*")) or "''"
        yes, no = ("false", "true") if self.negated else ("true", "false")
        return f'case "${self.name}" in {pattern}) {yes} ;; *) {no} ;; esac'


def lacks_line(name: str, line: str) -> Matches:
    """Return the condition that no line of a value of several lines is this one."""
    return Matches(name, f"*\n{line}\n*", negated=True)


@dataclass(frozen=True)
class Older:
    """Whether a version such as ``528.0.0`` is older than a major version; also if it is unknown."""

    name: str
    major: int

    def holds(self, values: Mapping[str, str]) -> bool:
        """Return whether it is so."""
        first = values[self.name].partition(".")[0]
        return not first.isdecimal() or int(first) < self.major

    def shell(self) -> str:
        """Return a shell command that succeeds if it is so."""
        return f'! [ "${{{self.name}%%.*}}" -ge {self.major} ]'


Condition = Empty | Matches | Older


@dataclass(frozen=True)
class Read:
    """Ask gcloud for something.

    Attributes:
        names: the variables that get the values.
        arguments: the command, without ``--format``.
        fields: for each variable what to print of the answer; one variable may get a whole list.
        optional: whether the thing may be missing. All values are then empty.
        lines: whether the answer is a list: the variable gets one line an element, between two line ends.
    """

    names: tuple[str, ...]
    arguments: tuple[str | Value, ...]
    fields: tuple[str, ...]
    optional: bool = False
    lines: bool = False

    def command(self) -> list[str | Value]:
        """Return the arguments of gcloud."""
        return [*self.arguments, f'--format=value[separator="{_SEPARATOR}"]({",".join(self.fields)})']


@dataclass(frozen=True)
class Refusal:
    """A reason not to go on.

    Attributes:
        when: the condition.
        message: what is wrong and what to do.
    """

    when: Condition
    message: tuple[str | Value, ...]


@dataclass(frozen=True)
class Check:
    """Stop if a reason not to go on holds; all that hold are shown."""

    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class Run:
    """Change something.

    Attributes:
        does: the state after it, such as ``the function is deployed``.
        arguments: the command.
        hint: what to do if it fails; empty where gcloud's own message is enough.
    """

    does: str
    arguments: tuple[str | Value, ...]
    hint: str = ""


@dataclass(frozen=True)
class When:
    """Take steps if a condition holds, and other steps if not."""

    condition: Condition
    steps: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Write:
    """Write a file. No line of the content may be the word ``END_OF_FILE``."""

    path: Path
    content: str


@dataclass(frozen=True)
class Say:
    """Print a message for the user."""

    message: tuple[str | Value, ...]


@dataclass(frozen=True)
class Script:
    """Steps that stand only in the printed script, because the real run has taken them in another way."""

    lines: str


Step = Read | Check | Run | When | Write | Say | Script


@dataclass
class _Progress:
    values: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)


def run(steps: Sequence[Step], again: str) -> None:
    """Carry a plan out.

    Args:
        steps: the plan.
        again: the command that goes on after a failure.

    Raises:
        RefusalError: a reason not to go on holds, or a command failed. The message says what is done, what is not, and
            how to go on.
    """
    progress = _Progress()
    _run(tuple(steps), (), progress, again)


def _run(steps: tuple[Step, ...], later: tuple[Step, ...], progress: _Progress, again: str) -> None:
    for number, step in enumerate(steps):
        rest = (*steps[number + 1 :], *later)
        try:
            _take(step, rest, progress, again)
        except _ReportedError:
            raise
        except RefusalError as error:
            raise _ReportedError(_report(str(error), step, rest, progress, again)) from None
        except KeyboardInterrupt:
            # The command under way was ended, and what it asked Google for may go on without it.
            stopped = _ReportedError(_report("interrupted", step, rest, progress, again))
            stopped.exit_code = INTERRUPTED
            raise stopped from None


class _ReportedError(RefusalError):
    """A refusal whose message already says how far the plan came."""


def _take(step: Step, rest: tuple[Step, ...], progress: _Progress, again: str) -> None:
    match step:
        case Read():
            progress.values.update(_read(step, progress.values))
        case Check():
            if found := [
                _text(one.message, progress.values)
                for one in step.refusals
                if one.when.holds(progress.values)
            ]:
                raise RefusalError("\n  ".join(found))
        case Run():
            gcloud.run(_words(step.arguments, progress.values))
            progress.done.append(step.does)
        case When():
            chosen = step.steps if step.condition.holds(progress.values) else step.otherwise
            _run(chosen, rest, progress, again)
        case Write():
            step.path.write_text(step.content, encoding="utf-8")
        case Say():
            sys.stdout.write(f"{_text(step.message, progress.values)}\n")
        case Script():
            pass


def _read(step: Read, values: Mapping[str, str]) -> dict[str, str]:
    words = _words(step.command(), values)
    output = (gcloud.optional(words) if step.optional else gcloud.read(words)) or ""
    if step.lines:
        return {step.names[0]: f"\n{output}\n"}
    parts = [*output.split(_SEPARATOR), *([""] * len(step.names))]
    return dict(zip(step.names, parts, strict=False))


def _report(message: str, step: Step, rest: tuple[Step, ...], progress: _Progress, again: str) -> str:
    begun = isinstance(step, Run)
    missing = list(dict.fromkeys(_titles(rest if begun else (step, *rest), progress.values)))
    lines = [message]
    if isinstance(step, Run) and step.hint:
        lines.append(step.hint)
    if progress.done:
        lines += ["done:", *(f"  {title}" for title in progress.done)]
    if isinstance(step, Run):
        # gcloud also fails after a change: while it waits for the end of a deployment, for example.
        lines += ["begun, and perhaps done in part:", f"  {step.does}"]
    if missing and (begun or progress.done):
        lines += ["not done:", *(f"  {title}" for title in missing)]
    if not begun and not progress.done:
        lines.append("nothing was changed")
    return "\n  ".join([*lines, f"to go on, run: {again}"])


def _titles(steps: tuple[Step, ...], values: Mapping[str, str]) -> Iterator[str]:
    """Yield what the steps would do; of a decision that is not taken yet, what it would do at most."""
    for step in steps:
        if isinstance(step, Run):
            yield step.does
        elif isinstance(step, When):
            if step.condition.name not in values:
                yield from _titles((*step.steps, *step.otherwise), values)
            else:
                chosen = step.steps if step.condition.holds(values) else step.otherwise
                yield from _titles(chosen, values)


def _words(arguments: Sequence[str | Value], values: Mapping[str, str]) -> list[str]:
    return [word.text(values) if isinstance(word, Value) else word for word in arguments]


def _text(message: Sequence[str | Value], values: Mapping[str, str]) -> str:
    return "".join(_words(message, values))


_BEGIN = """\
#!/bin/sh
# Printed by {name} --dry-run. It stops at the first failure; running it again goes on.
# A function, and no input for it: a script that was cut short runs nothing, and no command reads the script itself.
run() {{
set -eu
scratch=$(mktemp -d)
finished=
unfinished=
report() {{
  code=$?
  rm -rf "$scratch"
  [ "$code" -ne 0 ] || return 0
  [ -n "$finished$unfinished" ] || echo 'nothing was changed' >&2
  [ -z "$finished" ] || printf 'done:%s\\n' "$finished" >&2
  [ -z "$unfinished" ] || printf 'begun, and perhaps done in part:\\n  %s\\n' "$unfinished" >&2
  echo '{name}: stopped; to go on, run this script again' >&2
}}
trap report EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# optional COMMAND: its output, or nothing where the thing does not exist
optional() {{
  if "$@" 2>"$scratch/stderr"; then return 0; fi
  if grep -Eq {not_found} "$scratch/stderr"; then return 0; fi
  cat "$scratch/stderr" >&2
  return 1
}}
refuse() {{
  printf '%s\\n' "{name}: $1" >&2
  refused=yes
}}

"""


_END = "}\n\nrun </dev/null\n"


def script(steps: Sequence[Step], name: str, refusals: Sequence[str] = ()) -> str:
    """Return the plan as a POSIX shell script.

    Args:
        steps: the plan.
        name: the script that prints it, such as ``deploy/deploy``.
        refusals: reasons not to run it that are known already: the script shows them and stops at once.
    """
    begin = _BEGIN.format(name=name, not_found=shlex.quote(gcloud.NOT_FOUND))
    stop = "".join(f"refuse {shlex.quote(refusal)}\n" for refusal in refusals)
    body = "\n".join(_script(step) for step in steps)
    return f"{begin}{stop}exit 1\n\n{body}{_END}" if stop else f"{begin}{body}{_END}"


def _script(step: Step) -> str:
    match step:
        case Read():
            return _script_of_read(step)
        case Check():
            refusals = "".join(
                f"if {one.when.shell()}; then\n  refuse {_quoted(one.message)}\nfi\n" for one in step.refusals
            )
            return f'refused=\n{refusals}[ -z "$refused" ] || exit 1\n'
        case Run():
            hint = f"; {step.hint}" if step.hint else ""
            return (
                f"unfinished={shlex.quote(step.does + hint)}\n"
                f"{gcloud.show(step.arguments)}\n"
                f'finished="$finished\n  "{shlex.quote(step.does)}\nunfinished=\n'
            )
        case When():
            otherwise = f"else\n{_indented(step.otherwise)}" if step.otherwise else ""
            return f"if {step.condition.shell()}; then\n{_indented(step.steps)}{otherwise}fi\n"
        case Write():
            return f"cat >{shlex.quote(str(step.path))} <<'END_OF_FILE'\n{step.content}END_OF_FILE\n"
        case Say():
            return f"printf '%s\\n' {_quoted(step.message)}\n"
        case Script():
            return step.lines


def _script_of_read(step: Read) -> str:
    command = gcloud.show(step.command())
    if step.optional:
        command = f"optional {command}"
    if step.lines:
        return f'{step.names[0]}="\n$({command})\n"\n'
    if len(step.names) == 1:
        return f"{step.names[0]}=$({command})\n"
    return (
        f"answer=$({command})\n"
        f"IFS='{_SEPARATOR}' read -r {' '.join(step.names)} <<END_OF_ANSWER\n$answer\nEND_OF_ANSWER\n"
    )


def _indented(steps: Sequence[Step]) -> str:
    # Not by white space: a here-document or a value of several lines would change.
    return "".join(_script(step) for step in steps) or "  :\n"


def _quoted(message: Sequence[str | Value]) -> str:
    return "".join(word.shell() if isinstance(word, Value) else shlex.quote(word) for word in message)
