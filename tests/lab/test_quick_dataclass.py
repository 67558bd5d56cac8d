"""The quick dataclass behaves as the standard library's does, before and after its methods are compiled."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field
from functools import cached_property
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, get_type_hints

import pytest
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
Anything: TypeAlias = Any
"""A decorator, and a class or an object that it has made: two decorators have no type in common."""
DECORATORS: dict[str, Anything] = {"standard": dataclasses.dataclass, "quick": dataclass}


@pytest.fixture(params=DECORATORS)
def decorator(request: pytest.FixtureRequest) -> Anything:
    """Each expectation is one of the standard library's decorator, too."""
    return DECORATORS[request.param]


def point(decorator: Anything) -> Anything:
    @decorator(frozen=True)
    class Point:
        """A point."""

        x: int
        y: int = 2
        names: list[str] = field(default_factory=list, compare=False)
        secret: str = field(default="", repr=False)
        size: int = field(init=False, default=0)
        unit: ClassVar[str] = "m"

        def __post_init__(self) -> None:
            object.__setattr__(self, "size", self.x + self.y)

        @cached_property
        def doubled(self) -> int:
            return 2 * self.size

    return Point


def test_an_object_has_the_values_that_it_is_given_and_defaults_for_the_others(decorator: Anything) -> None:
    found, other = point(decorator)(1, secret="s"), point(decorator)(x=1, y=3, names=["a"])
    assert (found.x, found.y, found.names, found.secret, found.size, found.doubled) == (1, 2, [], "s", 3, 6)
    assert (other.y, other.names, other.size) == (3, ["a"], 4)
    assert point(decorator)(1).names is not point(decorator)(1).names


@pytest.mark.parametrize("arguments", [{}, {"x": 1, "z": 2}, {"x": 1, "size": 2}])
def test_wrong_arguments_are_refused_with_the_same_words(arguments: dict[str, int]) -> None:
    said = []
    for each in DECORATORS.values():
        with pytest.raises(TypeError) as refused:
            point(each)(**arguments)
        said.append(str(refused.value).rpartition(".")[2])
    assert said[0] == said[1]
    assert said[0]


def test_what_it_shows_compares_and_hashes(decorator: Anything) -> None:
    kind = point(decorator)
    one, same, other = kind(1, names=["a"], secret="s"), kind(1, names=["b"], secret="s"), kind(1)
    assert repr(one) == "point.<locals>.Point(x=1, y=2, names=['a'], size=3)"
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != (1, 2, "s", 3)
    assert len({one, same, other}) == 2


def test_an_object_that_holds_itself_can_be_shown(decorator: Anything) -> None:
    found = point(decorator)(1)
    found.names.append(found)
    assert "names=[...]" in repr(found)


@pytest.mark.parametrize("name", ["x", "another"])
def test_nothing_of_an_object_changes(decorator: Anything, name: str) -> None:
    found = point(decorator)(1)
    with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(found, name, 2)
    with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(found, name)


def test_a_subclass_may_have_more_that_changes_but_not_the_fields(decorator: Anything) -> None:
    class Sub(point(decorator)):  # type: ignore[misc]
        pass

    found = Sub(1)
    found.another = 2
    del found.another
    with pytest.raises(FrozenInstanceError):
        found.x = 2
    with pytest.raises(FrozenInstanceError):
        del found.x


def test_a_dataclass_may_extend_another(decorator: Anything) -> None:
    @decorator(frozen=True)
    class More(point(decorator)):  # type: ignore[misc]
        z: int = 5

    assert More(1, z=6).z == 6
    assert More(1) == More(1)
    assert More(1) != point(decorator)(1)
    assert [each.name for each in dataclasses.fields(More)][-1] == "z"


def test_what_a_class_defines_itself_stays(decorator: Anything) -> None:
    @decorator(frozen=True)
    class Own:
        x: int
        y: int = 0

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and other.x == self.x

        def __repr__(self) -> str:
            return "own"

    @decorator(frozen=True)
    class Hashed(Own):
        def __hash__(self) -> int:
            return 7

    own: Anything = Own
    hashed: Anything = Hashed
    assert own(1, 2) == own(1, 3)
    assert hash(own(1, 2)) == hash(own(1, 2))
    assert repr(own(1)) == "own"
    assert hash(hashed(1)) == 7


def test_its_signature_is_known_before_an_object_is_made() -> None:
    ours, theirs = (point(each) for each in DECORATORS.values())
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert get_type_hints(ours.__init__) == get_type_hints(theirs.__init__)
    assert "x" in inspect.signature(ours).parameters


def test_the_standard_librarys_functions_take_it(decorator: Anything) -> None:
    kind = point(decorator)
    found = kind(1)
    assert dataclasses.replace(found, y=4).size == 5
    assert dataclasses.asdict(found) == {"x": 1, "y": 2, "names": [], "secret": "", "size": 3}
    assert copy.deepcopy(found) == found
    assert kind.__match_args__ == ("x", "y", "names", "secret")
    assert dataclasses.is_dataclass(kind)


@dataclass(frozen=True)
class Sent:
    """What one process sends to another."""

    x: int
    y: str = "y"


def test_an_object_that_was_never_made_here_works() -> None:
    """A process that takes objects from another has called no `__init__` of theirs."""
    text = pickle.dumps([Sent(1), Sent(1), Sent(2)])
    code = (
        "import pickle, sys\n"
        "one, same, other = pickle.loads(sys.stdin.buffer.read())\n"
        "assert one == same != other and len({one, same, other}) == 2\n"
        "try:\n    one.x = 3\nexcept AttributeError:\n    print(one)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=text, capture_output=True, cwd=ROOT, check=False)
    assert done.stdout.decode().strip() == "Sent(x=1, y='y')", done.stderr.decode()


def test_threads_may_make_the_first_objects_at_once() -> None:
    for _ in range(20):
        kind = point(dataclass)
        barrier = Barrier(8)

        def make(number: int, kind: Callable[..., Any] = kind, barrier: Barrier = barrier) -> Anything:
            barrier.wait()
            return hash(kind(number)), kind(number)

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(make, range(8)))
        assert [(hash(made), made.x) for _, made in found] == [(seen, x) for x, (seen, _) in enumerate(found)]


@pytest.mark.parametrize("options", [{"frozen": True, "slots": True}, {"frozen": True, "order": True}, {}])
def test_other_options_are_the_standard_librarys(options: dict[str, bool]) -> None:
    @dataclass(**options)
    class Other:
        x: int

    assert Other(1) == Other(1)
    assert hasattr(Other, "__slots__") == bool(options.get("slots"))
    assert hasattr(Other(1), "__lt__")
